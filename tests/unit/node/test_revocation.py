"""Queries of a node: who is asked, how long is waited, and what follows (B.16)."""

import pytest
from cryptography.x509 import ocsp

from tests.unit.node.responders import URL, Desk
from ucmlab.node.certificates import parse
from ucmlab.node.commands import AskOcsp, GiveUp
from ucmlab.node.events import OcspAnswered, Upload
from ucmlab.node.instant import SECOND
from ucmlab.node.revocation import Verdict

CONFIGURED = {"OCSP URI Source": "Use Configured OCSP URI", "OCSP Configured URI": "http://va.corp.test"}


@pytest.mark.rule("R-158")
def test_a_node_that_was_told_nothing_asks_nobody() -> None:
    desk = Desk(on=False)
    assert desk.ask(desk.world.leaf()) == []
    assert [(verdict.status, verdict.connects) for verdict in desk.told] == [("not_asked", True)]
    assert not desk.play.core.revocation.asks_at_handshake("syslog")
    assert (desk.facts("ocsp_query"), [token for token in desk.play.timers if "revocation" in token]) == ([], [])


@pytest.mark.rule("R-166")
@pytest.mark.parametrize("client", ["syslog", "filebeat", "sip", "ils", "lbm"])
def test_each_named_client_asks_at_each_handshake(client: str) -> None:
    desk = Desk()
    leaf = desk.world.leaf()
    assert desk.play.core.revocation.asks_at_handshake(client)
    for _ in range(2):
        (asked,) = desk.ask(leaf, reason=f"handshake:{client}")
        desk.answer(asked)
    assert [each["reason"] for each in desk.facts("ocsp_query")] == [f"handshake:{client}"] * 2
    assert [query.serial for query in desk.world.responder.queries] == [parse(leaf).serial] * 2


@pytest.mark.rule("R-166")
def test_a_client_that_nobody_names_does_not_ask() -> None:
    assert not Desk().play.core.revocation.asks_at_handshake("browser")


STATUSES = ["good", "revoked", "unknown", "unreachable"]


def stand(desk: Desk, leaf: bytes, status: str) -> None:
    """Have a status found out."""
    if status == "revoked":
        desk.world.revoke(leaf)
    elif status == "unknown":
        del desk.world.office.books.issued[parse(leaf).serial]
    (asked,) = desk.ask(leaf)
    if status == "unreachable":
        desk.fail(asked)
    else:
        desk.answer(asked)


@pytest.mark.rule("R-164", "R-170", "B.16")
@pytest.mark.parametrize(
    ("status", "cc", "connects", "alarms"),
    [
        ("good", True, True, []),
        ("revoked", True, False, ["certificate_revoked"]),
        ("unknown", True, False, []),
        ("unreachable", True, False, ["revocation_status_unavailable"]),
        ("good", False, True, []),
        ("revoked", False, False, ["certificate_revoked"]),
        ("unknown", False, True, []),
        ("unreachable", False, True, ["revocation_status_unavailable"]),
    ],
)
def test_what_follows_from_a_status(status: str, cc: bool, connects: bool, alarms: list[str]) -> None:  # noqa: FBT001
    desk = Desk(cc=cc)
    stand(desk, desk.world.leaf(), status)
    assert [(verdict.status, verdict.connects) for verdict in desk.told] == [(status, connects)]
    assert desk.alarms() == alarms


@pytest.mark.rule("R-163")
def test_the_trusted_responder_is_looked_for_in_tomcat_trust() -> None:
    desk = Desk("unrelated")
    leaf = desk.world.leaf()
    stand(desk, leaf, "good")
    assert desk.told[0].detail == "untrusted_signer"
    assert len(desk.facts("dtm_failed")) == 1
    desk.set(**{"Enable OCSP": "false"})
    desk.play.does(Upload("u1", "tomcat-trust", desk.world.signer))
    desk.set(**{"Enable OCSP": "true"})
    stand(desk, leaf, "good")
    assert desk.told[1].status == "good"
    assert len(desk.facts("dtm_failed")) == 2


@pytest.mark.rule("R-165", "R-189")
def test_a_configured_uri_leaves_the_certificates_word_aside() -> None:
    desk = Desk()
    (asked,) = desk.ask(desk.world.leaf())
    assert asked.url == URL
    desk.set(**CONFIGURED)
    urls = [asked.url for ocsp in (URL, "") for asked in desk.ask(desk.world.leaf(ocsp=ocsp))]
    assert urls == ["http://va.corp.test"] * 2
    assert [each["source"] for each in desk.facts("ocsp_query")] == ["certificate", "configured", "configured"]


@pytest.mark.parametrize(
    ("uri", "trouble"),
    [
        ("", "no_uri"),
        ("https://va.corp.test", "uri"),
        ("ldap://va.corp.test", "uri"),
        ("http://", "uri"),
        ("http://[", "uri"),
        ("http://x:99999", "uri"),
        ("va.corp.test", "uri"),
    ],
)
def test_where_nobody_can_be_asked(uri: str, trouble: str) -> None:
    desk = Desk()
    desk.set(**CONFIGURED | {"OCSP Configured URI": uri})
    assert desk.ask(desk.world.leaf()) == []
    assert [(verdict.status, verdict.detail) for verdict in desk.told] == [("unreachable", trouble)]


def test_without_its_issuer_nothing_can_be_asked_about_a_certificate() -> None:
    desk = Desk()
    assert desk.ask(desk.world.leaf(), issuer=b"") == []
    assert desk.told[0].detail == "issuer_unknown"


def test_who_signed_itself_is_asked_about_by_nobody() -> None:
    desk = Desk(cc=True)
    assert desk.ask(desk.world.root) == []
    assert desk.told == [Verdict("not_asked", connects=True)]


def test_a_responder_that_says_nothing_is_given_up() -> None:
    desk = Desk()
    (asked,) = desk.ask(desk.world.leaf())
    desk.play.wait(10 * SECOND - 1)
    assert desk.told == []
    assert GiveUp(asked.token) in desk.play.wait(1)
    assert [(verdict.status, verdict.detail) for verdict in desk.told] == [("unreachable", "timeout")]
    desk.answer(asked)
    assert len(desk.told) == 1


def test_an_answer_is_taken_once() -> None:
    desk = Desk()
    (asked,) = desk.ask(desk.world.leaf())
    desk.answer(asked)
    desk.answer(asked)
    desk.play.does(OcspAnswered("ocsp:99", b""))
    assert len(desk.told) == 1


def test_lines_are_bounded_and_nobody_waits_longer_than_the_deadline() -> None:
    desk = Desk()
    leaf, limits = desk.world.leaf(), desk.play.rulebook.revocation.limits
    asked = [each for _ in range(limits.at_once + limits.waiting + 3) for each in desk.ask(leaf)]
    assert len(asked) == limits.at_once
    assert [verdict.detail for verdict in desk.told] == ["too_many"] * 3
    desk.answer(asked[0])
    assert len(desk.play.all(AskOcsp)) == limits.at_once + 1
    desk.play.wait(10 * SECOND)
    assert [verdict.detail for verdict in desk.told[4:]] == ["timeout"] * (limits.at_once + limits.waiting - 1)
    assert [token for token in desk.play.timers if "revocation" in token] == []


def test_an_older_answer_than_one_that_is_known_is_not_believed() -> None:
    """Somebody on the way keeps the good answer of before, and shows it after the revocation."""
    desk = Desk()
    leaf = desk.world.leaf()
    (first,) = desk.ask(leaf)
    kept = desk.world.responder.answer(first.request)
    desk.answer(first)
    desk.play.wait(2 * SECOND)
    desk.world.revoke(leaf)
    (second,) = desk.ask(leaf)
    desk.answer(second)
    (third,) = desk.ask(leaf)
    desk.play.does(OcspAnswered(third.token, kept))
    assert [(verdict.status, verdict.detail) for verdict in desk.told] == [
        ("good", ""),
        ("revoked", "keyCompromise"),
        ("unreachable", "replayed"),
    ]


def test_questions_of_a_list_that_was_dropped_are_asked_again() -> None:
    desk = Desk()
    (asked,) = desk.ask(desk.world.leaf())
    desk.play.timers.clear()
    desk.play.lab += 4 * SECOND
    again = desk.within(desk.play.core.revocation.ask_again)
    assert again == [asked]
    desk.play.wait(6 * SECOND)
    assert desk.told[0].detail == "timeout"


def test_a_request_names_one_certificate_and_has_no_nonce() -> None:
    desk = Desk()
    leaf = desk.world.leaf()
    (asked,) = desk.ask(leaf)
    read = ocsp.load_der_ocsp_request(asked.request)
    assert (f"{read.serial_number:x}", len(read.extensions)) == (parse(leaf).serial, 0)


@pytest.mark.rule("R-187")
def test_im_and_presence_has_settings_of_its_own() -> None:
    desk = Desk(on=False)
    desk.play.core.context.set_parameters["imp", "Enable OCSP"] = "true"
    assert not desk.play.core.revocation.on
