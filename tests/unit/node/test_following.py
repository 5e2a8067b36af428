"""Following the log: in order, gaps pulled, snapshots, epochs, back-off, acknowledgements."""

from itertools import pairwise

import pytest

from tests.playbook import TOPICS, LogBook, Playbook, codec, config, follower, row
from tests.unit.node.test_replica import answer_every_request
from ucmlab.broker.messages import Ack, CatchUp, Entries, Head, Proposal, Row
from ucmlab.node.commands import AnyCommand, ApplyEntry, InstallSnapshot, Publish, RaiseFloor, ReadFiles, SyncDisk
from ucmlab.node.events import DiskImage, OrderService, ReplicationSet
from ucmlab.node.following import ACK_AFTER, ACK_AT_LEISURE, ACK_LAG, ACK_SYNC, AHEAD_LIMIT, GAP_TIMER, GAP_WAIT
from ucmlab.node.instant import HOUR, MILLISECOND, MINUTE, SECOND
from ucmlab.node.services import CHANGE_NOTIFICATION

A, B, C, D = (row(f"Root {letter}", "CAPF-trust", holders=("pub",)) for letter in "ABCD")
"""Rows of other nodes in a unit without Change Notification: applying them wants nothing else."""


def written(*rows: Row) -> LogBook:
    book = LogBook()
    for each in rows:
        book.add(each)
    return book


def fresh(*, replication: str = "faithful") -> Playbook:
    """A subscriber with an empty replica of epoch 1."""
    return follower(LogBook(), replication=replication).up()


def applied(commands: list[AnyCommand]) -> list[int]:
    return [each.seq for each in commands if isinstance(each, ApplyEntry)]


def asked(sub: Playbook, commands: list[AnyCommand]) -> list[CatchUp]:
    return [said for _, said in sub.published(commands) if isinstance(said, CatchUp)]


def catch_up(sub: Playbook) -> CatchUp:
    """The request that it makes within a second."""
    (request,) = asked(sub, sub.wait(SECOND))
    return request


@pytest.mark.rule("S1")
def test_entries_in_order_are_applied_as_they_come() -> None:
    book, sub = written(A, B, C), fresh()
    assert [applied(sub.does(book.told(seq))) for seq in (1, 2, 3)] == [[1], [2], [3]]


@pytest.mark.rule("S1")
def test_an_entry_that_comes_twice_is_applied_once() -> None:
    book, sub = written(A, B), fresh()
    sub.does(book.told(1))
    sub.does(book.told(2))
    assert [applied(sub.does(book.told(seq))) for seq in (1, 2, 1)] == [[], [], []]


@pytest.mark.rule("S1")
def test_an_entry_before_its_predecessor_waits_for_it() -> None:
    book, sub = written(A, B, C), fresh()
    assert applied(sub.does(book.told(3))) == []
    assert applied(sub.does(book.told(2))) == []
    assert applied(sub.does(book.told(1))) == [1, 2, 3]


def test_a_gap_that_closes_by_itself_is_not_asked_about() -> None:
    book, sub = written(A, B), fresh()
    sub.does(book.told(2))
    sub.does(book.told(1))
    assert asked(sub, sub.wait(SECOND)) == []


@pytest.mark.rule("L5")
def test_an_entry_that_goes_on_from_another_log_is_asked_about_once() -> None:
    # Found by the fault `fork`: every answer that brought nothing led to the next question.
    book, sub, other = written(A), fresh(), written(B, C)
    sub.does(book.told(1))
    sub.does(other.told(2))
    assert applied(sub.does(book.after(catch_up(sub)))) == []
    assert asked(sub, sub.wait(10 * MINUTE)) == []
    book.add(B)
    assert applied(sub.does(book.told(2))) == [2]


@pytest.mark.rule("S3")
def test_a_file_that_had_a_row_once_does_not_outlive_a_snapshot_that_has_none() -> None:
    # Found by seed 1542: a power cut took the row and left the file, a backup kept it so; meanwhile it was deleted.
    book, gone, there = LogBook(), row("Gone"), row("There")
    sub = follower(book, files=[gone], replication="modern").up()
    book.add(gone)
    book.delete(gone)
    book.add(there)
    sub.does(book.head())
    request = catch_up(sub)
    book.replica.tombstones.clear()  # every member had acknowledged the delete, this one too
    for part in book.snapshot(request):
        sub.does(part)
    sub.wait(HOUR)
    assert sub.said(Proposal) == []
    assert sub.files() == [there.fingerprint]


@pytest.mark.rule("L1")
def test_a_gap_is_asked_about_after_a_short_while_from_the_position_before_it() -> None:
    book, sub = written(A, B, C), fresh()
    sub.does(book.told(1))
    sub.does(book.told(3))
    assert asked(sub, sub.wait(GAP_WAIT[0] - 1)) == []
    request = catch_up(sub)
    assert (request.epoch, request.seq, request.hash) == (1, 1, book.entries[1].prev)
    assert applied(sub.does(book.after(request))) == [2, 3]


def test_a_head_beyond_the_replica_is_asked_about_once_until_answered_or_overdue() -> None:
    book, sub = written(A, B), fresh()
    for _ in range(5):
        sub.does(book.head())
    request = catch_up(sub)
    sub.does(book.head())
    assert asked(sub, sub.wait(SECOND // 4)) == []
    assert applied(sub.does(book.after(request))) == [1, 2]


def test_what_is_kept_ahead_of_a_gap_is_bounded_and_pulled_again() -> None:
    book, sub = LogBook(), fresh()
    for _ in range(AHEAD_LIMIT + 20):
        book.add(A)
    for seq in range(2, AHEAD_LIMIT + 21):
        sub.does(book.told(seq))
    assert len(sub.core.follower._ahead) == AHEAD_LIMIT
    assert applied(sub.does(book.after(catch_up(sub), most=1))) == list(range(1, AHEAD_LIMIT + 2))
    assert applied(sub.does(book.after(catch_up(sub)))) == list(range(AHEAD_LIMIT + 2, AHEAD_LIMIT + 21))


def test_an_absence_longer_than_one_batch_is_caught_up_batch_by_batch() -> None:
    book, sub = LogBook(), fresh()
    for _ in range(450):
        book.add(A)
    answer_every_request(sub, book, sub.does(book.head()))
    assert sub.core.replica.position == (1, 450)
    assert len(sub.said(CatchUp)) == 3


def test_an_answer_to_another_question_is_ignored() -> None:
    book, sub = written(A, B), fresh()
    sub.does(book.head())
    request = catch_up(sub)
    late = CatchUp(request.request - 1, request.epoch, request.seq, request.hash)
    assert applied(sub.does(book.after(late))) == []
    assert applied(sub.does(book.after(request))) == [1, 2]


@pytest.mark.rule("S5")
def test_an_entry_in_an_answer_is_taken_only_if_the_publisher_signed_it() -> None:

    book, sub = written(A), fresh()
    sub.does(book.head())
    request = catch_up(sub)
    forged = codec("sub2").seal(TOPICS.log_binding(), book.entries[0])
    answer = Entries(request.request, (forged,), 1)
    assert applied(sub.hears("pub", TOPICS.answer("sub1", "catchup"), answer)) == []


# -- snapshots


@pytest.mark.rule("S1")
def test_a_snapshot_in_parts_is_installed_when_all_of_them_are_there_in_whatever_order() -> None:
    book, sub = written(A, B, C, D), fresh()
    sub.does(book.head())
    parts = book.snapshot(catch_up(sub), size=2)
    assert sub.does(parts[1]) == []
    (installed,) = (each for each in sub.does(parts[0]) if not isinstance(each, ReadFiles))
    assert installed == InstallSnapshot(1, 4, book.replica.hash, (A, B, C, D), ())
    assert (sub.core.replica.position, sub.disk.replica().rows) == ((1, 4), (A, B, C, D))


@pytest.mark.rule("S1")
def test_parts_of_two_snapshots_are_never_put_together() -> None:
    book, sub = written(A, B, C, D), fresh()
    sub.does(book.head())
    request = catch_up(sub)
    first = book.snapshot(request, size=2)
    book.delete(A)
    book.add(row("Root E", "CAPF-trust", holders=("pub",)))
    second = book.snapshot(request, size=2)
    assert [sub.does(part) for part in (first[0], second[1])] == [[], []]
    sub.does(second[0])
    assert (sub.core.replica.position, sub.core.replica.rows) == (book.replica.position, book.replica.rows)


@pytest.mark.rule("S2")
def test_a_snapshot_older_than_the_position_is_not_installed() -> None:
    book, sub = written(A, B), fresh()
    sub.does(book.head())
    request = catch_up(sub)
    old = book.snapshot(request)
    book.add(C)
    for seq in (1, 2, 3):
        sub.does(book.told(seq))
    assert [sub.does(part) for part in old] == [[]]
    assert sub.core.replica.position == (1, 3)


@pytest.mark.rule("S3")
def test_a_snapshot_brings_the_tombstones_that_somebody_may_still_need() -> None:
    book, sub = written(A, B), fresh()
    book.delete(A)
    sub.does(book.head())
    for part in book.snapshot(catch_up(sub)):
        sub.does(part)
    assert sub.core.replica.tombstones == {A.key: 3}
    assert sub.disk.replica().tombstones == ((*A.key, 3),)


# -- epochs and forks


@pytest.mark.rule("S4")
def test_a_lower_epoch_is_refused_and_a_higher_one_is_taken_by_snapshot() -> None:
    old, new, sub = written(A), LogBook(epoch=2, rows=(B,)), fresh()
    sub.does(new.head())
    for part in new.snapshot(catch_up(sub)):
        sub.does(part)
    assert sub.core.replica.position == (2, 0)
    assert sub.does(old.told(1)) == []
    assert (sub.core.replica.position, list(sub.core.replica.rows)) == ((2, 0), [B.key])


@pytest.mark.rule("S4")
@pytest.mark.parametrize("behind", [(1, 1), (2, 0)], ids=["epoch", "entry"])
def test_a_publisher_that_is_behind_is_told_how_far_this_node_is(behind: tuple[int, int]) -> None:
    book, sub = LogBook(epoch=2, rows=(B,)), fresh()
    book.add(A)
    sub.does(book.head())
    for part in book.snapshot(catch_up(sub)):
        sub.does(part)
    told = Head(*behind, b"", "", 0)
    (request,) = asked(sub, sub.hears("pub", TOPICS.head(), told))
    assert (request.epoch, request.seq) == (2, 1)
    assert (sub.core.replica.position, list(sub.core.replica.rows)) == ((2, 1), [B.key, A.key])


@pytest.mark.rule("S4")
def test_an_entry_of_a_higher_epoch_alone_makes_nobody_apply_it() -> None:
    new, sub = LogBook(epoch=2), fresh()
    new.add(A)
    assert applied(sub.does(new.told(1))) == []
    assert sub.core.replica.position == (1, 0)


def test_what_was_kept_ahead_in_an_old_epoch_causes_no_storm_in_the_new_one() -> None:
    old, new, sub = written(A, B, C), LogBook(epoch=2, rows=(A,)), fresh()
    sub.does(old.told(3))
    sub.does(new.head())
    for part in new.snapshot(catch_up(sub)):
        sub.does(part)
    for _ in range(5):
        assert asked(sub, sub.wait(SECOND)) == []
    new.add(B)
    new.add(C)
    new.add(D)
    assert [applied(sub.does(new.told(seq))) for seq in (1, 2, 3)] == [[1], [2], [3]]


@pytest.mark.rule("S4")
def test_a_fork_of_the_log_raises_an_alarm_and_is_not_applied() -> None:
    book, fork, sub = written(A, B), written(C, D), fresh()
    sub.does(book.told(1))
    assert applied(sub.does(fork.told(2))) == []
    assert [each.fields for each in sub.records("alarm")] == [{"alarm": "log_fork", "epoch": 1, "seq": 2}]


@pytest.mark.rule("S7")
def test_an_unequal_digest_at_an_equal_position_raises_an_alarm() -> None:
    book, other, sub = written(A), written(B), fresh()
    sub.does(book.told(1))
    sub.does(other.head())
    assert [each.fields["alarm"] for each in sub.records("alarm")] == ["digest_mismatch"]


@pytest.mark.rule("S2")
def test_a_head_that_goes_back_is_ignored() -> None:
    book, sub = written(A, B), fresh()
    early = LogBook()
    early.add(A)
    sub.does(book.head())
    sub.does(early.head())
    assert sub.core.follower.head is not None
    assert sub.core.follower.head.seq == 2


@pytest.mark.rule("S14")
def test_the_floor_of_a_head_is_kept_and_never_falls() -> None:
    book = written(A, B)
    book.delete(A)
    sub = follower(book).up()
    sub.does(book.head(floor=2))
    assert sub.core.replica.tombstones == {A.key: 3}
    # Whoever came back from a backup may have acknowledged more in an earlier life: only this life's word counts.
    assert sub.does(book.head(floor=3)) == []
    sub.wait(ACK_AFTER)
    assert [each for each in sub.does(book.head(floor=3)) if isinstance(each, RaiseFloor)] == [RaiseFloor(3)]
    assert sub.core.replica.tombstones == {}
    assert sub.does(book.head(floor=1)) == []


# -- back-off


def test_an_unanswered_request_is_repeated_ever_more_rarely_up_to_a_minute() -> None:
    book, sub = written(A), fresh()
    sub.does(book.head())
    moments: list[int] = []
    while sub.lab < HOUR:
        if asked(sub, sub.wait(100 * MILLISECOND)):
            moments.append(sub.lab)
    waits = [later - sooner for sooner, later in pairwise(moments)]
    assert waits[0] <= 2 * SECOND + 100 * MILLISECOND
    assert all(45 * SECOND <= wait <= MINUTE + 100 * MILLISECOND for wait in waits[6:])
    assert len(moments) < 90


def test_nobody_is_asked_who_is_known_to_be_away() -> None:
    book, sub = written(A), fresh()
    sub.hears_birth("pub", "up")
    sub.hears_birth("pub", "lost")
    sub.does(book.head())
    assert asked(sub, sub.wait(HOUR)) == []


def test_the_publisher_that_comes_back_is_asked_even_if_its_head_came_before_its_birth() -> None:
    book, sub = written(A), fresh()
    sub.hears_birth("pub", "up")
    sub.hears_birth("pub", "lost")
    sub.does(book.head())
    sub.wait(MINUTE)
    sub.hears_birth("pub", "up", boot=2)
    assert applied(sub.does(book.after(catch_up(sub)))) == [1]


def test_a_new_session_asks_again_for_what_was_on_its_way() -> None:
    book, sub = written(A), fresh()
    sub.does(book.head())
    catch_up(sub)
    sub.disconnect()
    assert asked(sub, sub.wait(HOUR)) == []
    (request,) = asked(sub, sub.connect())
    assert applied(sub.does(book.after(request))) == [1]


# -- broken replication


@pytest.mark.rule("C-06")
def test_while_replication_is_broken_nothing_of_the_log_arrives() -> None:
    book, sub = written(A, B), fresh()
    sub.does(ReplicationSet(broken=True))
    for event in (book.told(1), book.head(), book.told(2)):
        assert sub.does(event) == []
    assert asked(sub, sub.wait(HOUR)) == []


@pytest.mark.rule("C-06")
def test_repaired_replication_pulls_what_was_missed() -> None:
    book, sub = written(A, B), fresh()
    sub.does(ReplicationSet(broken=True))
    sub.does(book.told(1))
    (request,) = asked(sub, sub.does(ReplicationSet(broken=False)))
    assert applied(sub.does(book.after(request))) == [1, 2]


def test_a_repair_without_a_connection_is_caught_up_with_the_next_one() -> None:
    book, sub = written(A), fresh()
    sub.does(ReplicationSet(broken=True))
    sub.disconnect()
    sub.does(ReplicationSet(broken=False))
    sub.connect()
    sub.does(book.head())
    assert applied(sub.does(book.after(catch_up(sub)))) == [1]


# -- acknowledgements


def acks(sub: Playbook, commands: list[AnyCommand]) -> list[tuple[int, int]]:
    return [(said.epoch, said.seq) for _, said in sub.published(commands) if isinstance(said, Ack)]


@pytest.mark.rule("S14")
def test_a_burst_is_acknowledged_once_and_only_when_the_disk_has_it() -> None:
    book, sub = written(A, B, C), fresh()
    sub.keeps_answers = True
    for seq in (1, 2, 3):
        sub.does(book.told(seq))
    assert sub.wait(ACK_AFTER - 1) == []
    assert sub.wait(1) == [SyncDisk(ACK_SYNC, files=False)]
    (told,) = sub.answer()
    assert isinstance(told, Publish)
    assert (told.topic, told.retain, sub.opened(told)) == (
        TOPICS.ack("sub1"),
        True,
        Ack(1, 3, book.replica.digest(), sub.said(Ack)[-1].count, book.replica.hash),
    )


@pytest.mark.rule("S14")
def test_what_comes_while_the_disk_syncs_is_acknowledged_by_the_next_sync() -> None:
    book, sub = written(A, B), fresh()
    sub.keeps_answers = True
    sub.does(book.told(1))
    sub.wait(ACK_AFTER)
    sub.does(book.told(2))
    assert sub.wait(ACK_AFTER) == []
    assert acks(sub, sub.answer()) == [(1, 1)]
    assert sub.wait(ACK_AT_LEISURE) == [SyncDisk(ACK_SYNC, files=False)]
    assert acks(sub, sub.answer()) == [(1, 2)]


@pytest.mark.rule("S14")
def test_a_few_entries_are_acknowledged_at_leisure_and_many_soon() -> None:
    book, sub = LogBook(), fresh()
    for _ in range(ACK_LAG + 1):
        book.add(row())
    sub.does(book.told(1))
    assert acks(sub, sub.wait(ACK_AFTER)) == [(1, 1)]  # nothing was acknowledged before
    for seq in range(2, ACK_LAG + 1):
        sub.does(book.told(seq))
    assert acks(sub, sub.wait(SECOND)) == []
    sub.does(book.told(ACK_LAG + 1))
    assert acks(sub, sub.wait(ACK_AFTER)) == [(1, ACK_LAG + 1)]
    assert acks(sub, sub.wait(ACK_AT_LEISURE)) == []


@pytest.mark.rule("S14")
def test_the_leisure_of_an_acknowledgement_counts_from_the_first_entry_that_lacks_one() -> None:
    book, sub = written(A, B, C), fresh()
    sub.does(book.told(1))
    sub.wait(ACK_AFTER)
    sub.does(book.told(2))
    assert acks(sub, sub.wait(ACK_AT_LEISURE // 2)) == []
    sub.does(book.told(3))
    assert acks(sub, sub.wait(ACK_AT_LEISURE // 2)) == [(1, 3)]


@pytest.mark.rule("S14")
def test_a_new_session_is_no_time_for_leisure() -> None:
    book, sub = written(A, B), fresh()
    sub.does(book.told(1))
    sub.wait(ACK_AFTER)
    sub.does(book.told(2))
    sub.disconnect()
    sub.connect()
    assert acks(sub, sub.wait(ACK_AFTER)) == [(1, 2)]


def test_a_new_session_repeats_the_acknowledgement_for_a_broker_that_forgot_it() -> None:
    book, sub = written(A), fresh()
    sub.does(book.told(1))
    sub.wait(SECOND)
    sub.disconnect()
    assert acks(sub, sub.connect()) == [(1, 1)]


@pytest.mark.rule("S14")
def test_a_restarted_node_acknowledges_what_its_disk_holds() -> None:
    sub = follower(written(A)).up()
    assert acks(sub, sub.wait(SECOND)) == [(1, 1)]


@pytest.mark.rule("S14")
def test_in_modern_a_node_whose_files_lag_does_not_acknowledge() -> None:
    book, sub = LogBook(), fresh(replication="modern")
    wanted = row()
    stop(sub)
    book.add(wanted)
    sub.does(book.told(1))
    assert acks(sub, sub.wait(29 * MINUTE)) == []
    start(sub)
    sub.does(book.head())
    assert acks(sub, sub.wait(SECOND)) == [(1, 1)]


@pytest.mark.rule("S14")
def test_in_faithful_a_node_acknowledges_rows_whatever_its_files_are() -> None:
    book, sub = LogBook(), fresh()
    stop(sub)
    book.add(row())
    sub.does(book.told(1))
    assert acks(sub, sub.wait(SECOND)) == [(1, 1)]


def test_product_timing_applies_rows_later_in_order_and_answers_for_the_whole() -> None:
    book = written(A, B, C)
    sub = Playbook(config(timing="product"), image=DiskImage(boot=0, installed=True, replica=LogBook().image())).up()
    for seq in (2, 1, 3):
        assert applied(sub.does(book.told(seq))) == []
    assert applied(sub.wait(SECOND - 1)) == []
    assert applied(sub.wait(5 * SECOND)) == [1, 2, 3]
    assert GAP_TIMER not in sub.timers


def stop(sub: Playbook) -> None:
    order(sub, "stop")


def start(sub: Playbook) -> None:
    order(sub, "start")


def order(sub: Playbook, action: str) -> None:

    sub.does(OrderService(f"{action}-{sub.lab}", sub.config.name, CHANGE_NOTIFICATION, action))  # type: ignore[arg-type]
