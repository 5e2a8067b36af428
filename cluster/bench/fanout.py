"""A load for a broker, from a client that costs less than any broker: the generator of figure `broker`.

One process, raw sockets, MQTT 3.1.1 at QoS 1. Every PUBLISH is encoded beforehand, and as all that are delivered are
equal but for their packet id, a receiver does not parse: it counts bytes, checks the first byte of each packet, and
copies the ids of a whole read into acknowledgements with two slices. Its work is by the read, not by the message.

The sender is at most `window` messages ahead of the slowest receiver, so nothing is dropped and no queue is measured.

Run as `python -m ucmlab.cluster.bench.fanout`: a `Load` as JSON on standard input, a `Counted` on standard output.
"""

import select
import socket
import sys
import time

import msgspec

from ucmlab.broker.mqtt_codec import encode
from ucmlab.broker.packets import V311, Connect, PubAck, Publish, Subscribe, Subscription

TOPIC = "bench/fanout"
PACKET_IDS = 1_000
READ_SIZE = 1 << 18
_PATIENCE_S = 30.0
_CONNACK, _SUBACK = 4, 5
"""Bytes of these answers in 3.1.1."""
_ACK = encode(PubAck(0), V311)


class Load(msgspec.Struct, frozen=True):
    """Where to, how many receivers, and what."""

    host: str
    port: int
    receivers: int
    messages: int
    size: int
    """Bytes of each payload."""
    window: int


class Counted(msgspec.Struct, frozen=True):
    """What came of it."""

    deliveries: int
    seconds: float
    processor_seconds: float
    """Of this process: how far it was from being the bottleneck."""


class _Peer:
    """One connection."""

    def __init__(self, load: Load, name: str) -> None:
        self.socket = socket.create_connection((load.host, load.port), timeout=_PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._ask(encode(Connect(name, keep_alive=0), V311), _CONNACK)

    def _ask(self, packet: bytes, answer: int) -> None:
        self.socket.sendall(packet)
        said = b""
        while len(said) < answer:
            said += self._read()
        if said[-1] > 1:  # CONNACK: 0 accepted; SUBACK: the granted QoS
            raise ConnectionError(f"the broker refused: {said.hex()}")

    def _read(self) -> bytes:
        data = self.socket.recv(READ_SIZE)
        if not data:
            raise ConnectionError("the broker is gone")
        return data


class _Receiver(_Peer):
    def __init__(self, load: Load, name: str) -> None:
        super().__init__(load, name)
        self._ask(encode(Subscribe(1, (Subscription(TOPIC, 1),)), V311), _SUBACK)
        packet = _publish(load, 1)
        self._length, self._id_at = len(packet), len(packet) - load.size - 2
        self._first = packet[:1]
        self._rest = b""
        self.count = 0

    def take(self) -> None:
        """Read what is there, and acknowledge every packet that is whole."""
        data = self._rest + self._read()
        whole = len(data) // self._length
        end = whole * self._length
        self._rest = data[end:]
        if data[: end : self._length] != self._first * whole:
            raise ValueError("what came is not what was sent")
        acks = bytearray(_ACK * whole)
        acks[2::4] = data[self._id_at : end : self._length]
        acks[3::4] = data[self._id_at + 1 : end : self._length]
        self.socket.sendall(acks)
        self.count += whole


class _Sender(_Peer):
    def __init__(self, load: Load, name: str) -> None:
        super().__init__(load, name)
        self._packets = [_publish(load, number) for number in range(1, PACKET_IDS + 1)]
        self._answered = 0
        self.sent = 0

    def send(self, upto: int) -> None:
        """Send the next messages, so that `upto` are sent."""
        number = upto - self.sent
        first = self.sent % PACKET_IDS
        self.socket.sendall(b"".join((self._packets * 2)[first : first + number]))
        self.sent = upto

    def take(self) -> None:
        """Read acknowledgements."""
        self._answered += len(self._read())

    @property
    def acknowledged(self) -> bool:
        """Whether the broker has acknowledged everything."""
        return self._answered == self.sent * len(_ACK)


def run(load: Load) -> Counted:
    """Publish, until everybody has everything.

    Raises:
        OSError: the broker is gone, slow beyond patience, or refuses.
        ValueError: it delivered something else.
    """
    receivers = [_Receiver(load, f"receiver{number}") for number in range(load.receivers)]
    sender = _Sender(load, "sender")
    peers: list[_Receiver | _Sender] = [*receivers, sender]
    by_number = {peer.socket.fileno(): peer for peer in peers}
    poll = select.epoll()
    for number in by_number:
        poll.register(number, select.EPOLLIN)
    began, busy = time.perf_counter(), time.process_time()
    slowest = 0
    while slowest < load.messages or not sender.acknowledged:
        upto = min(load.messages, slowest + load.window)
        if upto > sender.sent:
            sender.send(upto)
        ready = poll.poll(_PATIENCE_S)
        if not ready:
            raise TimeoutError("the broker does not go on")
        for number, _ in ready:
            by_number[number].take()
        slowest = min(receiver.count for receiver in receivers)
    seconds, processor = time.perf_counter() - began, time.process_time() - busy
    return Counted(sum(receiver.count for receiver in receivers), seconds, processor)


def _publish(load: Load, packet_id: int) -> bytes:
    return encode(Publish(TOPIC, bytes(load.size), qos=1, packet_id=packet_id), V311)


def main() -> None:
    """Entry of the process."""
    load = msgspec.json.decode(sys.stdin.buffer.read(), type=Load)
    sys.stdout.buffer.write(msgspec.json.encode(run(load)))


if __name__ == "__main__":
    main()
