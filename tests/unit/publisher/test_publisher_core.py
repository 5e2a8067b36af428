"""The publisher: append before tell, one answer, the floor, epochs, catch-up."""

import pytest
from cryptography import x509

from tests.playbook import CLUSTER, TOPICS, Playbook, codec, proposal, publisher, root, row
from tests.unit.node.certificate_factory import certificate
from ucmlab.broker.messages import Ack, Answer, CatchUp, Entries, Head, LogEntry, Row, Snapshot
from ucmlab.node.commands import (
    AnyCommand,
    AppendLog,
    ApplyEntry,
    BeginEpoch,
    Publish,
    RaiseFloor,
    RecordAnswer,
    RemoveFile,
    Reply,
    StartTimer,
    WriteFile,
)
from ucmlab.node.events import DiskImage, LogImage
from ucmlab.node.instant import MINUTE, SECOND
from ucmlab.publisher.core import BATCH, BATCH_BYTES, FLOOR_LAG, HEAD_AFTER

CA, OTHER = row("Corp Root CA"), row("Other Root CA")


def up(*rows: Row, **changes: object) -> Playbook:
    pub = publisher(rows, files=rows, **changes).up()
    for member in ("sub1", "sub2"):
        pub.hears_birth(member, "up")
    pub.wait(SECOND)
    pub.commands.clear()
    return pub


def answers(pub: Playbook) -> list[tuple[str, str, str, int]]:
    return [(each.op_id, each.outcome, each.reason, each.seq) for each in pub.said(Answer)]


def ack(pub: Playbook, member: str, seq: int, *, epoch: int = 1, count: int = 0, boot: int = 1) -> list[AnyCommand]:
    digest = pub.core.replica.digest() if pub.core.replica.position == (epoch, seq) else ""
    return pub.hears(member, TOPICS.ack(member), Ack(epoch, seq, digest, count or seq + 1), boot=boot)


def heads(pub: Playbook) -> list[tuple[int, int, int]]:
    return [(each.epoch, each.seq, each.floor) for each in pub.said(Head)]


# -- append before tell


@pytest.mark.rule("S6")
@pytest.mark.rule("S4")
def test_an_entry_is_appended_then_applied_then_published_then_filed_then_answered() -> None:
    pub = up()
    wanted = pub.hears_proposal("sub1", proposal("op-1", CA))
    assert [type(each) for each in wanted] == [AppendLog, ApplyEntry, Publish, WriteFile, Publish]
    (topic, entry), (answered, answer) = pub.published(wanted)
    assert isinstance(entry, LogEntry)
    assert (topic, entry.seq, entry.op_id, entry.origin, entry.adds) == (
        TOPICS.log("tomcat-trust"), 1, "op-1", "sub1", (CA,),
    )  # fmt: skip
    nodes = {"pub": "done", "sub1": "done", "sub2": "pending"}
    assert (answered, answer) == (TOPICS.answer("sub1", "propose"), Answer("op-1", "done", "", "", 1, 1, nodes))


@pytest.mark.rule("S6")
def test_the_publishers_own_upload_writes_the_file_appends_and_replies_last() -> None:
    pub = up()
    kinds = [type(each) for each in pub.uploads("op-1", CA.der)]
    assert kinds.index(WriteFile) < kinds.index(AppendLog) < kinds.index(Reply)
    assert pub.replies() == [("op-1", "done", "")]


@pytest.mark.rule("S6")
def test_a_refusal_is_durable_before_it_is_told() -> None:
    pub = up()
    wanted = pub.hears_proposal("sub1", proposal("op-1", kind="delete", removes=(CA.key,)))
    assert wanted[0] == RecordAnswer("op-1", "not_found")
    assert answers(pub) == [("op-1", "refused", "not_found", 0)]


@pytest.mark.rule("S1")
def test_entries_are_chained_by_hash_and_number() -> None:
    pub = up()
    pub.hears_proposal("sub1", proposal("op-1", CA))
    pub.hears_proposal("sub2", proposal("op-2", OTHER))
    first, second = pub.said(LogEntry)
    assert (first.seq, second.seq, first.prev) == (1, 2, b"")
    (applied, _) = pub.all(ApplyEntry)
    assert second.prev == applied.hash


def test_without_a_connection_the_log_goes_on_and_the_head_tells_of_it_later() -> None:
    pub = up()
    pub.disconnect()
    pub.uploads("op-1", CA.der)
    assert pub.said(LogEntry) == []
    pub.connect()
    assert heads(pub)[-1] == (1, 1, 0)


def test_a_burst_is_followed_by_one_head() -> None:
    pub = up()
    for number in range(5):
        pub.hears_proposal("sub1", proposal(f"op-{number}", row(f"Root {number}")))
    assert heads(pub) == []
    pub.wait(HEAD_AFTER)
    assert heads(pub) == [(1, 5, 0)]


# -- one answer


@pytest.mark.rule("S6")
def test_a_repeated_proposal_gets_the_same_answer_and_no_second_entry() -> None:
    pub = up()
    for _ in range(3):
        pub.hears_proposal("sub1", proposal("op-1", CA))
    assert (answers(pub), len(pub.said(LogEntry))) == ([("op-1", "done", "", 1)] * 3, 1)


@pytest.mark.rule("S6")
def test_so_it_does_after_a_restart_of_the_publisher() -> None:
    pub = up()
    pub.hears_proposal("sub1", proposal("op-1", CA))
    pub.hears_proposal("sub1", proposal("op-2", kind="delete", removes=(OTHER.key,)))
    pub.restart()
    pub.hears_proposal("sub1", proposal("op-1", CA))
    pub.hears_proposal("sub1", proposal("op-2", kind="delete", removes=(OTHER.key,)))
    assert answers(pub) == [("op-1", "done", "", 1), ("op-2", "refused", "not_found", 1)]
    assert pub.said(LogEntry) == []


@pytest.mark.rule("S6")
def test_so_it_does_when_the_entry_was_dropped_below_the_floor_and_the_publisher_restarted() -> None:
    pub = up()
    for number in range(FLOOR_LAG + 2):
        pub.hears_proposal("sub1", proposal(f"op-{number}", row(f"Root {number}")))
    pub.wait(SECOND)
    for member in ("sub1", "sub2"):
        ack(pub, member, FLOOR_LAG + 2)
    pub.wait(SECOND)
    pub.restart()
    assert pub.core.log.floor > 0  # type: ignore[attr-defined]  # a publisher
    pub.hears_proposal("sub1", proposal("op-0", row("Root 0")))
    assert (answers(pub), pub.said(LogEntry)) == ([("op-0", "done", "", 1)], [])


@pytest.mark.rule("S3")
def test_a_repeated_upload_that_changed_nothing_changes_nothing_after_a_delete_either() -> None:
    pub = up(CA)
    pub.hears_proposal("sub1", proposal("op-1", CA))
    pub.hears_proposal("sub2", proposal("op-2", kind="delete", removes=(CA.key,)))
    pub.hears_proposal("sub1", proposal("op-1", CA))
    assert answers(pub) == [
        ("op-1", "done", "already_present", 0),
        ("op-2", "done", "", 1),
        ("op-1", "done", "already_present", 0),
    ]
    assert pub.rows() == []


def test_a_proposal_past_its_time_is_not_answered_and_not_appended() -> None:
    pub = up()
    pub.wait(MINUTE)
    assert pub.hears_proposal("sub1", proposal("op-1", CA, not_after=MINUTE)) == []


def test_an_answer_names_who_cannot_be_reached() -> None:
    pub = up()
    pub.hears_birth("sub2", "lost")
    pub.hears_proposal("sub1", proposal("op-1", CA))
    assert pub.said(Answer)[0].nodes == {"pub": "done", "sub1": "done", "sub2": "unreachable"}


# -- restart


@pytest.mark.rule("S1")
def test_a_replica_behind_the_log_is_brought_up_to_it_at_the_start() -> None:
    pub = up()
    pub.hears_proposal("sub1", proposal("op-1", CA))
    pub.hears_proposal("sub1", proposal("op-2", OTHER))
    image = pub.disk.image()
    behind = DiskImage(boot=1, installed=True, replica=publisher().disk.replica(), log=image.log, keys=image.keys)
    again = Playbook(pub.config, image=behind)
    assert [each.seq for each in again.start() if isinstance(each, ApplyEntry)] == [1, 2]
    assert again.disk.replica().rows == image.replica.rows


@pytest.mark.rule("X-04")
def test_a_kill_between_the_append_and_the_file_of_a_cluster_wide_delete_is_made_up_for() -> None:
    held = row("LSC Issuing CA", "CAPF-trust", holders=("pub", "sub1"))
    pub = up(held)
    pub.hears_proposal("sub1", proposal("op-1", kind="delete", removes=(held.key,)))
    before = publisher((held,), files=(held,)).disk.image()
    killed = DiskImage(boot=1, installed=True, replica=before.replica, files=before.files, log=pub.disk.log_image())
    again = Playbook(pub.config, image=killed)
    assert [each.unit for each in again.start() if isinstance(each, RemoveFile)] == ["CAPF-trust"]


def test_the_position_goes_on_where_it_was() -> None:
    pub = up()
    pub.hears_proposal("sub1", proposal("op-1", CA))
    pub.restart()
    pub.hears_proposal("sub1", proposal("op-2", OTHER))
    assert [each.seq for each in pub.said(LogEntry)] == [2]


# -- the floor


@pytest.mark.rule("S14")
def test_the_floor_is_what_every_member_has_acknowledged_online_or_not() -> None:
    pub = up()
    for number in range(20):
        pub.hears_proposal("sub1", proposal(f"op-{number}", row(f"Root {number}")))
    pub.hears_birth("sub2", "lost")
    pub.wait(SECOND)
    ack(pub, "sub1", 20)
    pub.wait(MINUTE)
    assert pub.all(RaiseFloor) == []
    ack(pub, "sub2", 12)
    pub.wait(MINUTE)
    assert (pub.all(RaiseFloor), heads(pub)[-1]) == ([RaiseFloor(12)], (1, 20, 12))


@pytest.mark.rule("S14")
def test_the_publisher_itself_counts_only_with_what_its_disk_has() -> None:
    pub = up()
    pub.keeps_answers = True
    for number in range(10):
        pub.hears_proposal("sub1", proposal(f"op-{number}", row(f"Root {number}")))
    pub.wait(SECOND)
    for member in ("sub1", "sub2"):
        ack(pub, member, 10)
    pub.wait(MINUTE)
    assert pub.all(RaiseFloor) == []
    pub.answer()
    pub.wait(MINUTE)
    assert pub.all(RaiseFloor) == [RaiseFloor(10)]


@pytest.mark.rule("S14")
def test_an_acknowledgement_that_comes_late_or_again_lowers_or_raises_nothing() -> None:
    pub = up()
    for number in range(10):
        pub.hears_proposal("sub1", proposal(f"op-{number}", row(f"Root {number}")))
    pub.wait(SECOND)
    ack(pub, "sub1", 10, count=9)
    ack(pub, "sub1", 3, count=2)
    ack(pub, "sub2", 10)
    pub.wait(MINUTE)
    assert pub.all(RaiseFloor) == [RaiseFloor(10)]


@pytest.mark.rule("S3")
@pytest.mark.rule("S14")
def test_a_tombstone_is_kept_until_the_last_member_is_past_it() -> None:
    pub = up(CA)
    pub.hears_proposal("sub1", proposal("op-1", kind="delete", removes=(CA.key,)))
    for number in range(10):
        pub.hears_proposal("sub1", proposal(f"more-{number}", row(f"Root {number}")))
    pub.wait(SECOND)
    ack(pub, "sub1", 11)
    pub.wait(24 * 60 * MINUTE)
    assert pub.core.replica.tombstones == {CA.key: 1}
    ack(pub, "sub2", 11)
    pub.wait(SECOND)
    assert pub.core.replica.tombstones == {}


@pytest.mark.rule("S7")
def test_a_member_whose_rows_differ_at_the_same_position_raises_an_alarm() -> None:
    pub = up()
    pub.hears_proposal("sub1", proposal("op-1", CA))
    pub.hears("sub1", TOPICS.ack("sub1"), Ack(1, 1, "another digest", 5))
    assert [each.fields["member"] for each in pub.records("alarm")] == ["sub1"]


# -- epochs


@pytest.mark.rule("S4")
@pytest.mark.parametrize(
    "saw",
    [
        lambda pub: ack(pub, "sub1", 5),
        lambda pub: pub.hears("pub", TOPICS.head(), Head(1, 5, b"", "", 0)),
        lambda pub: pub.hears("sub1", TOPICS.request("sub1", "catchup"), CatchUp(1, 1, 5, b"h")),
    ],
    ids=["acknowledgement", "own head", "catch-up"],
)
def test_a_publisher_that_somebody_is_ahead_of_starts_a_higher_epoch_with_the_rows_at_hand(saw: object) -> None:
    pub = up(CA)
    wanted = saw(pub)  # type: ignore[operator]  # one of the three
    assert [each for each in wanted if isinstance(each, BeginEpoch)] == [BeginEpoch(2)]
    pub.wait(SECOND)
    assert (heads(pub)[-1], pub.core.replica.position, list(pub.core.replica.rows)) == ((2, 0, 0), (2, 0), [CA.key])
    pub.hears_proposal("sub1", proposal("op-1", OTHER))
    assert [(each.epoch, each.seq, each.prev) for each in pub.said(LogEntry)] == [(2, 1, b"")]
    pub.restart()
    assert pub.core.replica.position == (2, 1)


@pytest.mark.rule("S4")
def test_what_a_member_saw_is_one_reason_for_one_new_epoch() -> None:
    pub = up()
    for member in ("sub1", "sub2"):
        ack(pub, member, 5)
    assert pub.all(BeginEpoch) == [BeginEpoch(2)]


@pytest.mark.rule("S14")
def test_in_a_new_epoch_nobody_counts_who_has_not_acknowledged_in_it() -> None:
    pub = up()
    ack(pub, "sub1", 5)
    for number in range(10):
        pub.hears_proposal("sub1", proposal(f"op-{number}", row(f"Root {number}")))
    pub.wait(SECOND)
    ack(pub, "sub1", 10, epoch=2, count=50)
    pub.wait(SECOND)
    assert pub.all(RaiseFloor) == []
    ack(pub, "sub2", 10, epoch=2)
    pub.wait(SECOND)
    assert pub.all(RaiseFloor) == [RaiseFloor(10)]


def test_a_first_start_begins_epoch_1() -> None:
    pub = Playbook(publisher().config, image=DiskImage(boot=0, log=LogImage()))
    assert [each for each in pub.start() if isinstance(each, BeginEpoch)] == [BeginEpoch(1)]
    assert [each for each in pub.start() if isinstance(each, BeginEpoch)] == []


# -- catch-up


def catch_up(pub: Playbook, seq: int, known: bytes, *, epoch: int = 1) -> list[object]:
    wanted = pub.hears("sub1", TOPICS.request("sub1", "catchup"), CatchUp(7, epoch, seq, known))
    assert {topic for topic, _ in pub.published(wanted)} == {TOPICS.answer("sub1", "catchup")}
    return [said for _, said in pub.published(wanted)]


def test_who_asks_gets_the_entries_after_its_position_a_batch_at_a_time() -> None:
    pub = up()
    for number in range(BATCH + 10):
        pub.hears_proposal(
            "sub1",
            proposal(f"op-{number}", row("Gateway CA", "ipsec-trust", days=number % 20), kind="resync")
            if number % 2
            else proposal(f"op-{number}", row(f"Root {number % 50}", "TVS-trust")),
        )
        pub.hears_proposal(
            "sub1", proposal(f"not-{number}", kind="delete", removes=(row(f"Root {number % 50}", "TVS-trust").key,))
        )
    head = pub.core.replica.seq
    (answer,) = catch_up(pub, 0, b"")
    assert isinstance(answer, Entries)
    assert (answer.request, len(answer.payloads), answer.head_seq) == (7, min(BATCH, head), head)
    assert head > BATCH


def test_a_batch_is_no_larger_than_a_brokers_packet_may_be() -> None:

    pub = up()
    for number in range(20):
        sans = [x509.DNSName(f"host-{number}-{name}.{'x' * 60}.lab.test") for name in range(1200)]
        pub.hears_proposal("sub1", proposal(f"op-{number}", row(der=certificate(f"Root {number}", sans=sans))))
    (answer,) = catch_up(pub, 0, b"")
    assert isinstance(answer, Entries)
    assert 1 <= len(answer.payloads) < 20
    assert sum(map(len, answer.payloads)) <= BATCH_BYTES


@pytest.mark.rule("S14")
def test_below_the_floor_or_of_another_epoch_one_gets_a_snapshot() -> None:
    pub = up(CA)
    pub.hears_proposal("sub1", proposal("op-1", kind="delete", removes=(CA.key,)))
    pub.hears_proposal("sub1", proposal("op-2", OTHER))
    position = pub.core.replica
    expected = [Snapshot(7, 1, 2, position.hash, 0, 1, (OTHER,), ((*CA.key, 1),))]
    assert catch_up(pub, 9, b"", epoch=0) == expected


@pytest.mark.rule("S3", "S4", "S14")
def test_with_another_past_one_gets_a_snapshot_of_a_higher_epoch() -> None:
    pub = up(CA)
    pub.hears_proposal("sub1", proposal("op-1", kind="delete", removes=(CA.key,)))
    assert catch_up(pub, 1, b"another past") == [Snapshot(7, 2, 0, b"", 0, 1, (), ((*CA.key, 0),))]
    assert [each.fields["alarm"] for each in pub.records("alarm")] == ["log_fork"]


@pytest.mark.rule("S3", "S14")
def test_what_was_acknowledged_of_another_log_is_no_acknowledgement() -> None:
    pub = up(CA)
    pub.hears_proposal("sub1", proposal("op-1", kind="delete", removes=(CA.key,)))
    digest = pub.core.replica.digest()
    for number, member in enumerate(("sub1", "sub2", "pub")):
        # Of a log that was lost with the publisher's disk: it had as many entries, but not this one.
        wanted = pub.hears(member, TOPICS.ack(member), Ack(1, 1, digest, 5, b"another entry"))
        assert [each for each in wanted if isinstance(each, BeginEpoch)] == [BeginEpoch(2)] * (number == 0)
    pub.wait(24 * 60 * MINUTE)
    assert pub.core.replica.tombstones == {CA.key: 0}


def test_a_snapshot_of_many_rows_comes_in_parts() -> None:
    der = root("Corp Root CA")
    rows = [Row("tomcat-trust", f"{number:064x}", der, "", None) for number in range(BATCH * 2 + 1)]
    pub = publisher(rows).up()
    parts = catch_up(pub, 0, b"another past")
    assert [(part.part, part.parts, len(part.rows)) for part in parts if isinstance(part, Snapshot)] == [
        (0, 3, BATCH), (1, 3, BATCH), (2, 3, 1),
    ]  # fmt: skip


def test_entries_are_signed_by_the_publisher_for_the_log_whatever_carries_them() -> None:
    pub = up()
    pub.hears_proposal("sub1", proposal("op-1", CA))
    (answer,) = catch_up(pub, 0, b"")
    assert isinstance(answer, Entries)
    opened = codec("sub2").open(TOPICS.log_binding(), answer.payloads[0])
    assert (opened.sender, type(opened.message), CLUSTER) == ("pub", LogEntry, "test")


def test_every_wait_of_the_publisher_is_a_timer() -> None:
    pub = up()
    pub.hears_proposal("sub1", proposal("op-1", CA))
    assert {each.token for each in pub.all(StartTimer)} == {"publisher:head", "follow:ack"}
