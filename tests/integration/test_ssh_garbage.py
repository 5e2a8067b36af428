"""What is no SSH, and what is too much of it: neither the node nor anybody else is troubled by it."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.integration.command_line import CommandLine, Forked, running
from tests.integration.hostile_ssh import GARBAGE, VERSION
from tests.integration.interfaces import END, Door
from ucmlab.cluster.admin.terminal.ssh import SESSIONS

pytestmark = pytest.mark.slow
PATIENCE_S = 30
NOT_ASCII = b"SSH-2.0-OpenSSH_\xa6\r\n"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with running(tmp_path_factory.mktemp("garbage"), Forked, nodes="pub") as made:
        yield made


@pytest.mark.parametrize(
    "said", [*GARBAGE, NOT_ASCII, VERSION[:-3] + b"\xff\xff" + VERSION], ids=range(len(GARBAGE) + 2)
)
def test_what_is_no_ssh_ends_nobody(lab: CommandLine, said: bytes) -> None:
    async def come(door: Door) -> str:
        async with door.connect() as connection, asyncio.timeout(PATIENCE_S):
            process = await connection.create_process(term_type="vt100")
            await process.stdout.readuntil(END)
            reader, writer = await asyncio.open_connection(door.host, door.port)
            with suppress(ConnectionError):
                writer.write(said)
                await reader.readline()
            writer.transport.abort()
            process.stdin.write("show version active\n")
            return str(await process.stdout.readuntil("\n" + END))

    pid = lab.json("dump")["nodes"]["pub"]["pid"]
    assert "Active Master Version" in asyncio.run(come(Door(lab, "pub")))
    assert lab.json("dump")["nodes"]["pub"]["pid"] == pid
    assert (lab.home / "logs" / "supervisor.log").read_text() == ""


def test_sessions_that_are_asked_for_together_are_no_more_than_a_connection_may_have(lab: CommandLine) -> None:
    async def come(door: Door) -> int:
        async with door.connect() as connection, asyncio.timeout(PATIENCE_S):
            asked = (connection.create_process(term_type="vt100") for _ in range(3 * SESSIONS))
            came = await asyncio.gather(*asked, return_exceptions=True)
            there = [each for each in came if not isinstance(each, BaseException)]
            for each in there:
                await each.stdout.readuntil(END)
            there[0].close()
            await there[0].wait_closed()
            await connection.create_process(term_type="vt100")  # there is room again
            return len(there)

    assert asyncio.run(come(Door(lab, "pub"))) == SESSIONS
