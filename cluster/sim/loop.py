"""An asyncio event loop in virtual time: whenever every task waits, the world's next event happens.

The selector is the seam: asyncio asks it to wait for I/O until the next timer; ours lets the world go on instead and
says that no file became ready. Tasks, timeouts, sleeps and task groups work unchanged. What would reach outside the
simulation (sockets, subprocesses, threads) raises.
"""

import asyncio
import selectors
from typing import Any, NoReturn

from ucmlab.cluster.sim.timeline import Timeline
from ucmlab.node.instant import SECOND


class Deadlock(RuntimeError):
    """Every task waits and nothing will ever happen in the world."""


class WorldSelector(selectors._BaseSelectorImpl):  # noqa: SLF001  # the base of every selector of the standard library
    """Waits by letting the world go on."""

    def __init__(self, world: Timeline) -> None:
        """The world that passes the time."""
        super().__init__()
        self._world = world

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Let at most one event happen, or pass `timeout` seconds of lab time."""
        if timeout is not None and timeout <= 0:
            return []
        due = self._world.next_due()
        if timeout is None and due is None:
            raise Deadlock("every task waits and nothing is due: the story would never end")
        limit = None if timeout is None else self._world.now + round(timeout * SECOND)
        if due is not None and (limit is None or due <= limit):
            self._world.step()
        elif limit is not None:
            self._world.now = limit
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """The event loop on which a story runs in `sim`."""

    def __init__(self, world: Timeline) -> None:
        """A loop whose time is the world's."""
        self._world = world
        super().__init__(WorldSelector(world))

    def time(self) -> float:
        """Lab time in seconds, as asyncio wants it."""
        return self._world.now / SECOND

    def run_in_executor(self, *_: Any) -> NoReturn:  # type: ignore[override]  # refuses whatever is asked
        """Refuse: a thread knows nothing of virtual time."""
        raise RuntimeError("threads do not work in a simulated story; run it with --mode local")

    async def create_connection(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: there is no network outside the simulation."""
        raise RuntimeError("sockets do not work in a simulated story; run it with --mode local")

    async def subprocess_exec(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: there are no processes inside the simulation."""
        raise RuntimeError("subprocesses do not work in a simulated story; run it with --mode local")

    subprocess_shell = subprocess_exec
