"""What a `mosquitto_sub` with the observer's account hears of restarts in a real lab, as the README says to listen."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.integration.real_lab import converge, make_home, opened
from tests.restart_orders import NODES, STORIES, TFTP, Heard, Story, as_expected, every_service_is_restarted, heard
from ucmlab.broker.topics import Topics
from ucmlab.cluster.local import LocalLab
from ucmlab.node.events import OrderService

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("mosquitto_sub") is None, reason="mosquitto_sub is not installed: make extras installs it"
    ),
]
PATIENCE_S = 30
LAST = OrderService("the last", "sub1", TFTP, "restart")
"""When this is done, everything before it was heard."""


class Listener:
    """A `mosquitto_sub` that has subscribed to the topics of services."""

    def __init__(self, process: asyncio.subprocess.Process, lab: LocalLab) -> None:
        self._process = process
        self._lab = lab
        self._payloads: list[bytes] = []

    async def subscribed(self) -> None:
        while b"Subscribed" not in await self._line():
            pass

    async def heard(self) -> Heard:
        """Everything until now."""
        assert (await self._lab.operate("pub", LAST)).outcome == "done"
        while (found := heard(self._payloads)).get(LAST.op_id, ())[-1:] != ("started, done",):
            line = await self._line()
            if not line.startswith(b"Client "):  # what it tells of itself
                self._payloads.append(bytes.fromhex(line.decode().strip()))
        return {op_id: what for op_id, what in found.items() if op_id != LAST.op_id}

    async def _line(self) -> bytes:
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            line = await self._process.stdout.readline()
        assert line, "it has ended"
        return line


@asynccontextmanager
async def listener(lab: LocalLab) -> AsyncIterator[Listener]:
    place, password = lab.roster.place, lab.home.credentials().observer_password
    where = ("-L", f"mqtt://observer:{password}@{place.host}:{place.port}/{Topics(lab.home.lab.cluster).root}/svc/#")
    process = await asyncio.create_subprocess_exec(
        "stdbuf", "-oL", "mosquitto_sub", "-d", *where, "-q", "1", "-F", "%x", stdout=asyncio.subprocess.PIPE
    )
    try:
        made = Listener(process, lab)
        await made.subscribed()
        yield made
    finally:
        process.kill()
        await process.wait()


@pytest.mark.rule("R-155", "R-157", "S11")
@pytest.mark.parametrize(
    "story",
    [pytest.param(each, marks=() if each is every_service_is_restarted else pytest.mark.library) for each in STORIES],
)
async def test_one_command_and_the_states_of_a_restart_are_heard(tmp_path: Path, story: Story) -> None:
    async with opened(make_home(tmp_path, NODES)) as lab:
        await converge(lab)
        async with listener(lab) as listening:
            expected = await story(lab)
            said = await listening.heard()
    assert as_expected(said, expected), said
