"""Places outside in the hands of a story that is told with real processes."""

from collections.abc import Awaitable, Callable

from ucmlab.cluster.outside.place import Place

Acted = Callable[[str, str, int | None], Awaitable[None]]
"""Hears the name of a place, what was done to it (`stop`, `start`, `slow`) and how slow it is; returns when the lab is
settled."""


class Served:
    """One place of a lab. A subclass says where it is found."""

    def __init__(self, place: Place, acted: Acted) -> None:
        """Of a place that is open."""
        self._served = place
        self._acted = acted

    async def start(self) -> None:
        """Be up, and answer at once."""
        await self._served.start()
        await self._acted(self._served.name, "start", 0)

    async def stop(self) -> None:
        """Let nobody in any more."""
        await self._served.stop()
        await self._acted(self._served.name, "stop", 0)

    async def slow(self, delay: int | None) -> None:
        """Take so many lab microseconds for an answer; None: give none."""
        self._served.slow(delay)
        await self._acted(self._served.name, "slow", delay)

    def close(self) -> None:
        """Be gone with the lab."""
        self._served.close()
