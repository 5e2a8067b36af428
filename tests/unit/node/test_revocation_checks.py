"""What is checked without anybody's asking: certificates on a schedule, long-lived links, the CRL."""

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.unit.node.responders import URL, Desk, World
from ucmlab.node.certificates import parse, pem
from ucmlab.node.commands import AskOcsp, FetchCrl, GiveUp, WriteFile
from ucmlab.node.events import CommandFailed, CrlFetched, OcspAnswered, Upload
from ucmlab.node.instant import DAY, HOUR, MINUTE, SECOND
from ucmlab.node.revocation_checks import precheck

EVERY_SIX = {"Enable Revocation Check": "true", "Check Every": "6"}
CRL_URL = "http://crl.corp.test/corp.crl"
CRL = {"Enable CRL": "true", "CRL Distribution Point URI": CRL_URL}


def stocked(*names: str, **how: bool | str) -> tuple[Desk, list[bytes]]:
    """A node that trusts a root and, beside it, certificates that the root issued."""
    desk = Desk(on=False, **how)  # type: ignore[arg-type]  # as Desk has them
    leaves = [desk.world.leaf(name) for name in names]
    for number, der in enumerate((desk.world.root, *leaves)):
        desk.play.does(Upload(f"u{number}", "tomcat-trust", der))
    return desk, leaves


def waiting(desk: Desk) -> list[AskOcsp]:
    """What was asked and neither answered nor given up."""
    gone = {each.token for each in desk.play.all(GiveUp)} | {str(each) for each in desk.answered}
    return [each for each in desk.play.all(AskOcsp) if each.token not in gone]


def answer_all(desk: Desk) -> None:
    while asked := waiting(desk):
        for each in asked:
            desk.answer(each)


@pytest.mark.rule("R-159", "R-190", "R-191")
def test_each_monitored_certificate_is_asked_about_at_each_interval() -> None:
    desk, leaves = stocked("a", "b", "c", "d", "e", "f")
    desk.set(**{"Enable OCSP": "true"}, **EVERY_SIX)
    for day_part in range(1, 4):
        desk.play.wait(6 * HOUR - 1)
        assert len(desk.world.responder.queries) == 6 * (day_part - 1)
        desk.play.wait(1)
        answer_all(desk)
        assert len(desk.world.responder.queries) == 6 * day_part
    asked = [each["fingerprint"] for each in desk.facts("ocsp_query")]
    assert sorted(map(str, asked)) == sorted([parse(leaf).fingerprint for leaf in leaves] * 3)
    assert {each["reason"] for each in desk.facts("ocsp_query")} == {"schedule"}
    assert desk.facts("revocation_check")[-1] == {
        "phase": "ended",
        "good": 6,
        "revoked": 0,
        "unknown": 0,
        "unreachable": 0,
    }
    assert desk.alarms() == []


@pytest.mark.rule("R-190")
def test_without_enable_revocation_check_nothing_is_checked_on_a_schedule() -> None:
    desk, _ = stocked("a")
    desk.set(**{"Enable OCSP": "true", "Check Every": "6"})
    desk.play.wait(3 * DAY)
    assert desk.play.all(AskOcsp) == []
    desk.set(**{"Enable OCSP": "false"}, **EVERY_SIX)
    desk.play.wait(3 * DAY)
    assert (desk.play.all(AskOcsp), [token for token in desk.play.timers if "revocation" in token]) == ([], [])


@pytest.mark.rule("R-191")
def test_days_or_hours() -> None:
    desk, _ = stocked("a")
    desk.set(**{"Enable OCSP": "true"}, **EVERY_SIX, **{"Check Every Unit": "days"})
    desk.play.wait(6 * DAY - 1)
    assert desk.play.all(AskOcsp) == []
    desk.play.wait(1)
    assert len(desk.play.all(AskOcsp)) == 1


def test_what_does_not_change_the_interval_does_not_postpone_the_check() -> None:
    desk, _ = stocked("a")
    desk.set(**{"Enable OCSP": "true"}, **EVERY_SIX)
    desk.play.wait(5 * HOUR)
    desk.set(**{"OCSP Configured URI": "http://va.corp.test"})
    desk.play.wait(HOUR)
    assert len(desk.play.all(AskOcsp)) == 1


def test_what_names_no_responder_is_not_monitored_unless_one_is_configured() -> None:
    desk = Desk(on=False)
    silent = desk.world.leaf("silent", ocsp="")
    for number, der in enumerate((desk.world.root, silent)):
        desk.play.does(Upload(f"u{number}", "tomcat-trust", der))
    desk.set(**{"Enable OCSP": "true"}, **EVERY_SIX)
    desk.play.wait(6 * HOUR)
    assert (desk.play.all(AskOcsp), desk.alarms()) == ([], [])
    desk.set(**{"OCSP URI Source": "Use Configured OCSP URI", "OCSP Configured URI": URL})
    desk.play.wait(6 * HOUR)
    assert len(desk.play.all(AskOcsp)) == 1


@pytest.mark.rule("R-164")
def test_a_scheduled_check_without_a_responder_raises_one_alarm_and_the_rest_goes_on() -> None:
    desk, _ = stocked(*(f"server{number}" for number in range(10)), cc=True)
    desk.set(**{"Enable OCSP": "true"}, **EVERY_SIX)
    desk.play.wait(6 * HOUR)
    assert len(waiting(desk)) == 4
    desk.play.wait(10 * SECOND)
    assert desk.alarms() == []
    other = World(title="Other Root", key="ec-384").root
    desk.play.does(Upload("meanwhile", "tomcat-trust", other))
    assert parse(other).fingerprint in desk.play.files()
    desk.play.wait(20 * SECOND)
    assert desk.facts("alarm") == [
        {
            "alarm": "revocation_status_unavailable",
            "reason": "schedule",
            "url": URL,
            "detail": "timeout",
            "certificates": 10,
        }
    ]


@pytest.mark.rule("R-168", "X-10")
def test_a_scheduled_check_finds_what_was_revoked_until_a_hold_is_lifted() -> None:
    desk, (held, _) = stocked("held", "other")
    desk.set(**{"Enable OCSP": "true"}, **EVERY_SIX)
    desk.world.revoke(held, "certificateHold")
    desk.play.wait(6 * HOUR)
    answer_all(desk)
    assert [each["detail"] for each in desk.facts("alarm")] == ["certificateHold"]
    assert desk.play.core.revocation_checks.revoked == {parse(held).fingerprint}
    desk.world.unhold(held)
    desk.play.wait(6 * HOUR)
    answer_all(desk)
    assert (len(desk.alarms()), desk.play.core.revocation_checks.revoked) == (1, frozenset())


def test_a_check_that_lasts_longer_than_its_interval_is_not_begun_twice() -> None:
    desk, _ = stocked(*(f"server{number}" for number in range(8)))
    desk.set(**{"Enable OCSP": "true"}, **EVERY_SIX)
    desk.play.wait(6 * HOUR)
    desk.within(desk.play.core.revocation_checks.timer, "revocation:check")
    assert desk.alarms() == ["revocation_check_late"]
    answer_all(desk)
    assert len(desk.world.responder.queries) == 8


def test_a_hundred_certificates_of_unknown_issuers_are_told_in_one_alarm() -> None:
    desk = Desk(on=False)
    for number in range(100):
        desk.play.does(Upload(f"u{number}", "tomcat-trust", desk.world.leaf(f"server{number}")))
    desk.set(**{"Enable OCSP": "true"}, **EVERY_SIX)
    desk.play.wait(6 * HOUR)
    assert [(each["detail"], each["certificates"]) for each in desk.facts("alarm")] == [("issuer_unknown", 100)]


def test_a_schedule_outlives_a_full_disk() -> None:
    desk, _ = stocked("a")
    desk.set(**{"Enable OCSP": "true"}, **EVERY_SIX)
    desk.play.wait(HOUR)
    desk.play.timers.clear()
    desk.play.does(CommandFailed(WriteFile.__name__, "", "disk full"))
    desk.play.wait(5 * HOUR)
    assert len(desk.play.all(AskOcsp)) == 1


@pytest.mark.rule("R-186")
def test_who_enables_ocsp_is_warned_where_nothing_could_sign_answers() -> None:
    desk = Desk("unrelated", on=False)
    desk.play.does(Upload("u0", "tomcat-trust", desk.world.root))
    (warning,) = precheck(desk.play.core.filing)
    assert "tomcat-trust" in warning
    desk.play.does(Upload("u1", "tomcat-trust", desk.world.signer))
    assert precheck(desk.play.core.filing) == ()


# -- long-lived links


def linked(desk: Desk, *clients: str) -> list[tuple[str, str]]:
    """Links of these clients to a server each; what was dropped is in the list that comes back."""
    dropped: list[tuple[str, str]] = []
    desk.play.core.links.dropped = lambda link_id, why: dropped.append((link_id, why))
    for client in clients:
        desk.play.core.links.opened(f"{client} 1", client, (desk.world.leaf(client), desk.world.root))
    return dropped


def revoke_of(desk: Desk, client: str) -> None:
    link = desk.play.core.links._links[f"{client} 1"]
    desk.world.revoke(link.chain[0].der)


@pytest.mark.rule("R-192")
@pytest.mark.parametrize("client", ["cti", "ipsec", "ldap"])
def test_without_validity_check_a_revoked_peer_stays_connected(client: str) -> None:
    desk = Desk()
    dropped = linked(desk, client)
    revoke_of(desk, client)
    desk.set(**EVERY_SIX)
    desk.play.wait(30 * DAY)
    assert (dropped, waiting(desk)) == ([], [])


@pytest.mark.rule("R-192")
@pytest.mark.parametrize("client", ["cti", "ipsec", "ldap"])
def test_with_it_the_link_of_a_revoked_peer_is_dropped_at_the_check(client: str) -> None:
    desk = Desk()
    desk.set(**{"Certificate Validity Check": "true"})
    dropped = linked(desk, client)
    desk.play.wait(24 * HOUR)
    answer_all(desk)
    assert dropped == []
    revoke_of(desk, client)
    desk.play.wait(24 * HOUR)
    answer_all(desk)
    assert dropped == [(f"{client} 1", "revoked")]
    assert [each["reason"] for each in desk.facts("link_dropped")] == ["revoked"]


@pytest.mark.rule("R-193")
@pytest.mark.parametrize(("checked", "first"), [(True, 6 * HOUR), (False, 24 * HOUR)])
def test_the_interval_of_the_revocation_check_takes_precedence(checked: bool, first: int) -> None:  # noqa: FBT001
    desk = Desk()
    desk.set(**EVERY_SIX, **{"Certificate Validity Check": "true", "Validity Check Frequency": "24"})
    if not checked:
        desk.set(**{"Enable Revocation Check": "false"})
    dropped = linked(desk, "ldap")
    desk.play.wait(HOUR)
    revoke_of(desk, "ldap")
    desk.play.wait(first - HOUR - 1)
    assert (desk.play.all(AskOcsp), dropped) == ([], [])
    desk.play.wait(1)
    answer_all(desk)
    assert dropped == [("ldap 1", "revoked")]


@pytest.mark.rule("R-193")
def test_it_does_so_where_it_is_the_longer_one() -> None:
    desk = Desk()
    desk.set(**EVERY_SIX, **{"Certificate Validity Check": "true", "Validity Check Frequency": "1"})
    linked(desk, "ldap")
    desk.play.wait(6 * HOUR - 1)
    assert desk.play.all(AskOcsp) == []


def test_a_peer_outside_its_dates_is_dropped_whether_or_not_ocsp_is_on() -> None:
    desk = Desk(on=False)
    desk.set(**{"Certificate Validity Check": "true"})
    dropped = linked(desk, "ldap")
    desk.play.wall_offset = 800 * DAY
    desk.play.wait(24 * HOUR)
    assert dropped == [("ldap 1", "expired")]


def test_links_that_ended_or_are_short_lived_are_not_asked_about() -> None:
    desk = Desk()
    desk.set(**{"Certificate Validity Check": "true"})
    dropped = linked(desk, "ldap", "sip")
    desk.play.core.links.closed("ldap 1")
    desk.play.core.links.closed("ldap 1")
    desk.play.wait(30 * DAY)
    assert (desk.play.all(AskOcsp), dropped) == ([], [])


def test_links_with_one_certificate_are_asked_about_once_and_dropped_together() -> None:
    desk = Desk()
    desk.set(**{"Certificate Validity Check": "true"})
    dropped = linked(desk)
    leaf = desk.world.leaf()
    for number in range(20):
        desk.play.core.links.opened(f"ldap {number}", "ldap", (leaf, desk.world.root))
    desk.world.revoke(leaf)
    desk.play.wait(24 * HOUR)
    answer_all(desk)
    assert (len(dropped), len(desk.world.responder.queries)) == (20, 1)


@pytest.mark.parametrize(("cc", "left"), [(True, 0), (False, 1)])
def test_a_link_whose_responder_is_down_ends_in_common_criteria_mode_alone(cc: bool, left: int) -> None:  # noqa: FBT001
    desk = Desk(cc=cc)
    desk.set(**{"Certificate Validity Check": "true"})
    linked(desk, "ldap")
    desk.play.wait(24 * HOUR + 10 * SECOND)
    assert (len(desk.play.core.links._links), desk.alarms()) == (left, ["revocation_status_unavailable"])


# -- the CRL


def with_crl(values: dict[str, str] | None = None, *, ocsp: bool = False) -> Desk:
    desk = Desk(on=ocsp, release="14SU3")
    desk.play.does(Upload("u0", "CAPF-trust", desk.world.root))
    desk.set(**CRL, **(values or {}))
    return desk


def fetched(desk: Desk, crl: bytes | None = None) -> None:
    desk.world.wall = desk.wall
    desk.play.does(CrlFetched("crl", desk.world.responder.crl() if crl is None else crl))


@pytest.mark.rule("A.19", "B.16")
def test_before_14su3_there_is_no_crl() -> None:
    desk = Desk(on=False)
    context = desk.play.core.context
    context.set_parameters |= {("cucm", name): value for name, value in CRL.items()}
    desk.within(desk.play.core.parameters_changed)
    desk.play.wait(30 * DAY)
    assert desk.play.all(FetchCrl) == []


@pytest.mark.rule("A.19", "B.16")
def test_what_the_crl_lists_is_revoked_and_the_rest_is_nobodys_business() -> None:
    desk = with_crl()
    listed, other = desk.world.leaf("listed"), desk.world.leaf("other")
    desk.world.revoke(listed)
    assert desk.play.all(FetchCrl) == [FetchCrl("crl", CRL_URL)]
    fetched(desk)
    assert (desk.ask(listed), desk.ask(other)) == ([], [])
    assert [(verdict.status, verdict.connects, verdict.source) for verdict in desk.told] == [
        ("revoked", False, "crl"),
        ("not_asked", True, ""),
    ]


@pytest.mark.rule("A.19", "B.16")
def test_a_crl_that_changed_raises_crlchanged() -> None:
    desk = with_crl()
    fetched(desk)
    desk.play.wait(DAY)
    fetched(desk)
    assert desk.alarms() == []
    desk.world.revoke(desk.world.leaf())
    desk.play.wait(DAY)
    assert len(desk.play.all(FetchCrl)) == 3
    fetched(desk)
    assert desk.facts("alarm") == [
        {"alarm": "CRLChanged", "url": CRL_URL, "issuer": "CN=Corp Root CA", "added": 1, "removed": 0}
    ]


def test_the_scheduled_check_says_how_often_the_crl_is_fetched() -> None:
    desk = with_crl(EVERY_SIX)
    desk.play.wait(18 * HOUR)
    assert len(desk.play.all(FetchCrl)) == 4


def test_ocsp_comes_first_and_the_crl_where_it_says_nothing() -> None:
    desk = with_crl(ocsp=True)
    held, gone = desk.world.leaf("held"), desk.world.leaf("gone")
    for leaf, reason in ((held, "certificateHold"), (gone, "keyCompromise")):
        desk.world.revoke(leaf, reason)
    fetched(desk)
    desk.world.unhold(held)
    (first,) = desk.ask(held)
    desk.answer(first)
    (second,) = desk.ask(gone)
    desk.fail(second)
    assert [(verdict.status, verdict.source) for verdict in desk.told] == [("good", "ocsp"), ("revoked", "crl")]


def test_an_older_crl_does_not_take_the_place_of_a_newer_one() -> None:
    desk = with_crl()
    leaf = desk.world.leaf()
    old = desk.world.responder.crl()
    desk.world.revoke(leaf)
    desk.play.wait(2 * SECOND)
    fetched(desk)
    fetched(desk, old)
    assert [each["detail"] for each in desk.facts("alarm")] == ["replayed"]
    desk.ask(leaf)
    assert desk.told[0].status == "revoked"


def test_a_crl_counts_until_it_says() -> None:
    desk = with_crl()
    leaf = desk.world.leaf()
    desk.world.revoke(leaf)
    fetched(desk)
    desk.play.wall_offset = 7 * DAY + 6 * MINUTE
    desk.play.wait(1)
    desk.play.wait(DAY)
    desk.ask(leaf)
    assert desk.told[0].status == "not_asked"


@pytest.mark.parametrize(
    ("content", "trouble"),
    [
        (b"nonsense", "nonsense"),
        (b"", "nonsense"),
        (World(title="Other Root", key="ec-384").responder.crl(), "issuer_unknown"),
        (World(key="ec-384").responder.crl(), "untrusted_signer"),
    ],
)
def test_a_crl_that_cannot_be_believed(content: bytes, trouble: str) -> None:
    desk = with_crl()
    fetched(desk, content)
    assert [each["detail"] for each in desk.facts("alarm")] == [trouble]
    assert desk.play.core.revocation.crl is None


def test_a_crl_in_pem_is_one_too() -> None:
    desk = with_crl()
    fetched(desk, desk.world.office.crl().public_bytes(Encoding.PEM))
    assert desk.play.core.revocation.crl is not None
    assert pem(desk.world.root).startswith("-----BEGIN")


def test_a_crl_that_cannot_be_had() -> None:
    desk = with_crl()
    desk.play.wait(10 * SECOND)
    assert GiveUp("crl") in desk.play.commands
    desk.play.does(CrlFetched("crl", trouble="refused"))
    assert [each["detail"] for each in desk.facts("alarm")] == ["timeout", "refused"]


def test_who_turns_it_off_has_no_list_any_more() -> None:
    desk = with_crl()
    leaf = desk.world.leaf()
    desk.world.revoke(leaf)
    fetched(desk)
    desk.set(**{"Enable CRL": "false"})
    desk.ask(leaf)
    assert desk.told[0].status == "not_asked"
    desk.play.does(CrlFetched("crl", desk.world.responder.crl()))
    assert desk.play.core.revocation.crl is None
    assert [token for token in desk.play.timers if "revocation" in token] == []


def test_what_answers_nobody_is_let_pass() -> None:
    desk = Desk()
    desk.play.does(CrlFetched("crl", b"x"))
    desk.play.does(CrlFetched("another", b"x"))
    desk.play.does(OcspAnswered("ocsp:1"))
    assert desk.alarms() == []
