"""The brokers that the contracts are tried with, started for one test: ours in this process, and Mosquitto."""

import asyncio
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.unit.broker.wire_client import PATIENCE
from ucmlab.broker.access import allow_everyone, allow_everything
from ucmlab.broker.core import BrokerCore
from ucmlab.broker.server import EmbeddedBroker

MOSQUITTO = Path("/usr/sbin/mosquitto")


async def embedded(stack: AsyncExitStack) -> int:
    """Serves until the stack ends; returns the port."""
    broker = EmbeddedBroker(BrokerCore(allow_everyone, allow_everything), tick_interval=0.1)
    await broker.start()
    stack.push_async_callback(broker.stop)
    return broker.port


async def mosquitto(stack: AsyncExitStack, folder: Path) -> int:
    """Runs until the stack ends; returns the port. Skips the test where it is not installed."""
    if not MOSQUITTO.exists():  # noqa: ASYNC240  one look, before anything runs
        pytest.skip(f"{MOSQUITTO} is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nlog_dest stderr\n")
    process = await asyncio.create_subprocess_exec(MOSQUITTO, "-c", config, stderr=asyncio.subprocess.PIPE)

    async def stop() -> None:
        process.kill()
        await process.communicate()

    stack.push_async_callback(stop)
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE):
        while b"running" not in (line := await process.stderr.readline()):
            assert line, "mosquitto ended before it was ready"
    return port
