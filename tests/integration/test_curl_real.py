"""What curl and OpenSSL send to a real node from shell scripts, odd habits included (wire-interfaces 1, 2 = W1, W2)."""

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.integration.authority import Authority
from tests.integration.command_line import CommandLine, Forked, running
from tests.integration.interfaces import fingerprint
from tests.openssl import openssl
from tests.unit.cluster.test_soap_messages import enveloped
from ucmlab.cluster.admin import rest, soap

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
]
TOLD = "%{stderr}%{http_code} %{num_connects}\\n"
JSON = ("--header", "Content-Type: application/json", "--data")
PORTS = ("HTTPS", "SOAP")
STATUS = "<soapGetServiceStatus><ServiceStatus><item>Cisco Tftp</item></ServiceStatus></soapGetServiceStatus>"
NIL = '<NodeName xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/>'


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with running(tmp_path_factory.mktemp("curl"), Forked, nodes="pub") as made:
        yield made


@pytest.fixture(scope="module")
def env(lab: CommandLine) -> Mapping[str, str]:
    found: Mapping[str, str] = lab.json("env")
    return found


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "Curl")


class Curl:
    """curl, with the account of the interface that it asks."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.at = {name: f"{env['UCMLAB_PUB_ADDRESS']}:{env[f'UCMLAB_PUB_{name}_PORT']}" for name in PORTS}
        self.platform = f"{env['UCMLAB_OS_USER']}:{env['UCMLAB_OS_PASSWORD']}"
        self.application = f"{env['UCMLAB_APP_USER']}:{env['UCMLAB_APP_PASSWORD']}"

    def run(self, *arguments: str | Path, stdin: bytes = b"") -> tuple[str, str]:
        """What it answers, and the statuses with the number of connections that were made for each."""
        command = ["curl", "--silent", "--insecure", "--max-time", "20", "--write-out", TOLD, *map(str, arguments)]
        done = subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=30)
        return done.stdout.decode(), done.stderr.decode().strip()

    def rest(self, path: str, *arguments: str | Path, stdin: bytes = b"") -> Any:  # noqa: ANN401  what JSON is
        """The API's answer, which is 200."""
        body, told = self.run("--user", self.platform, *arguments, self.url(path), stdin=stdin)
        assert told.startswith("200 "), (told, body)
        return json.loads(body)

    def soap(self, body: str, *arguments: str | Path, user: bool = True, port: str = "SOAP", extended: str = "") -> str:
        """What Control Center answers, after its status."""
        account = ("--user", self.application) if user else ()
        place = f"https://{self.at[port]}{soap.BASE}/ControlCenterServices{extended}"
        text, told = self.run(*account, *arguments, "--data-binary", enveloped(body).decode(), place)
        return f"{told[:3]} {text}"

    def url(self, path: str) -> str:
        return f"https://{self.at['HTTPS']}{rest.BASE}{path}"


@pytest.fixture(scope="module")
def curl(env: Mapping[str, str]) -> Curl:
    return Curl(env)


# -- W1


@pytest.mark.parametrize(
    "arguments",
    [
        ("--data", '{"service":"tomcat"}'),  # as a form, which curl takes everything for
        ("--anyauth", "--data", '{"service":"tomcat"}'),  # asks without the password first
        ("--http1.0", "--data", '{"service":"tomcat"}'),
        ("--header", "Expect: 100-continue", "--data", '{"service":"tomcat"}'),
        ("--header", "Accept: application/json", *JSON, '{"service":"tomcat","certName":"tomcat","name":"tomcat"}'),
        ("--header", "Content-Type: text/plain", "--data", '{"service":["tomcat"]}'),
        (*JSON, '{"service":"tomcat","keyType":null,"keyLength":"2048","hashAlgorithm":"SHA256","altNames":[]}'),
    ],
    ids=["form", "anyauth", "http1.0", "expect", "unknown keys", "an array", "null and text"],
)
def test_a_request_in_any_wrapping(curl: Curl, arguments: tuple[str, ...]) -> None:
    made = curl.rest("/csr", *arguments)["csr"]
    assert "Certificate request self-signature verify OK" in openssl("req", "-verify", "-noout", stdin=made.encode())


def test_a_body_of_unknown_length(curl: Curl) -> None:
    sent = ("--request", "POST", "--header", "Transfer-Encoding: chunked", "--upload-file", "-")
    assert curl.rest("/csr", *sent, stdin=b'{"service": "ipsec"}')["service"] == "ipsec"


def test_a_request_for_the_whole_cluster(curl: Curl) -> None:
    """As the page's literal has it, and with the common name that the guides give it (W1.2)."""
    made = curl.rest("/csr", *JSON, '{"service":"tomcat-ecdsa","distribution":"Multi-server(SAN)","keyType":"ec"}')
    assert (made["service"], made["distribution"]) == ("tomcat-ECDSA", "multi-server")
    assert "CN = pub-EC-ms.lab.test" in openssl("req", "-noout", "-subject", stdin=made["csr"].encode())


@pytest.mark.parametrize(
    ("service", "unit"), [('"ipsec"', "ipsec"), ('"TVS-trust"', "TVS"), ('["CAPF-trust","Phone-VPN"]', "CAPF")]
)
def test_several_certificates_in_one_text_and_a_store_by_either_name(
    curl: Curl, authority: Authority, service: str, unit: str
) -> None:
    cas = [authority.root.read_text(), authority.issuing.read_text()]
    # With what `openssl s_client -showcerts` prints around them, and the line ends of another system.
    pasted = json.dumps("Certificate chain\r\n 0 s:CN = x\r\n" + "".join(cas).replace("\n", "\r\n") + "---\r\n")
    uploaded = curl.rest("/trust/certificates", *JSON, f'{{"service":{service},"certificates":[{pasted}]}}')
    assert "error" not in uploaded
    for name in (unit, f"{unit}-trust"):
        there = curl.rest(f"/trust/certificate?service={name}")["certificates"]
        assert set(cas) <= {each["certificate"] for each in there}, "byte for byte"


def test_a_leaf_and_its_chain_in_one_text(curl: Curl, authority: Authority, tmp_path: Path) -> None:
    cas = [authority.issuing.read_text(), authority.root.read_text()]
    curl.rest("/trust/certificates", *JSON, json.dumps({"service": ["tomcat"], "certificates": cas}))
    file = tmp_path / "tomcat.csr"
    file.write_text(curl.rest("/csr", *JSON, '{"service":"tomcat"}')["csr"])
    leaf = authority.sign(file).read_text()
    curl.rest(
        "/identity/certificates",
        *JSON,
        json.dumps({"service": ["tomcat"], "certificates": ["".join([leaf, *cas])]}),
    )
    assert fingerprint(curl.rest("/identity/certificate?service=tomcat")["certificate"]) == fingerprint(leaf)


def test_an_error_has_both_spellings_of_its_text(curl: Curl) -> None:
    body, told = curl.run("--user", curl.platform, *JSON, '{"service":"cows"}', curl.url("/csr"))
    answer = json.loads(body)
    assert told.startswith("400 ")
    assert answer["messages"] == [answer["message"]]
    assert "error" not in answer


def test_what_a_portal_asks_before_it_begins(curl: Curl) -> None:
    """It needs one 2xx of the three (W1.1); then it adds what nobody reads."""
    for path in ("/trust/certificate", "/identity/certificates", "/identity/certificate"):
        assert curl.rest(f"{path}?service=tomcat&certificate=tomcat")


def test_one_connection_serves_many_requests(curl: Curl) -> None:
    places = (curl.url("/options"), curl.url("/snapshot/options"), curl.url("/nothing"))
    _, told = curl.run("--user", curl.platform, *places)
    assert told.split("\n") == ["200 1", "200 0", "404 0"]


def test_a_request_that_somebody_typed_into_openssl(curl: Curl) -> None:
    account = base64.b64encode(curl.platform.encode()).decode()
    typed = f"GET {rest.BASE}/snapshot/server HTTP/1.0\r\nAuthorization: basic  {account}\r\n\r\n"
    said = openssl("s_client", "-quiet", "-connect", curl.at["HTTPS"], stdin=typed.encode())
    assert "HTTP/1.0 200 \r\n" in said, "no reason phrase"
    assert '"server": "pub"' in said


# -- W2


@pytest.mark.parametrize(
    "arguments",
    [
        (),  # a form again, and no SOAPAction
        ("--header", "Content-Type: text/xml;charset=UTF-8", "--header", "SOAPAction: soapGetServiceStatus"),
        ("--header", "Content-Type: text/xml; charset=utf-8", "--header", 'SOAPAction: "soapGetServiceStatus"'),
        ("--header", "Content-Type: text/xml", "--header", "SOAPAction: soapDoControlServices"),
        ("--header", "Content-Type: application/soap+xml", "--header", "SOAPAction;"),
        ("--anyauth",),
    ],
    ids=["form", "bare", "quoted", "another's", "empty", "anyauth"],
)
@pytest.mark.parametrize("port", PORTS)
def test_the_body_says_what_is_asked_for(curl: Curl, arguments: tuple[str, ...], port: str) -> None:
    answer = curl.soap(STATUS, *arguments, port=port)
    assert answer.startswith("200 ")
    assert answer.count("<ns1:ServiceName>") == answer.count("<ns1:ServiceName>Cisco Tftp<") == 1


def test_a_cookie_of_an_earlier_answer_and_an_empty_password(curl: Curl, tmp_path: Path) -> None:
    jar, head = tmp_path / "jar", tmp_path / "head"
    assert curl.soap(STATUS, "--cookie-jar", jar, "--dump-header", head).startswith("200 ")
    assert curl.soap(STATUS, "--cookie", jar, user=False).startswith("200 ")
    (line,) = (line for line in head.read_text().splitlines() if line.startswith("Set-Cookie: "))
    whole = ("--header", f"Cookie: {line.partition(': ')[2]}", "--header", "Authorization;")
    assert curl.soap(STATUS, *whole, user=False).startswith("200 "), "with its attributes"
    assert curl.soap(STATUS, "--header", "Authorization;", user=False).startswith("401 ")


@pytest.mark.parametrize("node", [NIL, "<NodeName/>", "", "<NodeName>pub</NodeName>"])
def test_an_order_to_this_node(curl: Curl, node: str) -> None:
    order = f"{node}<ControlType>Restart</ControlType><ServiceList><item>Cisco Tftp</item></ServiceList>"
    body = f"<soapDoControlServices><ControlServiceRequest>{order}</ControlServiceRequest></soapDoControlServices>"
    assert "<ns1:ServiceStatus>Started<" in curl.soap(body)


@pytest.mark.parametrize("name", ["DeploymentServiceRequestEx", "DeploymentServiceNoDbUpdateRequest"])
def test_a_deployment_by_either_name_of_its_request(curl: Curl, name: str) -> None:
    for kind, state in (("Deploy", "Started"), ("UnDeploy", "Stopped")):
        order = f"<DeployType>{kind}</DeployType><ServiceList><item>Cisco DirSync</item></ServiceList>"
        operation = "soapDoServiceDeploymentNoDbUpdate"
        answer = curl.soap(f"<{operation}><{name}>{order}</{name}></{operation}>", extended="Ex")
        assert f"<ns1:ServiceStatus>{state}<" in answer


def test_what_is_stopped_has_a_number_for_its_time(curl: Curl) -> None:
    answer = curl.soap("<soapGetServiceStatus><ServiceStatus>Cisco DirSync</ServiceStatus></soapGetServiceStatus>")
    assert "<ns1:UpTime>-1<" in answer


@pytest.mark.parametrize("query", ["wsdl", "WSDL"])
def test_the_description_is_there_for_who_has_the_password(curl: Curl, query: str) -> None:
    for at in curl.at.values():
        place = f"https://{at}{soap.BASE}/ControlCenterServicesEx?{query}"
        text, told = curl.run("--user", curl.application, place)
        assert told.startswith("200 ")
        # The port of https goes without saying: curl does not say it, nor does the answer.
        assert f'location="https://{at.removesuffix(":443")}/' in text
        assert curl.run(place)[1].startswith("401 ")
