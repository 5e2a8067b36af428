"""What is set is a part of the replicated database: judged, put in order by the log, and the same on every node."""

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.playbook import TOPICS, LogBook, Playbook, follower, publisher, row
from tests.unit.node.test_core_security import refused, sealed
from tests.unit.node.test_following import catch_up, fresh
from tests.unit.node.test_replica import answer_every_request
from ucmlab.broker.messages import Ack, Answer, CatchUp, LogEntry, Proposal, Setting, Snapshot
from ucmlab.node.commands import AppendLog, ApplyEntry, InstallSnapshot, Publish, Reply
from ucmlab.node.events import SetParameter
from ucmlab.node.instant import MINUTE, SECOND
from ucmlab.node.settings import in_order, settings_digest, settings_of

TLS = Setting("cluster", "Use TLS", "true")
EVERY = Setting("cucm", "Check Every", "7")
NODES = ("pub", "sub1", "imp1")
WHERE = (("sub1", "cucm"), ("imp1", "imp"), ("pub", "cucm"))
"""A node, and its side of the cluster."""


def proposal(op_id: str, *wanted: Setting) -> Proposal:
    return Proposal(op_id, "parameter", (), (), 60 * SECOND, wanted)


def set_of(node: Playbook) -> dict[tuple[str, str], str]:
    """What it believes is set, which must be what its disk holds and what it reads."""
    believed = dict(node.core.replica.settings)
    assert believed == dict(settings_of(node.disk.replica().settings)) == node.core.context.set_parameters
    return believed


def up(*members: str) -> Playbook:
    pub = publisher(nodes=NODES).up()
    for member in members:
        pub.hears_birth(member, "up")
    return pub


# -- the publisher


@pytest.mark.rule("S4", "S6")
def test_a_setting_is_appended_then_applied_then_published_then_answered() -> None:
    pub = up("sub1")
    wanted = pub.hears_proposal("sub1", proposal("op-1", EVERY))
    assert [type(each) for each in wanted] == [AppendLog, ApplyEntry, Publish, Publish]
    (topic, entry), (answered, answer) = pub.published(wanted)
    assert isinstance(entry, LogEntry)
    assert isinstance(answer, Answer)
    assert (topic, entry.kind, entry.origin, entry.settings) == (TOPICS.log("parameter"), "parameter", "sub1", (EVERY,))
    assert (answered, answer.outcome, answer.seq) == (TOPICS.answer("sub1", "propose"), "done", 1)
    assert set_of(pub) == {("cucm", "Check Every"): "7"}


@pytest.mark.rule("S6")
@pytest.mark.parametrize("again", [TLS, Setting("cluster", "Validity Check Frequency", "24")], ids=["set", "default"])
def test_what_is_so_already_is_done_and_not_appended(again: Setting) -> None:
    pub = up("sub1")
    pub.hears_proposal("sub1", proposal("op-1", TLS))
    pub.commands.clear()
    pub.hears_proposal("sub1", proposal("op-2", again))
    assert [(each.outcome, each.reason, each.seq) for each in pub.said(Answer)] == [("done", "already_present", 1)]
    assert pub.all(AppendLog) == []


@pytest.mark.rule("S3", "R-174")
@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (Setting("cluster", "Use TSL", "true"), "not_found"),
        (Setting("cucm", "Enable CRL", "true"), "release"),
        (Setting("imp", "Check Every", "7"), "parameter_place"),
        (Setting("cluster", "Check Every", "7"), "parameter_place"),
        (Setting("pub", "FIPS Mode", "true"), "parameter_place"),
        (Setting("cucm", "Check Every", "0"), "parameter_value"),
        (Setting("sub1", "Common Criteria Mode", "true"), "parameter_value"),
    ],
)
def test_the_publisher_judges_again_what_a_node_found(bad: Setting, reason: str) -> None:
    pub = up("sub1")
    pub.hears_proposal("sub1", proposal("op-1", TLS, bad))
    (answer,) = pub.said(Answer)
    assert (answer.outcome, answer.reason) == ("refused", reason)
    assert "certificate" not in answer.text
    assert set_of(pub) == {}


def test_a_value_is_kept_as_the_product_writes_it_whatever_was_proposed() -> None:
    pub = up("sub1")
    pub.hears_proposal("sub1", proposal("op-1", Setting("cluster", "use tls", "TRUE")))
    assert set_of(pub) == {("cluster", "Use TLS"): "true"}


sets = st.lists(
    st.tuples(st.sampled_from(WHERE), st.sampled_from(("Check Every", "Notification Frequency")), st.integers(1, 9)),
    max_size=12,
)


@pytest.mark.rule("S1", "S7")
@settings(max_examples=60, deadline=None)
@given(sets, st.randoms(use_true_random=False))
def test_whoever_sets_and_however_it_arrives_the_last_in_the_log_holds_on_every_node(
    history: Sequence[tuple[tuple[str, str], str, int]], chance: Random
) -> None:
    pub, expected = up(), dict[tuple[str, str], str]()
    for number, ((node, side), name, value) in enumerate(history):
        setting = Setting(side, name, str(value))
        if node == "pub":
            pub.does(SetParameter(f"op-{number}", "pub", name, str(value)))
        else:
            pub.hears_proposal(node, proposal(f"op-{number}", setting))
        default = pub.rulebook.parameters[name].default
        if expected.get((side, name), default) != setting.value:
            expected[side, name] = setting.value
    assert set_of(pub) == expected
    book = LogBook()
    for each in pub.said(LogEntry):
        book.add(kind="parameter", settings=each.settings)
    sub = follower(LogBook(), nodes=NODES).up()
    order = [*range(1, len(book.entries) + 1)] * 2
    chance.shuffle(order)
    for seq in order:
        sub.does(book.told(seq))
    answer_every_request(sub, book, sub.does(book.head()) + sub.wait(SECOND))
    assert set_of(sub) == expected
    assert sub.core.replica.settings_digest == pub.core.replica.settings_digest
    assert sub.records("alarm") == []


# -- followers


@pytest.mark.rule("R-009")
def test_a_follower_applies_a_setting_keeps_it_and_tells_what_was_before() -> None:
    book, sub = LogBook(), fresh()
    for value in ("true", "false"):
        book.add(kind="parameter", settings=(Setting("cluster", "Use TLS", value),))
        sub.does(book.told(book.replica.seq))
        assert sub.core.context.parameters.text("Use TLS") == value
    told = [(each.fields["old"], each.fields["new"], each.op_id) for each in sub.records("parameter_set")]
    assert told == [("false", "true", "op-1"), ("true", "false", "op-2")]
    sub.restart()
    assert set_of(sub) == {("cluster", "Use TLS"): "false"}


@pytest.mark.rule("S1")
def test_a_snapshot_brings_all_that_is_set_with_its_first_part() -> None:
    book = LogBook()
    for number in range(3):
        book.add(row(f"Root {number}", "CAPF-trust", holders=("pub",)))
    book.add(kind="parameter", settings=(TLS, EVERY))
    lone = LogBook()
    lone.add(kind="parameter", settings=(Setting("cluster", "Validity Check Frequency", "9"),))
    sub = follower(lone).up()
    sub.does(book.head())
    for part in reversed(book.snapshot(catch_up(sub), size=2)):
        sub.does(part)
    (installed,) = sub.all(InstallSnapshot)
    assert installed.settings == (TLS, EVERY)
    assert set_of(sub) == {("cluster", "Use TLS"): "true", ("cucm", "Check Every"): "7"}
    told = {(each.fields["parameter"], each.fields["old"], each.fields["new"]) for each in sub.records("parameter_set")}
    assert told == {
        ("Use TLS", "false", "true"), ("Check Every", "24", "7"), ("Validity Check Frequency", "9", "24"),
    }  # fmt: skip


@pytest.mark.rule("S4")
def test_the_publisher_serves_what_is_set_in_a_snapshot_and_takes_it_into_a_new_epoch() -> None:
    pub = up("sub1")
    pub.hears_proposal("sub1", proposal("op-1", TLS))
    pub.commands.clear()
    pub.hears("sub1", TOPICS.request("sub1", "catchup"), CatchUp(7, 1, 0, b"another past"))
    assert [each.settings for each in pub.said(Snapshot)] == [(TLS,)]
    pub.restart()
    assert set_of(pub) == {("cluster", "Use TLS"): "true"}


@pytest.mark.rule("S7")
def test_other_settings_at_an_equal_position_raise_an_alarm_on_either_side() -> None:
    book, other, sub = LogBook(), LogBook(), fresh()
    book.add(kind="parameter", settings=(TLS,))
    other.add(kind="parameter", settings=(EVERY,))
    sub.does(book.told(1))
    sub.does(other.head())
    assert [each.fields["alarm"] for each in sub.records("alarm")] == ["digest_mismatch"]
    pub = up("sub1")
    pub.hears_proposal("sub1", proposal("op-1", TLS))
    replica = pub.core.replica
    for count, digest in enumerate(("", settings_digest(settings_of((EVERY,))), replica.settings_digest)):
        said = Ack(1, 1, replica.digest(), count + 1, b"", digest)
        pub.hears("sub1", TOPICS.ack("sub1"), said)
    assert [each.fields["alarm"] for each in pub.records("alarm")] == ["digest_mismatch"] * 2


@pytest.mark.rule("S5", "S15")
@pytest.mark.parametrize(
    "bad",
    [Setting("cluster", "Use TSL", "true"), Setting("imp", "Check Every", "7"), Setting("cucm", "Check Every", "x")],
)
def test_settings_that_no_node_can_hold_are_refused_though_the_publisher_signed_them(bad: Setting) -> None:
    entry = LogEntry(1, 1, b"", "op-1", "pub", "parameter", (), (), 0, (TLS, bad))
    asked = TOPICS.answer("sub1", "catchup")
    for message in (
        sealed("pub", TOPICS.log_binding(), entry, on=TOPICS.log("parameter")),
        sealed("pub", asked, Snapshot(0, 9, 9, b"", 0, 1, (), (), (bad,))),
    ):
        sub = follower(LogBook()).up()
        assert [each["reason"] for each in refused(sub, message)] == ["setting"]


@pytest.mark.rule("S15")
def test_settings_have_one_order_and_one_digest() -> None:
    assert in_order(settings_of((EVERY, TLS))) == (TLS, EVERY)
    assert settings_digest(settings_of((EVERY, TLS))) == settings_digest(settings_of((TLS, EVERY)))
    assert settings_digest({}) == ""
    apart = [settings_of((each,)) for each in (TLS, EVERY, Setting("cluster", "Use TLS", "false"))]
    assert len({settings_digest(each) for each in apart}) == 3


# -- the operation


@pytest.mark.rule("B.6")
def test_a_set_is_put_to_the_publisher_and_answered_when_the_log_has_it() -> None:
    sub = fresh()
    (told,) = sub.does(SetParameter("op-1", "sub1", "check every", "07"))
    assert isinstance(told, Publish)
    assert sub.opened(told) == proposal("op-1", EVERY)
    assert sub.hears_answer("op-1") == [Reply("op-1", "done")]


def test_sets_of_one_parameter_on_one_node_run_one_at_a_time() -> None:
    sub = fresh()
    sub.does(SetParameter("op-1", "sub1", "Check Every", "7"))
    assert sub.does(SetParameter("op-2", "sub1", "check every", "8")) == []
    assert [type(each) for each in sub.does(SetParameter("op-3", "sub1", "Enable OCSP", "true"))] == [Publish]
    assert [type(each) for each in sub.hears_answer("op-1")] == [Reply, Publish]


@pytest.mark.rule("B.6")
def test_without_the_publisher_it_is_refused_and_nothing_is_remembered() -> None:
    sub = fresh()
    sub.hears_birth("pub", "lost")
    sub.does(SetParameter("op-1", "sub1", "Check Every", "7"))
    (reply,) = sub.all(Reply)
    text = "The publisher's database cannot be reached; nothing was changed"
    assert (reply.outcome, reply.reason, reply.text) == ("refused", "publisher_unreachable", text)
    assert sub.core.open_operations() == 0


def test_a_set_that_nobody_answers_ends_indefinite_and_is_taken_up_under_its_id() -> None:
    sub = fresh()
    sub.does(SetParameter("op-1", "sub1", "Check Every", "7"))
    sub.wait(2 * MINUTE)
    assert sub.replies() == [("op-1", "indefinite", "publisher_unreachable")]
    (again,) = sub.does(SetParameter("op-1", "sub1", "Check Every", "7"))
    assert isinstance(again, Publish)
    sub.hears_answer("op-1", "done", "already_present")
    assert sub.all(Reply)[-1].text == "Check Every is set so already"


def test_a_node_sets_nothing_for_another() -> None:
    sub = fresh()
    sub.does(SetParameter("op-1", "sub2", "FIPS Mode", "true"))
    (reply,) = sub.all(Reply)
    assert (reply.reason, reply.text) == ("parameter_place", "FIPS Mode of sub2 is set on sub2 itself")


# -- a page's Save

FIPS, CC = ("FIPS Mode", "true"), ("Common Criteria Mode", "true")


def saved(op_id: str, *values: tuple[str, str], place: str = "sub1") -> SetParameter:
    """Somebody saves a page."""
    (name, value), *others = values
    return SetParameter(op_id, place, name, value, others=tuple(others))


@pytest.mark.rule("R-206")
def test_what_is_saved_together_is_one_proposal_and_one_entry() -> None:
    sub = fresh()
    (told,) = sub.does(saved("op-1", ("check every", "07"), ("Enable OCSP", "TRUE")))
    both = (EVERY, Setting("cucm", "Enable OCSP", "true"))
    assert isinstance(told, Publish)
    assert sub.opened(told) == proposal("op-1", *both)
    pub = up("sub1")
    pub.hears_proposal("sub1", proposal("op-1", *both))
    assert [each.settings for each in pub.said(LogEntry)] == [both]
    assert [each.fields["parameter"] for each in pub.records("parameter_set")] == ["Check Every", "Enable OCSP"]


@pytest.mark.rule("R-206")
@pytest.mark.parametrize(
    ("values", "reason", "text"),
    [
        (
            (("Enable OCSP", "true"), ("Check Every", "0")),
            "parameter_value",
            "Check Every takes an integer from 1 to 720, not '0'",
        ),
        (
            (("Enable OCSP", "true"), ("Use TLS", "true")),
            "parameter_place",
            "Enable OCSP is on the page Certificate Revocation, Use TLS on LDAP Directory: save each page by itself",
        ),
        (
            (("Check Every", "7"), ("check every", "8")),
            "parameter_value",
            "Check Every is given twice; say which value it is to have",
        ),
        ((("Check Every", "7"), ("Chek Every", "8")), "not_found", "There is no parameter 'Chek Every'; there is"),
        ((FIPS, CC), "parameter_value", "Common Criteria Mode needs FIPS Mode; set FIPS Mode of sub1 to true first"),
    ],
)
def test_where_one_value_will_not_do_nothing_of_the_page_is_saved(
    values: tuple[tuple[str, str], ...], reason: str, text: str
) -> None:
    sub = fresh()
    sub.does(saved("op-1", *values))
    (reply,) = sub.all(Reply)
    assert (reply.outcome, reply.reason, reply.text[: len(text)]) == ("refused", reason, text)
    assert (sub.said(Proposal), sub.core.open_operations()) == ([], 0)


@pytest.mark.rule("B.16")
def test_a_mode_does_not_go_with_the_save_that_turns_on_what_needs_it() -> None:
    pub = up("sub1")
    pub.hears_proposal("sub1", proposal("op-1", Setting("sub1", *FIPS)))
    pub.commands.clear()
    pub.hears_proposal("sub1", proposal("op-2", Setting("sub1", "FIPS Mode", "false"), Setting("sub1", *CC)))
    (answer,) = pub.said(Answer)
    assert (answer.outcome, answer.reason) == ("refused", "parameter_value")


@pytest.mark.rule("R-206")
def test_a_save_waits_for_every_parameter_of_it_that_is_being_set() -> None:
    sub = fresh()
    sub.does(SetParameter("op-1", "sub1", "Check Every", "7"))
    assert sub.does(saved("op-2", ("Enable OCSP", "true"), ("CHECK every", "8"))) == []
    assert sub.does(SetParameter("op-3", "sub1", "enable ocsp", "false")) == []
    assert [type(each) for each in sub.hears_answer("op-1")] == [Reply, Publish]
    assert [type(each) for each in sub.hears_answer("op-2")] == [Reply, Publish]


@pytest.mark.rule("R-206")
def test_a_save_that_nobody_answers_tells_of_all_that_it_had() -> None:
    sub = fresh()
    sub.does(saved("op-1", ("Check Every", "7"), ("Enable OCSP", "true")))
    sub.wait(2 * MINUTE)
    text = "The publisher's database cannot be reached; whether Check Every and Enable OCSP was set is not known"
    assert sub.all(Reply)[-1].text == text
