"""A node to which hostile clients come: it must not end, not grow, and serve the others meanwhile."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.integration.command_line import CommandLine
from tests.integration.interfaces import Api, Door

SERVED_WITHIN_S = 5.0
GREW = 8 << 20
"""Bytes that the process may be larger at the end than it ever was in the first half.

A thousand requests leave 50 MB of cycles behind, until the collector comes to the old ones; then it is a plateau.
"""
DESCRIPTORS = 100


class Watched:
    """The publisher of a lab of one."""

    def __init__(self, lab: CommandLine) -> None:
        self.lab = lab
        self.api = Api(lab, "pub")
        self.door = Door(lab, "pub")
        self._process = psutil.Process(lab.json("dump")["nodes"]["pub"]["pid"])
        self._sizes: list[int] = []
        self._slowest = 0.0

    async def look(self) -> None:
        """Come as others do, over both interfaces, and see how large it is."""
        began = time.monotonic()
        assert (await asyncio.to_thread(self.api.get, "/snapshot/server"))["server"] == "pub"
        listed = time.monotonic()
        assert "Welcome" in await self._logged_in()
        self._slowest = max(self._slowest, listed - began, time.monotonic() - listed)
        self._sizes.append(self._process.memory_info().rss)

    def told(self) -> dict[str, object]:
        """What was seen."""
        first_half = max(self._sizes[: len(self._sizes) // 2])
        return {
            "most in the first half, at the end, MB": (round(first_half / 1e6, 1), round(self._sizes[-1] / 1e6, 1)),
            "slowest honest answer, s": round(self._slowest, 3),
            "descriptors": self._process.num_fds(),
        }

    def must_be_well(self) -> None:
        """It is the same process, and no worse for what came."""
        assert self.lab.json("dump")["nodes"]["pub"]["pid"] == self._process.pid
        assert self._slowest < SERVED_WITHIN_S
        assert self._sizes[-1] - max(self._sizes[: len(self._sizes) // 2]) < GREW
        assert self._process.num_fds() < DESCRIPTORS
        log = (self.lab.home / "logs" / "supervisor.log").read_text()
        assert log == ""

    async def _logged_in(self) -> str:
        async with self.door.connect() as connection:
            process = await connection.create_process(term_type="vt100")
            return str(await process.stdout.readuntil("admin:"))


@contextmanager
def watched(folder: Path) -> Iterator[Watched]:
    """Its lab, until it is down."""
    lab = CommandLine(folder)
    lab.must("up", "--detach", "--nodes", "pub")
    try:
        yield Watched(lab)
    finally:
        lab.run("down")
