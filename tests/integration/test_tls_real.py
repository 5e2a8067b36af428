"""What a real lab's listeners do on the wire, as seen by programs that know nothing of ucmlab: OpenSSL and curl."""

import hashlib
import json
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest

from tests.integration.command_line import PATIENCE_S, CommandLine
from tests.openssl import RSA, openssl
from ucmlab.cluster.greetings import OPTIONS
from ucmlab.cluster.labclient import LabClient, connect
from ucmlab.node.events import OrderService
from ucmlab.node.instant import MINUTE
from ucmlab.node.rulebook import RuleBook

pytestmark = pytest.mark.slow

HOST = "sub1.lab.test"
TOMCAT, CALLMANAGER = "Cisco Tomcat", "Cisco CallManager"
BOOK = RuleBook.load("14SU2", "seed")
EC_UNITS = ("tomcat-ECDSA", "CallManager-ECDSA")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    made = CommandLine(tmp_path_factory.mktemp("wire"))
    made.must("up", "--detach", "--nodes", "pub,sub1")
    try:
        yield made
    finally:
        made.run("down")


@contextmanager
def asked(lab: CommandLine) -> Iterator[LabClient]:
    """The lab, without a process of the command line for each question."""
    link = connect(lab.home)
    assert link is not None
    with closing(link):
        yield link


def node_of(lab: CommandLine, name: str = "sub1") -> dict[str, Any]:
    """As `dump` shows it."""
    with asked(lab) as link:
        nodes: Any = link.dump()["nodes"]
    found: dict[str, Any] = nodes[name]
    return found


def restart(lab: CommandLine, node: str, service: str) -> None:
    with asked(lab) as link:
        assert link.operate("pub", OrderService(uuid4().hex, node, service, "restart")).outcome == "done"


def converge(lab: CommandLine) -> None:
    with asked(lab) as link:
        assert link.converged(2 * MINUTE)


def s_client(address: str, *options: str | Path) -> str:
    """What OpenSSL says of a connection, whether it came about or not."""
    command = ["openssl", "s_client", "-connect", address, "-servername", HOST, "-tls1_2", *map(str, options)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=30)
    return (done.stdout + done.stderr).decode(errors="replace")


def presented(address: str, unit: str = "") -> str:
    """The fingerprint of what is presented to who can verify keys of that unit's kind only; empty when nothing is."""
    said = s_client(address, "-cipher", "aECDSA" if unit in EC_UNITS else "aRSA")
    begin = said.find("-----BEGIN CERTIFICATE-----")
    if begin < 0:
        return ""
    block = said[begin : said.index("-----END CERTIFICATE-----") + 26]
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(block)).hexdigest()


def showing(node: dict[str, Any], unit: str) -> dict[str, str]:
    """The listeners that are open and present a unit: name to service. Tomcat's EC one is not offered by default."""
    rows = [row for row in BOOK.listeners.values() if row.name in node["addresses"] and unit in row.presents]
    return {row.name: row.service for row in rows if row.ciphers != "https" or unit not in EC_UNITS}


def until(holds: Callable[[], bool]) -> bool:
    """Look again and again, for a minute at most."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            return False
    return True


# -- what is presented


@pytest.mark.rule("R-141", "R-071", "B.14")
@pytest.mark.parametrize(
    "unit",
    [
        pytest.param(unit, marks=() if unit in ("CallManager", "TVS") else pytest.mark.library)
        for unit in ("tomcat", "CallManager", "CallManager-ECDSA", "TVS", "ipsec")
    ],
)
def test_what_openssl_sees_changes_with_the_restart_of_its_service_and_with_no_other(
    lab: CommandLine, unit: str
) -> None:
    before = node_of(lab)
    addresses, listeners = before["addresses"], showing(before, unit)
    old = before["identities"][unit]["fingerprint"]
    assert listeners
    assert {name: presented(addresses[name], unit) for name in listeners} == dict.fromkeys(listeners, old)
    lab.must("cert", "regenerate", "sub1", unit, "--yes")
    after = node_of(lab)
    new = after["identities"][unit]["fingerprint"]
    assert new != old
    waiting = [name for name, each in after["services"].items() if unit in each["pending"]]
    while True:
        node = node_of(lab)
        expected = {name: old if service in waiting else new for name, service in listeners.items()}
        assert {name: presented(node["addresses"][name], unit) for name in listeners} == expected
        if not waiting:
            break
        restart(lab, "sub1", waiting.pop())
    assert node["addresses"] == addresses
    assert [each["pending"] for each in node["services"].values() if unit in each["pending"]] == []


@pytest.mark.rule("R-008", "R-009", "R-010")
def test_ec_ciphers_are_offered_after_the_restart_and_who_has_none_in_common_is_told(lab: CommandLine) -> None:
    node = node_of(lab)
    address, ec = node["addresses"]["https_alt"], node["identities"]["tomcat-ECDSA"]["fingerprint"]
    lab.must("parameter", "set", "cluster", "HTTPS Ciphers", "All Supported EC and RSA Ciphers")
    converge(lab)
    assert "alert handshake failure" in s_client(address, "-cipher", "aECDSA")
    restart(lab, "sub1", TOMCAT)
    assert presented(address, "tomcat-ECDSA") == ec
    assert presented(address, "tomcat") == node["identities"]["tomcat"]["fingerprint"]
    told = lab.json("tls", "sub1", TOMCAT, "--ec")
    assert (told["fingerprint"], told["key"], told["reason"]) == (ec, "ec-384", "unknown_ca")
    lab.must("parameter", "set", "cluster", "HTTPS Ciphers", "RSA Ciphers Only")
    converge(lab)
    assert presented(address, "tomcat-ECDSA") == ec
    restart(lab, "sub1", TOMCAT)
    assert presented(address, "tomcat-ECDSA") == ""


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.rule("R-070", "R-004", "R-141")
@pytest.mark.library
def test_curl_opens_the_page_by_its_name_and_not_by_its_address(lab: CommandLine, tmp_path: Path) -> None:
    root, csr, leaf = tmp_path / "root.pem", tmp_path / "tomcat.csr", tmp_path / "tomcat.pem"
    lab.must("ca", "new", "Corp Root CA", "-o", root)
    lab.must("cert", "upload", "sub1", "tomcat-trust", root, "--wait")
    lab.must("cert", "csr", "sub1", "tomcat", "-o", csr)
    lab.must("ca", "sign", csr, "-o", leaf)
    lab.must("cert", "upload", "sub1", "tomcat", leaf)
    host, _, port = node_of(lab)["addresses"]["https_alt"].rpartition(":")

    def curl(name: str) -> tuple[int, str]:
        options = ["--cacert", str(root), "--resolve", f"{HOST}:{port}:{host}", "--noproxy", "*", "-sS"]
        command = ["curl", *options, "-o", "/dev/null", "-w", "%{http_code}", f"https://{name}:{port}/"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        return done.returncode, done.stdout

    assert f"UCMLAB_SUB1_HTTPS_PORT={node_of(lab)['addresses']['https'].rpartition(':')[2]}" in lab.must("env")
    assert curl(HOST) == (60, "000")  # it was not restarted
    assert lab.run("tls", "sub1", TOMCAT).returncode == 1
    restart(lab, "sub1", TOMCAT)
    assert curl(HOST) == (0, "404")
    assert curl(host) == (60, "000")
    told = lab.json("tls", "sub1", "tomcat")
    assert (told["verdict"], told["issuer"], told["chain"]) == ("trusted", "CN=Corp Root CA", 2)
    assert lab.json("tls", "sub1", "tomcat", "--name", host)["reason"] == "name_mismatch"
    inside = lab.json("tls", "sub1", "tomcat", "--from", "pub")
    assert (inside["verdict"], inside["reason"]) == ("terminated", "unknown_ca")
    converge(lab)
    restart(lab, "pub", TOMCAT)
    inside = lab.json("tls", "sub1", "tomcat", "--from", "pub")
    assert (inside["verdict"], inside["fingerprint"]) == ("trusted", told["fingerprint"])


# -- who is let in


def asked_for_options(address: str, certificate: Path, key: Path) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(certificate, key)
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=30) as raw, context.wrap_socket(raw) as client:
            client.sendall(OPTIONS)
            return client.recv(4096)
    except (ssl.SSLError, ConnectionError) as refused:
        return str(refused).encode()


@pytest.mark.rule("R-004", "R-005")
def test_sip_lets_in_whose_ca_it_has_loaded_and_nobody_else(lab: CommandLine, tmp_path: Path) -> None:
    root, key, leaf = tmp_path / "root.pem", tmp_path / "peer.key", tmp_path / "peer.pem"
    new = ("-nodes", "-days", "3000", "-subj")
    openssl("req", "-x509", *RSA, *new, "/CN=Trunk CA", "-keyout", tmp_path / "root.key", "-out", root)
    openssl("req", "-new", *RSA, "-nodes", "-subj", "/CN=peer.example", "-keyout", key, "-out", tmp_path / "peer.csr")
    by = ("-CA", root, "-CAkey", tmp_path / "root.key", "-days", "900")
    openssl("x509", "-req", "-in", tmp_path / "peer.csr", *by, "-out", leaf)
    address = node_of(lab)["addresses"]["sip_tls"]
    assert "alert handshake failure" in s_client(address)
    assert b"ALERT_UNKNOWN_CA" in asked_for_options(address, leaf, key)
    lab.must("cert", "upload", "sub1", "CallManager-trust", root, "--wait")
    assert b"ALERT_UNKNOWN_CA" in asked_for_options(address, leaf, key)
    restart(lab, "sub1", CALLMANAGER)
    assert asked_for_options(address, leaf, key).startswith(b"SIP/2.0 200 OK\r\n")
    events = [json.loads(line) for line in lab.must("events", "--name", "handshake", "--json").splitlines()]
    told = [(each["verdict"], each["reason"]) for each in events if each.get("listener") == "sip_tls"]
    refused = [("terminated", "no_certificate"), ("terminated", "unknown_ca"), ("terminated", "unknown_ca")]
    assert told[-4:] == [*refused, ("trusted", "")]


# -- who misbehaves


@pytest.fixture
def link(lab: CommandLine) -> Iterator[LabClient]:
    with asked(lab) as made:
        yield made


def dial(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=30)


def test_silent_clients_garbage_and_half_open_connections_keep_nobody_out(lab: CommandLine) -> None:
    node = node_of(lab)
    address, tomcat = node["addresses"]["https_alt"], node["services"][TOMCAT]["loaded"]["tomcat"]
    process = psutil.Process(node["pid"])
    descriptors = process.num_fds()
    with ExitStack() as stack:
        clients = [stack.enter_context(dial(address)) for _ in range(20)]
        for garbage in clients[5:10]:
            garbage.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        for torn in clients[10:15]:
            torn.sendall(b"\x16\x03\x01\x02\x00\x01\x00")  # a ClientHello that goes on, and does not come
        for half in clients[15:]:
            half.shutdown(socket.SHUT_WR)
        assert presented(address) == tomcat
        for half in clients[15:]:
            assert half.recv(1) == b""
    assert until(lambda: process.num_fds() <= descriptors)


@pytest.mark.library
def test_three_hundred_at_once_are_borne_and_the_others_are_served_afterwards(lab: CommandLine) -> None:
    node = node_of(lab)
    address, tomcat = node["addresses"]["https_alt"], node["services"][TOMCAT]["loaded"]["tomcat"]
    process = psutil.Process(node["pid"])
    descriptors = process.num_fds()
    with ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(dial(address))
        lab.must("cert", "regenerate", "sub1", "ipsec", "--yes")
        assert process.num_fds() < descriptors + 300
    assert until(lambda: presented(address) == tomcat)
    assert until(lambda: process.num_fds() <= descriptors)


@pytest.mark.library
def test_fifty_restarts_leave_no_descriptor_and_no_thread_behind(lab: CommandLine, link: LabClient) -> None:
    node = node_of(lab)
    address = node["addresses"]["https_alt"]
    process = psutil.Process(node["pid"])
    before = process.num_fds(), process.num_threads()
    for number in range(50):
        with dial(address) as silent:
            reply = link.operate("pub", OrderService(f"restart-{number}", "sub1", TOMCAT, "restart"))
            assert reply.outcome == "done", reply
            assert silent.recv(1) == b""  # cut off with its service
    assert node_of(lab)["addresses"] == node["addresses"]
    assert until(lambda: (process.num_fds(), process.num_threads()) <= before)
    assert presented(address) == node_of(lab)["identities"]["tomcat"]["fingerprint"]
