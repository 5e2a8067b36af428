"""Timers in lab time."""

from hypothesis import given
from hypothesis import strategies as st

from ucmlab.node.timers import Timers


def fired(timers: Timers, now: int) -> list[str]:
    found: list[str] = []
    while (token := timers.pop_due(now)) is not None:
        found.append(token)
    return found


def test_timers_fire_by_instant_and_then_in_the_order_of_their_start() -> None:
    timers = Timers()
    timers.start("late", 30)
    timers.start("first", 10)
    timers.start("second", 10)

    assert timers.next_due() == 10
    assert fired(timers, 20) == ["first", "second"]
    assert timers.next_due() == 30


def test_a_timer_started_again_is_replaced() -> None:
    timers = Timers()
    timers.start("t", 10)
    timers.start("t", 50)

    assert fired(timers, 40) == []
    assert fired(timers, 50) == ["t"]
    assert timers.next_due() is None


def test_a_cancelled_timer_does_not_fire_and_cancelling_nothing_is_no_error() -> None:
    timers = Timers()
    timers.start("t", 10)
    timers.cancel("t")
    timers.cancel("t")

    assert timers.next_due() is None
    assert fired(timers, 10) == []


def test_timers_started_after_the_mark_wait_for_the_next_one() -> None:
    timers = Timers()
    timers.start("old", 10)
    mark = timers.mark
    timers.start("new", 10)

    assert timers.pop_due(10, mark) == "old"
    assert timers.pop_due(10, mark) is None
    assert timers.pop_due(10) == "new"


actions = st.lists(st.tuples(st.sampled_from("abcd"), st.one_of(st.none(), st.integers(0, 100))))


@given(actions, st.integers(0, 100))
def test_what_fires_is_what_a_plain_table_says(history: list[tuple[str, int | None]], now: int) -> None:
    timers, table = Timers(), dict[str, tuple[int, int]]()
    for number, (token, due) in enumerate(history):
        if due is None:
            timers.cancel(token)
            table.pop(token, None)
        else:
            timers.start(token, due)
            table[token] = (due, number)

    expected = sorted((when, token) for token, when in table.items() if when[0] <= now)

    assert timers.next_due() == min((due for due, _ in table.values()), default=None)
    assert fired(timers, now) == [token for _, token in expected]
