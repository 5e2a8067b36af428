"""The replica is the fold of the log, and nothing else."""

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.playbook import LogBook, Playbook, follower, row
from ucmlab.broker.messages import CatchUp, LogEntry, Row
from ucmlab.node.commands import Publish
from ucmlab.node.events import MessageArrived, ReplicaImage
from ucmlab.node.instant import MINUTE, SECOND
from ucmlab.node.log_hash import entry_hash
from ucmlab.node.replica import Replica

ROWS = [row(f"Root {number}", unit) for unit in ("tomcat-trust", "CallManager-trust") for number in range(4)]

changes = st.lists(
    st.tuples(
        st.lists(st.sampled_from(ROWS), max_size=3, unique_by=lambda each: each.key),
        st.lists(st.sampled_from(ROWS), max_size=2, unique_by=lambda each: each.key),
    ).filter(lambda change: change[0] or change[1]),
    min_size=1,
    max_size=12,
)
Changes = Sequence[tuple[Sequence[Row], Sequence[Row]]]


def book_of(history: Changes) -> LogBook:
    book = LogBook()
    for adds, removes in history:
        book.add(*adds, removes=tuple(each.key for each in removes))
    return book


def applied(book: LogBook) -> Replica:
    replica = Replica(ReplicaImage(epoch=1))
    for entry, payload in zip(book.entries, book.payloads, strict=True):
        replica.apply(entry, entry_hash(payload))
    return replica


def naive_rows(entries: Sequence[LogEntry]) -> dict[tuple[str, str], Row]:
    rows: dict[tuple[str, str], Row] = {}
    for entry in entries:
        rows = {key: held for key, held in rows.items() if key not in entry.removes} | {
            each.key: each for each in entry.adds
        }
    return rows


def naive_digest(rows: Sequence[Row]) -> str:
    lines = sorted(f"{each.unit}\t{each.fingerprint}\n" for each in rows)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@pytest.mark.rule("S1")
@given(changes)
def test_rows_are_the_fold_of_the_entries(history: Changes) -> None:
    book = book_of(history)
    assert applied(book).rows == naive_rows(book.entries)


@pytest.mark.rule("S7")
@given(changes)
def test_the_digest_is_the_hash_of_the_sorted_lines_whatever_the_way_there(history: Changes) -> None:
    replica = applied(book_of(history))
    rows = list(replica.rows.values())
    assert replica.digest() == naive_digest(rows)
    assert Replica(ReplicaImage(rows=tuple(reversed(rows)))).digest() == naive_digest(rows)


@pytest.mark.rule("S1")
@given(changes)
def test_the_rows_of_a_unit_are_those_rows_of_all_that_are_of_it(history: Changes) -> None:
    replica = applied(book_of(history))
    for unit in ("tomcat-trust", "CallManager-trust", "CAPF-trust"):
        assert replica.of_unit(unit) == {key[1]: each for key, each in replica.rows.items() if key[0] == unit}


@given(changes, st.integers(0, 12))
def test_a_snapshot_in_the_middle_leads_to_the_same_rows_tombstones_and_position(history: Changes, at: int) -> None:
    book = book_of(history)
    whole, half = applied(book), book_of(history[:at])
    replica = Replica(half.image())
    for entry, payload in list(zip(book.entries, book.payloads, strict=True))[len(half.entries) :]:
        replica.apply(entry, entry_hash(payload))
    assert (replica.rows, replica.tombstones, replica.position, replica.digest()) == (
        whole.rows,
        whole.tombstones,
        whole.position,
        whole.digest(),
    )


@pytest.mark.rule("S3")
def test_a_delete_leaves_a_tombstone_and_a_new_upload_takes_it_away() -> None:
    book = LogBook()
    book.add(ROWS[0])
    book.delete(ROWS[0])
    assert applied(book).tombstones == {ROWS[0].key: 2}
    book.add(ROWS[0])
    assert applied(book).tombstones == {}


def test_a_replacement_of_a_row_by_itself_is_no_delete() -> None:
    book = LogBook()
    book.add(ROWS[0])
    book.add(ROWS[0], removes=(ROWS[0].key,))
    assert (applied(book).tombstones, list(applied(book).rows)) == ({}, [ROWS[0].key])


@pytest.mark.rule("S14")
def test_raising_the_floor_forgets_the_tombstones_at_or_below_it_and_a_floor_never_falls() -> None:
    book = LogBook()
    book.add(*ROWS[:3])
    for gone in ROWS[:3]:
        book.delete(gone)
    replica = applied(book)
    assert replica.raise_floor(3)
    assert (replica.floor, replica.tombstones) == (3, {ROWS[2].key: 4})
    assert not replica.raise_floor(2)
    assert replica.floor == 3


@pytest.mark.rule("S1")
@pytest.mark.rule("L1")
@settings(max_examples=60, deadline=None)
@given(changes, st.data())
def test_any_history_reordered_repeated_and_with_gaps_converges_to_the_log(
    history: Changes, data: st.DataObject
) -> None:
    book = book_of(history)
    sub = Playbook(image=follower(LogBook()).disk.image()).up()
    arrivals = st.lists(st.integers(1, len(book.entries)), max_size=3 * len(book.entries))
    for seq in data.draw(arrivals):
        sub.does(book.told(seq))
        if data.draw(st.booleans()):
            sub.wait(data.draw(st.sampled_from((SECOND // 100, SECOND))))
    answer_every_request(sub, book, [*sub.does(book.head()), *sub.wait(2 * MINUTE)])
    assert (sub.core.replica.rows, sub.core.replica.position) == (book.replica.rows, book.replica.position)
    assert sub.disk.replica() == book.image()
    assert sub.records("alarm") == []


def answer_every_request(sub: Playbook, book: LogBook, wanted: Sequence[object], *, most: int = 200) -> None:
    """Play the publisher until nothing more is asked for."""
    pending = list(wanted)
    for _ in range(50):
        pending += sub.wait(SECOND)
        requests = [each for each in pending if isinstance(each, Publish)]
        asked = [said for _, said in sub.published(requests) if isinstance(said, CatchUp)]
        if not asked:
            return
        answer: MessageArrived = book.after(asked[-1], most=most)
        pending = list(sub.does(answer))
    raise AssertionError("it never stops asking")
