"""Both ends of a node's TLS connections: whatever a peer presents is judged, told and survived."""

import pytest

from tests.playbook import LogBook, Playbook, config, row
from ucmlab.node.commands import OpenTls, Reply
from ucmlab.node.events import NO_CERTIFICATE, REJECTED, Connect, DiskImage, PeerShown, TlsOpened

SIP, SYSLOG = "Cisco CallManager", "Cisco Syslog Agent"
UNREADABLE = [(b"",), (b"garbage",), (row("Corp Root CA").der[:-1],), (row("Corp Root CA").der, b"garbage")]


def node() -> Playbook:
    identities = {unit: row(f"{unit} of sub1").der for unit in ("tomcat", "CallManager")}
    image = DiskImage(boot=0, installed=True, replica=LogBook().image(), identities=identities)
    return Playbook(config("sub1"), image=image).up()


@pytest.mark.rule("R-002")
@pytest.mark.parametrize("chain", UNREADABLE)
def test_a_client_that_presents_what_nobody_can_read_is_refused(chain: tuple[bytes, ...]) -> None:
    sub = node()
    sub.does(PeerShown("", SIP, "sip_tls", chain, "ASN1 lib"))
    told = sub.records("handshake")[-1].fields
    assert (told["verdict"], told["reason"]) == ("terminated", "malformed")


@pytest.mark.rule("R-002")
@pytest.mark.parametrize("chain", UNREADABLE)
def test_a_server_that_presents_what_nobody_can_read_is_refused(chain: tuple[bytes, ...]) -> None:
    sub = node()
    sub.does(Connect("op-1", "syslog", address="127.0.0.1:6514"))
    sub.does(TlsOpened("connect:op-1", "failed", chain, "ASN1 lib"))
    assert [(each.outcome, each.reason) for each in sub.all(Reply)] == [("refused", "malformed")]
    assert sub.records("handshake")[-1].fields["reason"] == "malformed"


@pytest.mark.rule("R-002")
@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (NO_CERTIFICATE, "no_certificate"),
        ("PEER_DID_NOT_RETURN_A_CERTIFICATE", "no_certificate"),
        ("NO_SHARED_CIPHER", "handshake_failed"),
        ("HTTP_REQUEST", "handshake_failed"),
        ("TimeoutError", "handshake_failed"),
        (REJECTED, "rejected"),
    ],
)
def test_only_who_had_nothing_to_present_is_said_to_have_presented_nothing(trouble: str, reason: str) -> None:
    sub = node()
    sub.does(PeerShown("", SIP, "sip_tls", (), trouble))
    assert sub.records("handshake")[-1].fields["reason"] == reason


@pytest.mark.parametrize(
    "address", ["", ":6514", "127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", "h:-1", "h:٣", "a\0b:1"]
)
def test_where_no_server_can_be_is_not_tried(address: str) -> None:
    sub = node()
    sub.does(Connect("op-1", "syslog", address=address))
    reply = sub.all(Reply)[-1]
    assert (reply.outcome, reply.reason) == ("refused", "not_found")
    assert reply.text == f"{address!r} is no HOST:PORT of a server" or "\0" in address
    assert (sub.all(OpenTls), sub.core.open_operations()) == ([], 0)


def test_by_what_is_no_name_nobody_is_called() -> None:
    sub = node()
    sub.does(Connect("op-1", "web", node="pub", name="pub\0.lab.test"))
    assert [(each.outcome, each.reason) for each in sub.all(Reply)] == [("refused", "not_found")]
