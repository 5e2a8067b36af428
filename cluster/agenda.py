"""What a lab of real processes does itself at instants of lab time: faults end, clocks drift, held bytes go on.

The same two calls as the simulation's timeline (`now`, `at`), so that what is due is written once for both. Stepped,
the stepper runs what is due, as it lets the timers of nodes fire; flowing, the event loop does.
"""

import asyncio
from collections.abc import Awaitable, Callable
from heapq import heappop, heappush

from ucmlab.node.clock import LabClock

Action = Callable[..., Awaitable[None] | None]


class Agenda:
    """The appointments of one lab. Equal instants keep the order in which they were made."""

    def __init__(self, clock: LabClock) -> None:
        """None yet."""
        self._clock = clock
        self._heap: list[tuple[int, int, Action, tuple[object, ...]]] = []
        self._made = 0
        self._ticker: asyncio.TimerHandle | None = None
        self._running: asyncio.Task[bool] | None = None
        self.error: BaseException | None = None
        """What an appointment raised while time flowed, where nobody waited for it."""

    @property
    def now(self) -> int:
        """Lab microseconds."""
        return self._clock.lab()

    def at(self, due: int, action: Action, *arguments: object) -> None:
        """Do something at a lab instant."""
        self._made += 1
        heappush(self._heap, (due, self._made, action, arguments))
        self.wind()

    def next_due(self) -> int | None:
        """When the next thing is to be done."""
        return self._heap[0][0] if self._heap else None

    async def run_due(self) -> bool:
        """Do what is due by now; whether there was anything."""
        ran = False
        while self._heap and self._heap[0][0] <= self.now:
            _, _, action, arguments = heappop(self._heap)
            ran = True
            done = action(*arguments)
            if done is not None:
                await done
        return ran

    def wind(self) -> None:
        """Flowing: have the loop wake us at the next instant. To be called when time begins to run differently."""
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None
        due = self.next_due()
        if due is not None and not self._clock.stepped and self._running is None:
            loop = asyncio.get_running_loop()
            self._ticker = loop.call_later(self._clock.machine_seconds(due), self._wake)

    def clear(self) -> None:
        """Nothing is to be done any more."""
        self._heap.clear()
        self.wind()

    def _wake(self) -> None:
        if not self._clock.stepped:
            self._running = asyncio.get_running_loop().create_task(self.run_due(), name="lab.agenda")
            self._running.add_done_callback(self._ran)

    def _ran(self, task: "asyncio.Task[bool]") -> None:
        self._running = None
        if not task.cancelled() and task.exception() is not None:
            self.error = task.exception()
        self.wind()
