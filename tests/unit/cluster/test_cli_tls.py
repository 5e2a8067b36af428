"""`ucmlab tls` against a home on disk, a fake lab, and a listener of this process."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from tests.contract.handshaking import key_pem
from tests.unit.cluster.cli_lab import Bench, FakeLink, make_home
from tests.unit.node.authorities import Authority, issue
from ucmlab.cluster.tls_contexts import Identity, server_context
from ucmlab.node.certificates import parse, pem
from ucmlab.node.commands import Reply
from ucmlab.node.events import Connect
from ucmlab.node.instant import DAY

SEEN = {"fingerprint": "ab" * 32, "subject": "CN=sub1", "issuer": "CN=ca", "key": "rsa-2048", "chain": "2"}
HOST = "sub1.lab.test"
ROOT = issue("Corp Root CA", 1)
LEAF = issue(HOST, 2, ROOT, ca=False, extensions=[(x509.SubjectAlternativeName([x509.DNSName(HOST)]), False)])
STOPPED = {"kind": "feature", "enabled": True, "since": "", "loaded": {}, "pending": []}


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    home = make_home(tmp_path / "lab", nodes="pub,sub1,imp1")
    bench = Bench(home, FakeLink(home), monkeypatch)
    at = {"https_alt": "127.0.0.1:9", "sip_tls": "127.0.0.1:9"}
    bench.link.extra = {name: {"addresses": at} for name in ("pub", "sub1")}
    return bench


# -- another node connects


@pytest.mark.parametrize("where", [["Cisco Tomcat"], ["Cisco", "Tomcat"], ["tomcat"], ["8443"], ["https_alt"]])
def test_with_from_it_is_an_operation_of_that_node_however_the_service_is_written(lab: Bench, where: list[str]) -> None:
    lab.link.reply = Reply("", "done", seen=SEEN)
    result = lab.run("tls", "sub1", *where, "--from", "pub", "--name", "10.0.0.1", "--ec")
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "trusted")
    [(node, operation)] = lab.link.operations
    assert isinstance(operation, Connect)
    asked = msgspec.structs.replace(operation, op_id="")
    assert node == "pub"
    assert asked == Connect("", "web", node="sub1", listener="https_alt", name="10.0.0.1", ec_only=True)


def test_what_was_presented_and_why_it_was_terminated_are_told_in_both_forms(lab: Bench) -> None:
    lab.link.reply = Reply("", "refused", "unknown_ca", "The issuer is not trusted: CN=ca", seen=SEEN)
    result = lab.run("tls", "sub1", "tomcat", "--from", "pub")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0] == "terminated unknown_ca: The issuer is not trusted: CN=ca"
    assert "at           Cisco Tomcat of sub1, 127.0.0.1:9, called sub1.lab.test" in lines
    assert f"fingerprint  {'ab' * 32}" in lines
    told: Any = lab.json("tls", "sub1", "tomcat", "--from", "pub")
    assert told == {
        "schema": 1, "node": "sub1", "service": "Cisco Tomcat", "listener": "https_alt", "address": "127.0.0.1:9",
        "name": "sub1.lab.test", "verdict": "terminated", "reason": "unknown_ca",
        "text": "The issuer is not trusted: CN=ca", **SEEN, "not_after": "", "chain": 2,
    }  # fmt: skip


def test_nobody_knows_what_a_node_saw_that_did_not_answer(lab: Bench) -> None:
    lab.link.reply = Reply("", "indefinite", text="no answer")
    assert lab.run("tls", "sub1", "tomcat", "--from", "pub").exit_code == 3


# -- somebody outside connects


@contextmanager
def listening(leaf: Authority) -> Iterator[str]:
    """A listener that serves one client; its address."""
    context = server_context([Identity(chain=(leaf.der,), key=key_pem(leaf.key))]).context
    with socket.create_server(("127.0.0.1", 0)) as door:
        door.settimeout(10)

        def serve() -> None:
            with suppress(OSError), context.wrap_socket(door.accept()[0], server_side=True) as client:
                client.settimeout(10)
                client.recv(1024)
                client.sendall(b"HTTP/1.1 404 \r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        yield "{}:{}".format(*door.getsockname())
        thread.join()


def looked(lab: Bench, *arguments: str, leaf: Authority = LEAF) -> dict[str, Any]:
    with listening(leaf) as address:
        lab.link.extra["sub1"] = {"addresses": {"https_alt": address}}
        told: Any = lab.json("tls", "sub1", "tomcat", *arguments)
    found: dict[str, Any] = told
    return found


@pytest.mark.rule("R-004", "R-070")
def test_somebody_outside_trusts_what_he_is_given_and_is_told_what_was_presented(lab: Bench, tmp_path: Path) -> None:
    file = tmp_path / "root.pem"
    file.write_text(pem(ROOT.der))
    told = looked(lab, "--ca", str(file))
    assert (told["verdict"], told["reason"], told["name"]) == ("trusted", "", HOST)
    certificate = LEAF.certificate
    shown = {field: told[field] for field in ("fingerprint", "subject", "issuer", "key", "not_after", "chain")}
    assert shown == {
        "fingerprint": certificate.fingerprint, "subject": certificate.subject, "key": "ec-256",
        "issuer": ROOT.certificate.subject, "not_after": "2031-01-01T00:00:00Z", "chain": 1,
    }  # fmt: skip
    assert looked(lab, "--ca", str(file), "--name", "127.0.0.1")["reason"] == "name_mismatch"
    assert looked(lab)["reason"] == "unknown_ca"


def test_roots_of_the_labs_own_cas_are_trusted(lab: Bench, tmp_path: Path) -> None:
    file = tmp_path / "sub1.csr"
    builder = x509.CertificateSigningRequestBuilder(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)]))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
    file.write_bytes(builder.sign(LEAF.key, SHA256()).public_bytes(Encoding.PEM))
    assert lab.run("ca", "new", "Lab Root").exit_code == 0
    signed = lab.run("ca", "sign", str(file))
    assert signed.exit_code == 0, signed.stderr
    leaf = Authority(parse(x509.load_pem_x509_certificate(signed.stdout_bytes).public_bytes(Encoding.DER)), LEAF.key)
    assert looked(lab, leaf=leaf)["verdict"] == "trusted"


def test_the_labs_wall_clock_judges_dates(lab: Bench, tmp_path: Path) -> None:
    lab.link.lab = 365 * 6 * DAY
    file = tmp_path / "root.pem"
    file.write_text(pem(ROOT.der))
    assert looked(lab, "--ca", str(file))["reason"] == "expired"


def test_a_port_where_nobody_answers_is_a_terminated_connection(lab: Bench) -> None:
    told: Any = lab.json("tls", "sub1", "8443")
    assert (told["verdict"], told["reason"], told["fingerprint"], told["chain"]) == ("terminated", "unreachable", "", 0)


# -- what cannot be asked


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["sub9", "tomcat"], "there is no node 'sub9' in this lab; there are pub, sub1, imp1"),
        (["sub1", "tomcat", "--from", "sub9"], "there is no node 'sub9' in this lab; there are pub, sub1, imp1"),
        (["sub1", "Cisco", "Nothing"], "nothing listens at Cisco Nothing; there are Cisco Tomcat (443), "),
        (["sub1", "2445"], "nothing listens at 2445 of sub1: Cisco Trust Verification Service is stopped; "),
        (["sub1", "capf"], "nothing listens at 3804 of sub1, Cisco Certificate Authority Proxy Function; there is "),
        (["imp1", "tomcat"], "imp1 is down, so nothing listens there; start it with `ucmlab fault start imp1`"),
        (["sub1", "tomcat", "--ca", "none.pem"], "none.pem cannot be read"),
        (["sub1", "tomcat", "--ca", "-"], "- is no certificate: "),
        (["sub1", "tomcat", "--ca", "-", "--from", "pub"], "--ca is for who connects from outside"),
    ],
)
def test_what_cannot_be_asked_is_told_in_one_line(lab: Bench, arguments: list[str], text: str) -> None:
    lab.link.extra["sub1"]["services"] = {"Cisco Trust Verification Service": {"state": "stopped", **STOPPED}}
    lab.link.states["imp1"] = "down"
    result = lab.run("tls", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"ucmlab: {text}")
    assert result.stderr.count("\n") == 1
    assert lab.link.operations == []


def test_a_lab_that_does_not_run_has_nothing_to_look_at(lab: Bench) -> None:
    lab.running = False
    result = lab.run("tls", "sub1", "tomcat")
    assert (result.exit_code, "does not run; start it with `ucmlab up" in result.stderr) == (2, True)
