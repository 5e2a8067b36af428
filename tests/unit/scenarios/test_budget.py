"""A story that never ends is a failed run, not a hung pipeline."""

import asyncio
import signal
import time

import pytest

from ucmlab.scenarios import budget
from ucmlab.scenarios.budget import Overrun, machine_time, people_think


async def bounded(seconds: float, work: "asyncio.Future[None] | None" = None) -> None:
    task = asyncio.current_task()
    assert task is not None
    with machine_time(seconds, task, lambda: asyncio.get_running_loop().call_soon_threadsafe(int)):
        await (work or asyncio.get_running_loop().create_future())


def test_a_story_that_waits_for_ever_is_cancelled() -> None:
    with pytest.raises(asyncio.CancelledError, match=r"^not over after 0\.05 s of machine time$"):
        asyncio.run(bounded(0.05))


def test_a_story_that_never_awaits_is_ended_by_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "GRACE_S", 0.05)

    async def spin() -> None:
        task = asyncio.current_task()
        assert task is not None
        with machine_time(0.05, task, lambda: asyncio.get_running_loop().call_soon_threadsafe(int)):
            while True:
                time.process_time()

    with pytest.raises(Overrun):
        asyncio.run(spin())


def test_a_story_within_its_budget_hears_nothing() -> None:
    async def quick() -> None:
        task = asyncio.current_task()
        assert task is not None
        with machine_time(10, task, lambda: asyncio.get_running_loop().call_soon_threadsafe(int)):
            pass

    asyncio.run(quick())


def test_no_machine_time_counts_while_a_class_thinks() -> None:
    async def think() -> None:
        task = asyncio.current_task()
        assert task is not None
        with machine_time(60, task, int):
            with people_think():
                assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
            assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 60

    asyncio.run(think())
