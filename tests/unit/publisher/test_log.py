"""The log in memory: positions, what is handed out, the floor, the answers."""

import pytest

from tests.playbook import LogBook, row
from ucmlab.broker.messages import Answer
from ucmlab.node.log_hash import entry_hash
from ucmlab.publisher.log import KEPT_ANSWERS, Log

A, B, C = (row(f"Root {letter}") for letter in "ABC")


def logged(entries: int = 3) -> tuple[Log, LogBook]:
    book, log = LogBook(), Log(epoch=1, floor=0, floor_hash=b"")
    for each in (A, B, C)[:entries]:
        log.append(book.add(each), book.payloads[-1])
    return log, book


def test_the_head_is_the_last_entry() -> None:
    log, book = logged()
    assert (log.head, log.head_hash) == ((1, 3), entry_hash(book.payloads[-1]))
    assert Log(epoch=4, floor=9, floor_hash=b"f").head == (4, 9)


@pytest.mark.parametrize("seq", range(4))
def test_what_comes_after_a_known_position_is_handed_out(seq: int) -> None:
    log, book = logged()
    known = entry_hash(book.payloads[seq - 1]) if seq else b""
    assert log.after(seq, known) == tuple(book.payloads[seq:])


@pytest.mark.parametrize(("seq", "known"), [(0, b"x"), (2, b"x"), (4, b""), (-1, b"")])
def test_who_has_another_past_needs_a_snapshot(seq: int, known: bytes) -> None:
    assert logged()[0].after(seq, known) is None


@pytest.mark.rule("S14")
def test_below_the_floor_nothing_is_handed_out_and_at_it_everything() -> None:
    log, book = logged()
    log.raise_floor(2)
    assert (log.floor, log.floor_hash) == (2, entry_hash(book.payloads[1]))
    assert log.after(1, entry_hash(book.payloads[0])) is None
    assert log.after(2, entry_hash(book.payloads[1])) == (book.payloads[2],)
    log.raise_floor(3)
    assert (log.head, log.after(3, log.head_hash)) == ((1, 3), ())


def test_a_new_epoch_starts_empty_and_keeps_the_answers() -> None:
    log, _ = logged()
    given = Answer("op-1", "done", "", "", 1, 1, {})
    log.remember(given)
    log.begin_epoch(2)
    assert (log.head, log.head_hash, log.answer("op-1")) == ((2, 0), b"", given)


def test_answers_are_remembered_up_to_a_limit_oldest_first() -> None:
    log = Log(epoch=1, floor=0, floor_hash=b"")
    for number in range(KEPT_ANSWERS + 5):
        log.remember(Answer(f"op-{number}", "done", "", "", 1, 1, {}))
    assert (log.answer("op-4"), log.answer("op-5") is None) == (None, False)
