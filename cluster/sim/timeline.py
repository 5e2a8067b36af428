"""Virtual time: a heap of what happens next. Equal instants keep the order in which they were asked for."""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any


class Timeline:
    """What is due, and when; lab microseconds from 0."""

    def __init__(self) -> None:
        """Nothing is due."""
        self.now = 0
        self.events_handled = 0
        self._heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._counter = 0

    def at(self, due: int, action: Callable[..., None], *arguments: object) -> int:
        """Do something at a lab instant; returns a number that no other call got."""
        self._counter += 1
        heappush(self._heap, (due, self._counter, action, arguments))
        return self._counter

    def next_due(self) -> int | None:
        """When the next thing happens; None when nothing ever will."""
        return self._heap[0][0] if self._heap else None

    def step(self) -> None:
        """Let the next thing happen."""
        due, _, action, arguments = heappop(self._heap)
        self.now = max(self.now, due)
        self.events_handled += 1
        action(*arguments)

    def run_until(self, instant: int) -> None:
        """Let everything happen up to and including a lab instant."""
        heap = self._heap
        while heap and heap[0][0] <= instant:
            due, _, action, arguments = heappop(heap)
            if due > self.now:  # noqa: PLR1730  # max() takes three times as long, for each event of every search
                self.now = due
            self.events_handled += 1
            action(*arguments)
        self.now = max(self.now, instant)
