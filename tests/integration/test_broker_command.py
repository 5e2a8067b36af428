"""`ucmlab broker` as a process, tried with Mosquitto's clients as a person would."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from tests.unit.broker.wire_client import PATIENCE

pytestmark = pytest.mark.skipif(shutil.which("mosquitto_sub") is None, reason="mosquitto_sub is not installed")


@pytest.fixture
async def port() -> AsyncIterator[str]:
    broker = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ucmlab.scenarios", "broker", "--anonymous", "--listen", "127.0.0.1:0",
        "--deny-subscribe", "secret/#", stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert broker.stdout is not None
    async with asyncio.timeout(PATIENCE):
        line = (await broker.stdout.readline()).decode()
    assert line.startswith("listening on mqtt://127.0.0.1:")
    yield line.strip().rpartition(":")[2]
    broker.terminate()
    assert await broker.wait() == 0


class Listener:
    """A `mosquitto_sub` that has subscribed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def output(self) -> list[str]:
        """Its lines, once it has all that it waits for."""
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            return (await self._process.stdout.read()).decode().splitlines()

    def kill(self) -> None:
        self._process.kill()


@pytest.fixture
async def listen(port: str) -> AsyncIterator[Callable[..., Awaitable[Listener]]]:
    async with AsyncExitStack() as stack:

        async def start(*options: str) -> Listener:
            process = await asyncio.create_subprocess_exec(
                "stdbuf", "-oL", "mosquitto_sub", "-d", "-h", "127.0.0.1", "-p", port, *options,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            stack.push_async_callback(_ended, process)
            assert process.stdout is not None
            async with asyncio.timeout(PATIENCE):
                while b"Subscribed" not in (line := await process.stdout.readline()):
                    assert line
            return Listener(process)

        yield start


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


async def publish(port: str, *options: str) -> str:
    process = await asyncio.create_subprocess_exec(
        "mosquitto_pub", "-h", "127.0.0.1", "-p", port, *options, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE):
        _, said = await process.communicate()
    return said.decode()


def messages(lines: list[str]) -> list[str]:
    """What is no word of `-d` about packets."""
    return [line for line in lines if line.startswith("> ")]


@pytest.mark.parametrize("version", ["311", "5"])
async def test_a_message_at_qos_2_arrives(port: str, listen: Callable[..., Awaitable[Listener]], version: str) -> None:
    listener = await listen("-V", version, "-q", "2", "-t", "a/#", "-C", "1", "-F", "> %t %q %p")

    assert await publish(port, "-V", version, "-q", "2", "-t", "a/b", "-m", "hello") == ""

    assert messages(await listener.output()) == ["> a/b 2 hello"]


async def test_properties_arrive_in_order(port: str, listen: Callable[..., Awaitable[Listener]]) -> None:
    listener = await listen("-V", "5", "-t", "a", "-C", "1", "-F", "> %P %C %R %E %p")
    carried = ["user-property", "b", "1"], ["user-property", "a", "2"], ["content-type", "text"]
    options = [part for each in (*carried, ["response-topic", "r"], ["message-expiry-interval", "60"])
               for part in ("-D", "publish", *each)]  # fmt: skip

    assert await publish(port, "-V", "5", "-t", "a", "-m", "x", *options) == ""

    assert messages(await listener.output()) == ["> b:1 a:2 text r 60 x"]


@pytest.mark.parametrize("version", ["311", "5"])
async def test_a_killed_client_leaves_its_will_and_a_group_shares(
    port: str, listen: Callable[..., Awaitable[Listener]], version: str
) -> None:
    one, two = [await listen("-V", version, "-t", "$share/g/+", "-C", "2", "-F", "> %p") for _ in range(2)]
    mortal = await listen("-V", version, "-t", "x", "--will-topic", "w", "--will-payload", "lost", "--will-qos", "2")

    mortal.kill()
    watched = await listen("-V", version, "-t", "done", "-C", "1", "-F", "> %p")
    for number in range(3):
        assert await publish(port, "-V", version, "-t", "m", "-q", "1", "-m", str(number)) == ""

    shares = messages(await one.output()) + messages(await two.output())
    assert sorted(shares) == ["> 0", "> 1", "> 2", "> lost"]
    assert await publish(port, "-t", "done", "-m", "x") == ""
    assert messages(await watched.output()) == ["> x"]


async def test_what_is_denied_is_not_read(port: str, listen: Callable[..., Awaitable[Listener]]) -> None:
    listener = await listen("-V", "5", "-t", "#", "-C", "1", "-F", "> %t")
    assert await publish(port, "-V", "5", "-q", "1", "-t", "secret/x", "-m", "x") == ""
    assert await publish(port, "-q", "1", "-t", "open", "-m", "x") == ""

    assert messages(await listener.output()) == ["> open"]
    assert "Not authorized" in await publish(port, "-V", "5", "-q", "1", "-t", "$SYS/x", "-m", "x")
