"""How tests come to the product's own interfaces of a real node: REST, the command line over SSH, SOAP."""

import asyncio
import json
import re
import subprocess
import warnings
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Literal

import asyncssh
import paramiko
import requests
import urllib3
import zeep
from zeep.transports import Transport

from tests.integration.authority import Authority
from tests.integration.command_line import CommandLine
from tests.unit.cluster.test_soap_messages import enveloped
from ucmlab.cluster.admin import rest, soap

OF_PUB = ["tomcat", "tomcat-ECDSA", "ipsec", "ITLRecovery", "CallManager-ECDSA", "CallManager", "CAPF", "TVS"]
PATIENCE_S = 30
END = "admin:"
FAILED = "Executed command unsuccessfully"


class Api:
    """A script's view of one node."""

    def __init__(self, lab: CommandLine, node: str, *, user: str = "OS") -> None:
        env = lab.json("env")
        self.address = env[f"UCMLAB_{node.upper()}_ADDRESS"]
        self.https, self.soap = (int(env[f"UCMLAB_{node.upper()}_{name}_PORT"]) for name in ("HTTPS", "SOAP"))
        self.account = (env[f"UCMLAB_{user}_USER"], env[f"UCMLAB_{user}_PASSWORD"])

    def call(
        self,
        method: str,
        path: str,
        *,
        base: str = rest.BASE,
        port: int = 0,
        auth: tuple[str, str] | Literal["own"] | None = "own",
        json: object = None,
        data: bytes | None = None,
        params: Mapping[str, str] | None = None,
    ) -> requests.Response:
        url = f"https://{self.address}:{port or self.https}{base}{path}"
        account = self.account if auth == "own" else auth
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)
            return requests.request(
                method,
                url,
                auth=account,
                json=json,
                data=data,
                params=params,
                timeout=30,
                verify=False,  # noqa: S501  as all scripts against the product do
            )

    def post(self, path: str, body: object) -> requests.Response:
        return self.call("POST", path, json=body)

    def get(self, path: str, **query: str) -> Mapping[str, Any]:
        answer = self.call("GET", path, params=query)
        assert answer.status_code == 200, answer.text
        found: Mapping[str, Any] = answer.json()
        return found


def presented(api: Api) -> str:
    command = ["openssl", "s_client", "-connect", f"{api.address}:{api.soap}", "-tls1_2", "-cipher", "aRSA"]
    said = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=30).stdout
    return fingerprint(said.decode(errors="replace"))


def sign(authority: Authority, folder: Path, csr: str) -> str:
    file = folder / "rest.csr"
    file.write_text(csr)
    return authority.sign(file).read_text()


def leaf_of(text: str) -> str:
    """The PEM text as the API writes it."""
    begin = text.index("-----BEGIN CERTIFICATE-----")
    return text[begin:].strip() + "\n"


def fingerprint(text: str) -> str:
    command = ["openssl", "x509", "-noout", "-fingerprint", "-sha256"]
    printed = subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout
    return printed.decode().strip().partition("=")[2].replace(":", "").lower()


class Door:
    """Where a node's command line is, and who may log in."""

    def __init__(self, lab: CommandLine, node: str, *, user: str = "OS") -> None:
        env = lab.json("env")
        self.host: str = env[f"UCMLAB_{node.upper()}_ADDRESS"]
        self.port = int(env[f"UCMLAB_{node.upper()}_SSH_PORT"])
        self.user: str = env[f"UCMLAB_{user}_USER"]
        self.password: str = env[f"UCMLAB_{user}_PASSWORD"]

    @asynccontextmanager
    async def connect(self, **options: object) -> AsyncIterator[asyncssh.SSHClientConnection]:
        given: dict[str, Any] = {"username": self.user, "password": self.password, "known_hosts": None, "config": None}
        async with asyncssh.connect(self.host, self.port, **(given | options)) as connection:
            yield connection

    def paramiko(self) -> paramiko.SSHClient:
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())  # noqa: S507  as all scripts against the product do
        client.connect(
            self.host, self.port, self.user, self.password, look_for_keys=False, allow_agent=False, timeout=PATIENCE_S
        )
        return client

    def spoken(self, *lines: str) -> list[str]:
        """What each line is answered in one session, without its echo and the prompt."""

        async def speak() -> list[str]:
            async with self.connect() as connection, asyncio.timeout(PATIENCE_S):
                process = await connection.create_process(term_type="vt100", term_size=(200, 1000))
                await process.stdout.readuntil(END)
                answers = []
                for line in lines:
                    process.stdin.write(line + "\n")
                    answer = await process.stdout.readuntil(re.compile(r"(?m)^admin:|\? $| : $|Enter\r\n"))
                    answers.append(answer.partition("\n")[2].removesuffix(END))
                return answers

        return asyncio.run(speak())


def events(lab: CommandLine, name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in lab.must("events", "--json", "--name", name).splitlines()]


@contextmanager
def logged_in(lab: CommandLine) -> Iterator[requests.Session]:
    """Requests with the application's account."""
    env = lab.json("env")
    with requests.Session() as made, warnings.catch_warnings():
        warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)
        made.auth = (env["UCMLAB_APP_USER"], env["UCMLAB_APP_PASSWORD"])
        made.verify = made.trust_env = False
        yield made


def url(lab: CommandLine, node: str = "pub", service: str = "ControlCenterServices") -> str:
    env, name = lab.json("env"), f"UCMLAB_{node.upper()}"
    return f"https://{env[f'{name}_ADDRESS']}:{env[f'{name}_SOAP_PORT']}{soap.BASE}/{service}"


def client(
    lab: CommandLine, session: requests.Session, service: str = "ControlCenterServices", *, node: str = "pub"
) -> Any:  # noqa: ANN401
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return zeep.Client(url(lab, node, service) + "?wsdl", transport=Transport(session=session)).service  # type: ignore[no-untyped-call]


def states(answer: Any) -> dict[str, str]:  # noqa: ANN401
    return {each.ServiceName: each.ServiceStatus for each in answer.ServiceInfoList.item}


def post(session: requests.Session, where: str, body: str, **headers: str) -> requests.Response:
    sent = {"Content-Type": "text/xml;charset=UTF-8", **headers}
    return session.post(where, data=enveloped(body), headers=sent, timeout=30)


def control(kind: str, *names: str, node: str = "") -> str:
    items = "".join(f"<item>{name}</item>" for name in names)
    asked = f"<NodeName>{node}</NodeName><ControlType>{kind}</ControlType><ServiceList>{items}</ServiceList>"
    return f"<soapDoControlServices><ControlServiceRequest>{asked}</ControlServiceRequest></soapDoControlServices>"
