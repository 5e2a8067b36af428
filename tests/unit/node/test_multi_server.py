"""Requests and certificates for several nodes, on one of them: who may send them, and when the operator is answered."""

import pytest
from msgspec.structs import replace

from tests.playbook import TOPICS, Playbook, config, row
from ucmlab.broker.messages import Answer, PeerAnswer, PeerCertificate, PeerKey, Proposal
from ucmlab.node.commands import MakeCsr, MakeIdentity, OpenShared, Reply
from ucmlab.node.events import Age, DiskImage, GenerateCsr, OrderService, Regenerate, Upload
from ucmlab.node.instant import DAY, SECOND

NODES = ("pub", "sub1", "imp1")
WORDS = {True: "format", False: "wrong_purpose"}
"""Why a request is refused that was opened, or not even that."""


def node(name: str) -> Playbook:
    """One whose services are started."""
    made = Playbook(config(name, nodes=NODES), image=DiskImage(boot=0, installed=True)).up()
    made.wait(0)
    made.commands.clear()
    return made


def new_node(name: str, *, release: str = "14SU2") -> Playbook:
    """One that has made its identities, and is not installed yet."""
    return Playbook(replace(config(name, nodes=NODES), release=release), image=DiskImage(boot=0)).up()


def replies(on: Playbook) -> list[Reply]:
    return [each for each in on.commands if isinstance(each, Reply)]


def test_a_request_is_taken_from_a_node_that_has_the_unit_itself() -> None:
    sub = node("sub1")
    for sender, taken in (("imp1", False), ("pub", True)):
        told = PeerKey(f"op-{sender}", "CallManager", "request", b"blob", sub.lab + 30 * SECOND)
        wanted = sub.hears(sender, TOPICS.peer(sender, "sub1"), told)
        assert any(isinstance(each, OpenShared) for each in wanted) is taken
        answers = [said for said in sub.said(PeerAnswer) if said.op_id == told.op_id]
        # What does not open is no request either.
        assert [(each.outcome, each.reason) for each in answers] == [("refused", WORDS[taken])]
    assert "CallManager" not in sub.disk.csrs


def test_a_certificate_for_a_trust_unit_is_not_taken_from_a_peer() -> None:
    sub = node("sub1")
    told = PeerCertificate("op-1", "tomcat-trust", row().der, "", sub.lab + 30 * SECOND)
    sub.hears("pub", TOPICS.peer("pub", "sub1"), told)
    assert [(each.outcome, each.reason) for each in sub.said(PeerAnswer)] == [("refused", "wrong_purpose")]
    assert not sub.disk.files.keys() & {("tomcat-trust", name) for _, name in sub.disk.files if "Corp" in name}


KEY = PeerKey("op-1", "CallManager", "request", b"blob", 30 * SECOND)
CERTIFICATE = PeerCertificate("op-1", "CallManager", row().der, "", 30 * SECOND)


@pytest.mark.rule("B.8", "S11")
@pytest.mark.parametrize("said", [KEY, CERTIFICATE], ids=["key", "certificate"])
def test_what_comes_too_late_is_neither_taken_nor_answered(said: PeerKey | PeerCertificate) -> None:
    for wait, taken in ((30 * SECOND, True), (30 * SECOND + 1, False)):
        sub = node("sub1")
        sub.wait(wait - sub.lab)
        sub.commands.clear()
        sub.hears("pub", TOPICS.peer("pub", "sub1"), said)
        assert bool(sub.said(PeerAnswer)) is taken  # that it does not open, or that no request is there
        assert any(isinstance(each, OpenShared) for each in sub.commands) is (taken and said is KEY)
        late = [each.fields for each in sub.records("shared")]
        assert late == ([] if taken else [{"unit": "CallManager", "sender": "pub", "outcome": "expired"}])


@pytest.mark.rule("B.8", "S11")
@pytest.mark.parametrize("said", [KEY, CERTIFICATE], ids=["key", "certificate"])
def test_what_was_made_before_the_node_booted_is_over(said: PeerKey | PeerCertificate) -> None:
    """It may have been taken, and what administrators did since then would be undone by its repetition."""
    sub = node("sub1")
    sub.wait(SECOND)
    sub.restart()
    sub.wait(SECOND)
    sub.commands.clear()
    sub.hears("pub", TOPICS.peer("pub", "sub1"), said)
    assert not sub.said(PeerAnswer)
    assert not sub.all(OpenShared)
    assert [each.fields["outcome"] for each in sub.records("shared")] == ["expired"]
    newer = replace(said, op_id="op-2", not_after=sub.lab + 30 * SECOND)
    sub.hears("pub", TOPICS.peer("pub", "sub1"), newer)
    assert sub.said(PeerAnswer)


@pytest.mark.rule("B.8", "S11")
def test_what_was_answered_in_time_is_answered_again_whenever_it_is_repeated() -> None:
    sub = node("sub1")
    for wait in (0, DAY):
        sub.wait(wait)
        sub.commands.clear()
        sub.hears("pub", TOPICS.peer("pub", "sub1"), CERTIFICATE)
        assert [(each.outcome, each.reason) for each in sub.said(PeerAnswer)] == [("refused", "key_type")]


@pytest.mark.rule("B.8", "S11")
def test_a_key_says_until_when_it_counts_however_often_it_is_repeated() -> None:
    pub = node("pub")
    pub.hears_birth("sub1", "up")
    began = pub.lab
    pub.does(GenerateCsr("op-1", "CallManager", multi_server=True))
    pub.wait(29 * SECOND)
    said = pub.said(PeerKey)
    assert len(said) > 1
    assert {each.not_after for each in said} == {began + 30 * SECOND}


@pytest.mark.rule("B.8", "C-50")
@pytest.mark.parametrize("service", ["Cisco Tomcat", "Cisco Platform Administrative Web Service"])
@pytest.mark.parametrize(
    "said", [KEY, replace(KEY, kind="identity"), CERTIFICATE], ids=["request", "self-signed", "certificate"]
)
def test_nothing_comes_to_a_node_whose_web_service_is_not_started(
    said: PeerKey | PeerCertificate, service: str
) -> None:
    sub = node("sub1")
    sub.does(OrderService("op-stop", "sub1", service, "stop"))
    sub.hears("pub", TOPICS.peer("pub", "sub1"), said)
    sub.does(OrderService("op-start", "sub1", service, "start"))
    sub.wait(SECOND)
    assert sub.core.services.running("Cisco Platform Administrative Web Service")
    # The operator was told that this node went without: so it stays.
    sub.hears("pub", TOPICS.peer("pub", "sub1"), said)
    assert [(each.outcome, each.reason) for each in sub.said(PeerAnswer)] == [("refused", "service_stopped")] * 2
    assert not sub.all(OpenShared)
    told = [each.fields for each in sub.records("shared")]
    assert told == [{"unit": "CallManager", "sender": "pub", "outcome": "service_stopped"}]
    newer = replace(KEY, op_id="op-2", not_after=sub.lab + 30 * SECOND)
    assert any(isinstance(each, OpenShared) for each in sub.hears("pub", TOPICS.peer("pub", "sub1"), newer))


@pytest.mark.rule("B.8", "C-50")
def test_what_runs_on_the_node_that_was_asked_is_no_matter() -> None:
    pub = node("pub")
    pub.hears_birth("sub1", "up")
    pub.does(OrderService("op-stop", "pub", "Cisco Tomcat", "stop"))
    pub.does(GenerateCsr("op-1", "CallManager", multi_server=True))
    assert len(pub.said(PeerKey)) == 1


STARTED = "Cisco Tomcat and Cisco Platform Administrative Web Service are started there"


@pytest.mark.rule("B.8", "C-50")
@pytest.mark.parametrize(
    ("reason", "advice"),
    [("service_stopped", f"; make a new request when {STARTED}"), ("format", "")],
)
def test_who_asked_is_told_why_a_node_went_without(reason: str, advice: str) -> None:
    pub = node("pub")
    pub.hears_birth("sub1", "up")
    pub.does(GenerateCsr("op-1", "CallManager", multi_server=True))
    pub.hears("sub1", TOPICS.peer("sub1", "pub"), PeerAnswer("op-1", "refused", reason))
    (reply,) = replies(pub)
    assert (reply.outcome, reply.nodes) == ("done", {"pub": "done", "sub1": "refused"})
    assert reply.warnings == (f"sub1: refused, {reason}{advice}",)


def test_asked_for_again_while_it_is_shared_it_is_the_same_and_answered_once() -> None:
    pub = node("pub")
    for name in ("sub1", "imp1"):
        pub.hears_birth(name, "up")
    wanted = GenerateCsr("op-1", "CallManager", multi_server=True)
    assert any(isinstance(each, MakeCsr) for each in pub.does(wanted))
    assert (replies(pub), len(pub.said(PeerKey))) == ([], 1)
    assert not any(isinstance(each, MakeCsr) for each in pub.does(wanted))
    pub.hears("sub1", TOPICS.peer("sub1", "pub"), PeerAnswer("op-1", "done", ""))
    assert [(each.outcome, each.nodes) for each in replies(pub)] == [("done", {"pub": "done", "sub1": "done"})]
    pub.hears("sub1", TOPICS.peer("sub1", "pub"), PeerAnswer("op-1", "refused", "format"))
    assert len(replies(pub)) == 1


def test_a_newer_request_ends_the_way_of_the_one_before() -> None:
    pub = node("pub")
    pub.hears_birth("sub1", "up")
    pub.does(GenerateCsr("op-1", "CallManager", multi_server=True))
    pub.does(GenerateCsr("op-2", "CallManager", multi_server=True))
    (first,) = replies(pub)
    assert (first.op_id, first.nodes["sub1"]) == ("op-1", "pending")
    pub.commands.clear()
    pub.wait(31 * SECOND)
    assert {said.op_id for said in pub.said(PeerKey)} == {"op-2"}
    assert [(each.op_id, each.nodes["sub1"]) for each in replies(pub)] == [("op-2", "unreachable")]


def test_what_stands_in_line_behind_a_change_that_fails_is_begun() -> None:
    sub = node("sub1")
    first, second = row("Corp Root CA"), row("Other Root CA")
    sub.does(Upload("op-1", "tomcat-trust", first.der))
    sub.does(Regenerate("op-2", "tomcat"))
    sub.does(Upload("op-3", "tomcat-trust", second.der))
    assert replies(sub) == []
    sub.fails = MakeIdentity
    sub.hears("pub", TOPICS.answer("sub1", "propose"), Answer("op-1", "done", "", "", 1, 1, {}))
    assert [(each.op_id, each.outcome) for each in replies(sub)] == [("op-1", "done"), ("op-2", "refused")]
    assert "op-3" in {said.op_id for said in sub.said(Proposal)}


def test_an_age_that_no_certificate_can_have_is_refused() -> None:
    pub = new_node("pub")
    before = pub.disk.image()
    for days in (4_000_000, -40_000):
        pub.does(Age(f"op-{days}", "tomcat", days * DAY))
    assert [each.reason for each in replies(pub)] == ["validity", "validity"]
    assert pub.disk.image() == before


def test_capf_ages_on_the_publisher_alone() -> None:
    sub = new_node("sub1", release="12.5")
    before = dict(sub.disk.identities)
    sub.does(Age("op-1", "CAPF", DAY))
    assert [each.reason for each in replies(sub)] == ["publisher_only"]
    assert sub.disk.identities == before
