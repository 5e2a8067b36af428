"""The chaos proxy on loopback: a node's connection through it, with every fault of a link, in a time of the test's."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from random import Random

import pytest

from ucmlab.cluster.chaos_proxy import ChaosProxy, unread
from ucmlab.cluster.faults.catalogue import catalogue
from ucmlab.cluster.faults.effects import Drip, Felt, HalfOpen, Latency, Stall
from ucmlab.cluster.faults.ledger import Injected
from ucmlab.cluster.sim.timeline import Timeline
from ucmlab.node.instant import MILLISECOND, SECOND

HOST = "127.0.0.1"
PATIENCE_S = 10.0


@dataclass
class Place:
    """Where the faults are: the test's time and chance."""

    clock: Timeline = field(default_factory=Timeline)
    chance: Random = field(default_factory=lambda: Random("chaos"))

    def took_effect(self, injected: Injected) -> None:
        injected.used()


class Peer(asyncio.Protocol):
    """One end of a connection, as node or broker: keeps what it hears, with the instant."""

    def __init__(self, clock: Timeline) -> None:
        self.heard: list[tuple[int, bytes]] = []
        self.ended: str | None = None
        self._clock = clock

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.heard.append((self._clock.now, data))

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = "reset" if isinstance(exc, ConnectionResetError) else "closed"

    def said(self) -> bytes:
        return b"".join(data for _, data in self.heard)


class Scene:
    """A node, its proxy, and a broker of one connection."""

    def __init__(self) -> None:
        self.place = Place()
        self.clock = self.place.clock
        self.brokers: list[Peer] = []

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._broker, HOST, 0)
        port: int = self._server.sockets[0].getsockname()[1]
        self.proxy = ChaosProxy(self.clock, (HOST, port))
        await self.proxy.open(HOST)
        self.node = await self.connect()
        await self.until(lambda: bool(self.brokers))
        self.broker = self.brokers[0]

    async def connect(self) -> Peer:
        _, node = await asyncio.get_running_loop().create_connection(lambda: Peer(self.clock), *self.proxy.address)
        return node

    def close(self) -> None:
        self.proxy.close()
        self._server.close()
        self.node.transport.abort()

    async def until(self, met: Callable[[], bool]) -> None:
        """Turn the loop until something is so; what never is fails."""
        async with asyncio.timeout(PATIENCE_S):
            while True:  # what the kernel has, nothing tells
                if met():
                    return
                await asyncio.sleep(0.001)

    async def still(self) -> None:
        """Turn the loop until nothing moves any more, by the proxy's own account."""
        activity: int | None = None
        while activity != self.proxy.activity or not self.proxy.written or unread(self.proxy.connections()):
            activity = self.proxy.activity
            await asyncio.sleep(0.005)

    async def say(self, peer: Peer, *packets: bytes) -> None:
        """Say something; each packet is its own read of the proxy's."""
        for packet in packets:
            peer.transport.write(packet)
            await self.still()

    async def pass_time(self, until: int) -> None:
        """Lab time goes on, from appointment to appointment."""
        while (due := self.clock.next_due()) is not None and due <= until:
            self.clock.run_until(due)
            await self.still()
        self.clock.run_until(until)

    def suffer(self, name: str, kind: type[Felt], **given: str) -> Felt:
        row = catalogue()[name]
        self.injected = Injected(row, "sub1", given, row.values(given), None)
        effect = kind(self.place, self.injected)
        self.proxy.lanes.add(effect)
        return effect

    def _broker(self) -> Peer:
        self.brokers.append(Peer(self.clock))
        return self.brokers[-1]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    it = Scene()
    await it.open()
    yield it
    it.close()


async def test_a_healthy_link_passes_everything_both_ways_and_keeps_nothing(scene: Scene) -> None:
    bulk = bytes(range(256)) * 4000
    await scene.say(scene.node, b"up", bulk)
    await scene.say(scene.broker, bulk, b"down")
    assert (scene.broker.said(), scene.node.said()) == (b"up" + bulk, bulk + b"down")
    assert not scene.proxy.suffers
    scene.node.transport.close()
    await scene.until(lambda: scene.broker.ended == "closed")
    await scene.until(lambda: not scene.proxy.connections())


async def test_what_a_node_says_before_the_broker_is_reached_arrives_in_its_order(scene: Scene) -> None:
    other = await scene.connect()
    other.transport.write(b"first ")
    other.transport.write(b"then")
    await scene.until(lambda: len(scene.brokers) > 1 and scene.brokers[1].said() == b"first then")
    other.transport.abort()


async def test_latency_is_lab_time_and_keeps_the_order(scene: Scene) -> None:
    effect = scene.suffer("latency", Latency, low="50ms", high="500ms")
    await scene.say(scene.node, b"1", b"2", b"3")
    assert (scene.broker.heard, scene.proxy.suffers) == ([], True)
    await scene.pass_time(SECOND)
    instants = [at for at, _ in scene.broker.heard]
    assert scene.broker.said() == b"123"
    assert instants == sorted(instants)
    assert 50 * MILLISECOND <= instants[0] <= instants[-1] <= 500 * MILLISECOND
    assert scene.injected.uses == 3
    scene.proxy.lanes.remove(effect)
    await scene.say(scene.node, b"4")
    assert (scene.broker.said(), scene.proxy.suffers) == (b"1234", False)


@pytest.mark.parametrize(("way", "passes"), [("up", "down"), ("down", "up")])
async def test_a_stall_one_way_holds_that_way_alone_and_loses_nothing(scene: Scene, way: str, passes: str) -> None:
    peers = {"up": (scene.node, scene.broker), "down": (scene.broker, scene.node)}
    effect = scene.suffer("stall", Stall, way=way)
    for says, _ in peers.values():
        await scene.say(says, b"a", b"b")
    assert peers[passes][1].said() == b"ab"
    assert peers[way][1].said() == b""
    await scene.pass_time(SECOND)
    assert peers[way][1].said() == b""
    scene.proxy.lanes.remove(effect)
    await scene.still()
    assert peers[way][1].said() == b"ab"


async def test_what_two_stalls_hold_waits_for_the_end_of_both(scene: Scene) -> None:
    one, other = (scene.suffer("stall", Stall, way=way) for way in ("up", "both"))
    await scene.say(scene.node, b"a")
    scene.proxy.lanes.remove(one)
    await scene.still()
    assert scene.broker.said() == b""
    scene.proxy.lanes.remove(other)
    await scene.still()
    assert scene.broker.said() == b"a"


async def test_a_drip_lets_one_pass_at_a_time(scene: Scene) -> None:
    scene.suffer("drip", Drip, every="200ms")
    await scene.say(scene.node, b"1", b"2", b"3")
    await scene.pass_time(SECOND)
    assert scene.broker.heard == [(each * 200 * MILLISECOND, b"%d" % each) for each in (1, 2, 3)]


async def test_a_reset_is_one_at_both_ends_and_what_was_on_its_way_is_lost(scene: Scene) -> None:
    effect = scene.suffer("stall", Stall)
    await scene.say(scene.node, b"lost")
    assert scene.proxy.break_all()
    await scene.until(lambda: None not in (scene.node.ended, scene.broker.ended))
    scene.proxy.lanes.remove(effect)
    assert scene.broker.said() == b""
    assert not scene.proxy.connections()
    assert not scene.proxy.break_all()  # nothing is left to be reset
    again = await scene.connect()
    await scene.say(again, b"new")
    assert scene.brokers[1].said() == b"new"
    again.transport.abort()


async def test_of_a_half_open_connection_the_broker_knows_nothing_and_the_node_not_even_that(scene: Scene) -> None:
    effect = scene.suffer("half-open", HalfOpen)
    assert scene.proxy.lose_broker()
    await scene.until(lambda: scene.broker.ended is not None)
    await scene.say(scene.node, b"into the void")
    assert (scene.node.ended, scene.broker.said()) == (None, b"")
    assert scene.injected.uses
    scene.proxy.lanes.remove(effect)
    scene.proxy.break_all()
    await scene.until(lambda: scene.node.ended is not None)


async def test_the_end_of_a_connection_travels_no_faster_than_what_was_said_before(scene: Scene) -> None:
    scene.suffer("latency", Latency, low="100ms", high="100ms")
    await scene.say(scene.node, b"goodbye")
    scene.node.transport.close()
    await scene.still()
    assert scene.broker.ended is None
    await scene.pass_time(SECOND)
    await scene.until(lambda: scene.broker.ended == "closed")
    assert scene.broker.heard == [(100 * MILLISECOND, b"goodbye")]


async def test_a_node_is_told_when_there_is_no_broker(scene: Scene) -> None:
    proxy = ChaosProxy(scene.clock, (HOST, 1))  # nobody's port
    await proxy.open(HOST)
    _, node = await asyncio.get_running_loop().create_connection(lambda: Peer(scene.clock), *proxy.address)
    await scene.until(lambda: node.ended is not None)
    assert not proxy.connections()
    proxy.close()


async def test_bytes_that_an_end_has_not_read_are_seen(scene: Scene) -> None:
    assert not unread(scene.proxy.connections())
    scene.broker.transport.pause_reading()
    scene.node.transport.write(b"unread")
    await scene.until(lambda: unread(scene.proxy.connections()))
    assert scene.broker.said() == b""
    scene.broker.transport.resume_reading()
    await scene.until(lambda: scene.broker.said() == b"unread")
    assert not unread(scene.proxy.connections())
