"""Flowing lab time: waiting is waiting, and a lab is settled when nothing happens to be in flight."""

import asyncio
from collections.abc import Callable

from ucmlab.cluster.stepping import Steppable, become_quiet
from ucmlab.node.clock import LabClock

SETTLE_S = 0.5
"""Machine time given to become quiet. Time flows on, so a busy lab never is, and nobody may depend on it."""
LOOK_AGAIN_S = 0.05
"""Machine time after which a condition is looked at even if nothing was heard: it may concern files, or only time."""
LOOK_AT_MOST_EVERY_S = 0.01


class Flow:
    """Waits in flowing time, with the same methods as `Stepper`."""

    def __init__(self, lab: Steppable, clock: LabClock) -> None:
        """Nobody waits yet."""
        self._lab = lab
        self._clock = clock
        self._watchers: list[Callable[[], None]] = []

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call `watcher` whenever somebody waits and something was heard; returns what ends it."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    async def settle(self) -> None:
        """Wait until nothing is in flight, but not for long."""
        try:
            async with asyncio.timeout(SETTLE_S):
                await become_quiet(self._lab)
        except TimeoutError:
            pass  # it is busy, which is no fault while time flows

    async def until(self, condition: Callable[[], bool], deadline: int) -> bool:
        """Wait until the condition holds, at most until the lab instant `deadline`."""
        while not condition():
            if self._clock.lab() >= deadline:
                return False
            await self._something(min(LOOK_AGAIN_S, self._clock.machine_seconds(deadline)))
            for watcher in list(self._watchers):
                watcher()
        return True

    async def _something(self, longest: float) -> None:
        self._lab.changed.clear()
        try:
            async with asyncio.timeout(longest):
                await self._lab.changed.wait()
            await asyncio.sleep(min(longest, LOOK_AT_MOST_EVERY_S))
        except TimeoutError:
            pass
