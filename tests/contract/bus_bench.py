"""What the contract of the `Bus` port is tried on: a broker, and members on it, by whatever carrier."""

import asyncio
import random
import socket
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from ucmlab.broker.access import allow_everyone, allow_everything
from ucmlab.broker.aiomqtt_bus import AiomqttBus
from ucmlab.broker.bus import Bus, BusEndpoint, Will
from ucmlab.broker.core import BrokerCore
from ucmlab.broker.server import EmbeddedBroker
from ucmlab.cluster.carriers.mosquitto import find_mosquitto
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.sim.bus import SimBroker, SimBus
from ucmlab.cluster.sim.timeline import Timeline
from ucmlab.node.instant import MILLISECOND

PATIENCE_S = 20.0
WILLS = "wills"


class Heard:
    """A listener that remembers everything in order."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.on_message: Callable[[], None] = lambda: None
        self._something = asyncio.Event()

    @property
    def messages(self) -> list[str]:
        return [what for what in self.said if "=" in what]

    def connected(self) -> None:
        self._hear("connected")

    def disconnected(self) -> None:
        self._hear("disconnected")

    def message(self, topic: str, payload: bytes) -> None:
        self._hear(f"{topic}={payload.decode()}")
        self.on_message()

    def duplicate(self) -> None:
        self._hear("duplicate")

    def counted(self) -> None:
        self._something.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something heard makes the condition hold."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._something.clear()
                await self._something.wait()

    async def until_said(self, what: str, times: int = 1) -> None:
        await self.until(lambda: self.said.count(what) >= times)

    def _hear(self, what: str) -> None:
        self.said.append(what)
        self._something.set()


class Member:
    """One member: its bus, and what it heard."""

    def __init__(self, bus: Bus, heard: Heard) -> None:
        self.bus = bus
        self.heard = heard

    async def subscribed(self, *filters: str) -> None:
        await self.heard.until_said("connected")
        self.bus.subscribe(filters)
        await self.answered()

    async def answered(self) -> None:
        """Wait until the broker has acknowledged everything."""
        await self.heard.until(lambda: self.bus.counters().unanswered == 0)


class Bench(Protocol):
    """One broker, and members on it."""

    silent_takeover: bool
    """Whether it ends a connection for another under the same name without saying so."""

    def member(self, name: str) -> AbstractAsyncContextManager[Member]:
        """A member that runs until the context ends, with a will `<name>` on the topic `wills`."""
        ...

    async def cut(self, name: str) -> None:
        """Break a member's connection, as the death of its process would."""
        ...

    async def stop_broker(self) -> None:
        """Take the broker away."""
        ...

    async def start_broker(self) -> None:
        """Have it again, empty, where it was."""
        ...


class AiomqttBench:
    """aiomqtt against the embedded broker, on a loopback port."""

    silent_takeover = False

    def __init__(self) -> None:
        self._port = 0
        self._broker: EmbeddedBroker

    async def start_broker(self) -> None:
        self._broker = EmbeddedBroker(BrokerCore(allow_everyone, allow_everything), port=self._port)
        await self._broker.start()
        self._port = self._broker.port

    async def stop_broker(self) -> None:
        await self._broker.stop()

    async def cut(self, name: str) -> None:
        conn = self._broker.core.stats().clients[name].conn
        assert conn is not None
        self._broker._links[conn].abort()  # the server has no reason to offer that to anybody else

    @asynccontextmanager
    async def member(self, name: str) -> AsyncIterator[Member]:
        heard = Heard()
        endpoint = BusEndpoint("127.0.0.1", self._port, name, name, "")
        bus = AiomqttBus(endpoint, heard, will=Will(WILLS, name.encode()))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(bus.run(), name=f"bus[{name}]")
            try:
                yield Member(bus, heard)
            finally:
                await bus.close(1.0)


@asynccontextmanager
async def aiomqtt_bench() -> AsyncIterator[Bench]:
    bench = AiomqttBench()
    await bench.start_broker()
    try:
        yield bench
    finally:
        await bench.stop_broker()


class MosquittoBench:
    """aiomqtt against a Mosquitto, on a loopback port."""

    silent_takeover = True  # Mosquitto before 2.1

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        self._configuration = folder / "mosquitto.conf"
        self._configuration.write_text(
            f"listener {self._port} 127.0.0.1\nallow_anonymous true\nlog_dest stderr\nset_tcp_nodelay true\n"
        )
        self._process: asyncio.subprocess.Process
        self._buses: dict[str, AiomqttBus] = {}

    async def start_broker(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            find_mosquitto(), "-c", self._configuration, stderr=asyncio.subprocess.PIPE
        )
        assert self._process.stderr is not None
        async with asyncio.timeout(PATIENCE_S):
            while b"running" not in (line := await self._process.stderr.readline()):
                assert line, "mosquitto ended before it was ready"

    async def stop_broker(self) -> None:
        self._process.kill()
        await self._process.communicate()

    async def cut(self, name: str) -> None:
        session = self._buses[name]._session
        assert session is not None
        session.abort()  # as when its process dies; a broker of somebody else's cuts nobody on request

    @asynccontextmanager
    async def member(self, name: str) -> AsyncIterator[Member]:
        heard = Heard()
        bus = AiomqttBus(BusEndpoint("127.0.0.1", self._port, name, name, ""), heard, will=Will(WILLS, name.encode()))
        self._buses[name] = bus
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(bus.run(), name=f"bus[{name}]")
            try:
                yield Member(bus, heard)
            finally:
                await bus.close(1.0)


@asynccontextmanager
async def mosquitto_bench() -> AsyncIterator[Bench]:
    try:
        find_mosquitto()
    except Unusable as absent:
        pytest.skip(absent.text)
    with tempfile.TemporaryDirectory() as folder:
        bench = MosquittoBench(Path(folder))
        await bench.start_broker()
        try:
            yield bench
        finally:
            await bench.stop_broker()


class SimBench:
    """The simulation's bus on a timeline, which goes on whenever every task of the test waits."""

    silent_takeover = False

    def __init__(self) -> None:
        self._timeline = Timeline()
        latency = (MILLISECOND // 5, 20 * MILLISECOND)
        self._broker = SimBroker(self._timeline, random.Random(1), allow_everything, latency=latency)

    async def pass_time(self) -> None:
        while True:
            if self._timeline.next_due() is not None:
                self._timeline.step()
            await asyncio.sleep(0)

    async def start_broker(self) -> None:
        self._broker.start()

    async def stop_broker(self) -> None:
        self._broker.kill()

    async def cut(self, name: str) -> None:
        self._broker.cut(name)

    @asynccontextmanager
    async def member(self, name: str) -> AsyncIterator[Member]:
        heard = Heard()
        bus = SimBus(self._broker, name, heard, will=Will(WILLS, name.encode()))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(bus.run(), name=f"bus[{name}]")
            try:
                yield Member(bus, heard)
            finally:
                await bus.close(1.0)


@asynccontextmanager
async def sim_bench() -> AsyncIterator[Bench]:
    bench = SimBench()
    await bench.start_broker()
    async with asyncio.TaskGroup() as tasks:
        passing = tasks.create_task(bench.pass_time(), name="timeline")
        yield bench
        passing.cancel()


CARRIERS: dict[str, Callable[[], AbstractAsyncContextManager[Bench]]] = {
    "aiomqtt": aiomqtt_bench,
    "mosquitto": mosquitto_bench,
    "sim": sim_bench,
}
"""Every adapter of the port; a new one is added here and must keep the whole contract."""
