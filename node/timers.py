"""The timers of one node, in lab time. Pure: it is told the time and never waits."""

import heapq


class Timers:
    """Running timers by token, soonest first; equal instants fire in the order in which they were started."""

    def __init__(self) -> None:
        """None runs."""
        self._heap: list[tuple[int, int, str]] = []
        self._running: dict[str, int] = {}
        self._started = 0

    @property
    def mark(self) -> int:
        """How many timers were ever started: a bound for `pop_due`."""
        return self._started

    def start(self, token: str, due: int) -> None:
        """Start a timer, or start it again."""
        self._started += 1
        self._running[token] = self._started
        heapq.heappush(self._heap, (due, self._started, token))

    def cancel(self, token: str) -> None:
        """Forget a timer; one that does not run is no error."""
        self._running.pop(token, None)

    def next_due(self) -> int | None:
        """When the next one is due; None when none runs."""
        while self._heap:
            due, number, token = self._heap[0]
            if self._running.get(token) == number:
                return due
            heapq.heappop(
                self._heap
            )  # cancelled, or started again: forgotten late, because heaps remove only the first
        return None

    def pop_due(self, now: int, mark: int | None = None) -> str | None:
        """Take out one that is due by `now` and was started before `mark`; None when there is none."""
        due = self.next_due()
        if due is None or due > now or (mark is not None and self._heap[0][1] > mark):
            return None
        token = heapq.heappop(self._heap)[2]
        del self._running[token]
        return token
