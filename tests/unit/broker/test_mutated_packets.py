"""Mutated packets through decoder and core: they end their own connection, and nothing else ever happens."""

from collections.abc import Callable
from random import Random

import psutil
import pytest

from tests.soak_sizes import MUTATED_PACKETS
from tests.unit.broker.mutation import CONNECTS, CORPUS, mutated
from ucmlab.broker.access import allow_everyone, allow_everything
from ucmlab.broker.core import BrokerCore
from ucmlab.broker.events import (
    CloseConnection,
    ConnectionLost,
    ConnectionOpened,
    Event,
    PacketMalformed,
    PacketReceived,
    SendPacket,
    Tick,
)
from ucmlab.broker.limits import Limits
from ucmlab.broker.mqtt_codec import Decoder, MalformedPacket, encode
from ucmlab.broker.packets import V5, V311, Connect, Packet, PubAck, Publish, SubAck, Subscribe, Subscription

SLICE = 5_000
LIMITS = Limits(
    max_packet_size=4096, max_sessions=50, max_inflight=20, max_queued=20, max_retained=100, topic_alias_maximum=4
)
GROWTH = 32 << 20
"""Bytes that the process may grow by once everything that is bounded has filled up."""


class Attacked:
    """A broker core behind decoders, as its shell has it, with two good clients and one bad one after the other."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.core = BrokerCore(allow_everyone, allow_everything, LIMITS)
        self.now = 0
        self.number = 0
        self.decoders: dict[int, Decoder] = {}
        self.got: dict[int, list[Packet]] = {}
        self.malformed = 0
        self.rounds = 0
        self.publisher, self.subscriber = 1, 2
        assert (self.good("publisher", V311), self.good("subscriber", V5)) == (1, 2)
        self.says(self.subscriber, Subscribe(1, (Subscription("the good/#", 1),)))
        assert self.got.pop(self.subscriber)[-1] == SubAck(1, (1,))
        self.got.clear()

    def open(self) -> int:
        self.number += 1
        self.decoders[self.number] = Decoder(max_packet_size=LIMITS.max_packet_size)
        self.handle(ConnectionOpened(self.number))
        return self.number

    def good(self, name: str, version: int) -> int:
        conn = self.open()
        self.says(conn, Connect(f"the good {name}", version))
        return conn

    def says(self, conn: int, packet: Packet) -> None:
        self.sends(conn, encode(packet, self.decoders[conn].version or V5))

    def sends(self, conn: int, data: bytes) -> None:
        """Bytes arrive, and the core's answers become bytes."""
        packets: list[Packet] = []
        fault: MalformedPacket | None = None
        try:
            packets = self.decoders[conn].feed(data)
        except MalformedPacket as broken:
            self.malformed += 1
            fault, packets = broken, broken.packets
        for packet in packets:
            self.handle(PacketReceived(conn, packet))
        if fault is not None:
            self.handle(PacketMalformed(conn, fault.reason_code, fault.text))

    def handle(self, event: Event) -> None:
        for command in self.core.handle(event, self.now):
            match command:
                case SendPacket(conn, packet):
                    encode(packet, self.decoders[conn].version or V311)
                    if conn in (self.publisher, self.subscriber):
                        self.got.setdefault(conn, []).append(packet)
                case CloseConnection(conn):
                    del self.decoders[conn]

    def attack(self, count: int) -> None:
        """So many mutated packets, over connections that last for some of them."""
        while count > 0:
            version = self.random.choice((V311, V5))
            conn = self.open()
            connect = self.random.choice(CONNECTS[version])
            self.sends(conn, mutated(self.random, [connect]) if self.random.random() < 0.1 else connect)
            for _ in range(self.random.randint(1, 12)):
                if conn not in self.decoders or count <= 0:
                    break
                self.sends_in_pieces(conn, mutated(self.random, CORPUS[version]))
                count -= 1
            self.now += self.random.randrange(2_000_000)
            if conn in self.decoders:
                del self.decoders[conn]
                self.handle(ConnectionLost(conn))
            self.handle(Tick())

    def sends_in_pieces(self, conn: int, data: bytes) -> None:
        at = self.random.randint(0, len(data)) if self.random.random() < 0.2 else len(data)
        self.sends(conn, data[:at])
        if conn in self.decoders and data[at:]:
            self.sends(conn, data[at:])

    def check(self) -> None:
        """The good clients' connections are as good as new, and what the bad ones left is bounded."""
        self.rounds += 1
        topic, payload = f"the good/{self.rounds % 7}", b"%d" % self.rounds
        self.says(self.publisher, Publish(topic, payload, 1, packet_id=1))
        assert self.got.pop(self.publisher) == [PubAck(1)]
        (message,) = self.got.pop(self.subscriber)
        assert isinstance(message, Publish)
        assert (message.topic, message.payload, message.dup) == (topic, payload, False)
        self.says(self.subscriber, PubAck(message.packet_id))
        stats = self.core.stats()
        assert stats.connections == len(self.decoders) == 2
        assert len(stats.clients) <= LIMITS.max_sessions
        assert stats.retained <= LIMITS.max_retained
        assert all(client.queued <= LIMITS.max_queued + LIMITS.max_retained for client in stats.clients.values())


def test_a_slice_of_mutated_packets_is_survived() -> None:
    attacked = Attacked(seed=1)
    for _ in range(10):
        attacked.attack(SLICE // 10)
        attacked.check()
    # It is worth nothing unless much is malformed and much goes through.
    assert SLICE // 10 < attacked.malformed < SLICE


@pytest.mark.soak
def test_mutated_packets_are_survived_in_bounded_memory(record_property: Callable[[str, object], None]) -> None:
    attacked = Attacked(seed=2)
    attacked.attack(MUTATED_PACKETS // 10)
    process = psutil.Process()
    before = process.memory_info().rss
    for _ in range(90):
        attacked.attack(MUTATED_PACKETS // 100)
        attacked.check()
    growth = process.memory_info().rss - before
    record_property("mutated packets", MUTATED_PACKETS)
    record_property("of them malformed", attacked.malformed)
    record_property("growth in KB", growth // 1024)
    assert growth < GROWTH
