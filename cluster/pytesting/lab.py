"""The lab of a test: where its nodes are, and what can be done to it. All by way of `ucmlab`'s commands."""

import hashlib
import json
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from ucmlab.cluster.pytesting.commandline import ucmlab

COMMAND_TIMEOUT_S = 300.0
Account = tuple[str, str]
"""User and password, as `requests` takes them."""


class CommandFailed(Exception):
    """A command of `ucmlab` had another exit status than 0."""

    def __init__(self, arguments: tuple[str, ...], status: int, text: str) -> None:
        """Keep what was asked for, how it ended (1 refused, 2 impossible, 3 indefinite), and what it said."""
        super().__init__(f"`ucmlab {' '.join(arguments)}` ended with {status}: {text.strip()}")
        self.status = status
        self.text = text


class LabNode(NamedTuple):
    """Where a node is reached. A port is None where the node does not listen."""

    name: str
    address: str
    fqdn: str
    https_port: int | None
    soap_port: int | None
    ssh_port: int | None

    @property
    def url(self) -> str:
        """Of its HTTPS interface, by the name that its certificate has (`RunningLab.resolving`)."""
        return f"https://{self.fqdn}:{self.https_port}"


class RunningLab:
    """A lab that runs."""

    def __init__(self, home: Path) -> None:
        """`home` is the lab's; its journals and certificates are files there."""
        self.home = home

    @cached_property
    def env(self) -> Mapping[str, str]:
        """What `ucmlab env` tells: addresses, ports, accounts."""
        told: dict[str, str] = json.loads(self.run("env", "--json"))
        return told

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """The nodes' names, the publisher's first."""
        return tuple(json.loads(self.run("hosts", "--json"))["hosts"])

    @property
    def ca_bundle(self) -> str:
        """The file that HTTPS clients verify with. The lab rewrites it when nodes present other certificates."""
        return self.env["UCMLAB_CA_BUNDLE"]

    @property
    def os_account(self) -> Account:
        """The platform's administrator: for REST, and at the nodes' command line."""
        return self.env["UCMLAB_OS_USER"], self.env["UCMLAB_OS_PASSWORD"]

    @property
    def app_account(self) -> Account:
        """The application's administrator: for SOAP."""
        return self.env["UCMLAB_APP_USER"], self.env["UCMLAB_APP_PASSWORD"]

    def node(self, name: str) -> LabNode:
        """A node by name.

        Raises:
            LookupError: there is none.
        """
        if name not in self.nodes:
            raise LookupError(f"there is no node {name!r} in this lab; there are {', '.join(self.nodes)}")
        prefix = f"UCMLAB_{re.sub('[^A-Z0-9]', '_', name.upper())}"
        ports = (self.env.get(f"{prefix}_{word}_PORT") for word in ("HTTPS", "SOAP", "SSH"))
        numbers = (None if port is None else int(port) for port in ports)
        return LabNode(name, self.env[f"{prefix}_ADDRESS"], self.env[f"{prefix}_FQDN"], *numbers)

    def run(self, *arguments: str | Path, stdin: str = "") -> str:
        """Do what `ucmlab ARGUMENTS` does with this lab; returns what it printed.

        Raises:
            CommandFailed: it was refused, was impossible, or its outcome is not known.
        """
        done = ucmlab(self.home, *arguments, stdin=stdin, timeout_s=COMMAND_TIMEOUT_S)
        if done.returncode != 0:
            raise CommandFailed(tuple(map(str, arguments)), done.returncode, done.stderr or done.stdout)
        return done.stdout

    def advance(self, duration: str) -> None:
        """Let lab time jump: `31m`, `24h`."""
        self.run("time", "advance", duration)

    def wait_converged(self, within: str = "120s") -> None:
        """Wait until all nodes agree.

        Raises:
            CommandFailed: they did not within so much lab time.
        """
        self.run("wait", "--converged", "--within", within)

    def wait_presents(self, node: str, service: str, certificate: str, within: str = "120s") -> None:
        """Wait until a service uses a certificate, which is given in PEM or by its SHA-256 fingerprint.

        Raises:
            CommandFailed: it did not within so much lab time.
        """
        self.run("wait", "--presents", node, service, fingerprint(certificate), "--within", within)

    @contextmanager
    def resolving(self) -> Iterator[None]:
        """As long as this lasts, the nodes' full names lead to their addresses, in this process and nowhere else."""
        places = {found.fqdn: found.address for found in map(self.node, self.nodes)}
        ask = socket.getaddrinfo

        def ask_here(host: str | bytes | None, *rest: object, **named: object) -> object:
            name = host.decode() if isinstance(host, bytes) else host
            return ask(places.get(name or "", host), *rest, **named)  # type: ignore[arg-type]  # as it was given

        socket.getaddrinfo = ask_here  # type: ignore[assignment]  # its many arguments are passed on unread
        try:
            yield
        finally:
            socket.getaddrinfo = ask


def fingerprint(certificate: str) -> str:
    """The SHA-256 fingerprint of the first certificate in a PEM text; any other text as it is."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    if begin not in certificate:
        return certificate
    first = certificate[certificate.index(begin) : certificate.index(end) + len(end)]
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(first)).hexdigest()
