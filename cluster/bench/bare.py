"""A bare MQTT client in a process of its own: the floor of figure `upload`.

The least that anybody could write with the library that aiomqtt stands on: one thread, no event loop, TCP_NODELAY, and
in the callback nothing but open, write, fsync. A receiver notes when each file was synced; a sender notes when it began
to publish. `CLOCK_MONOTONIC` is one clock for all processes of a machine.

Run as `python -m ucmlab.cluster.bench.bare`. Standard input is JSON lines: first a `Place`, then, for a sender, one
`Batch` after the other. Standard output answers with one line each. A receiver is told how many files there are to be,
and answers with its times when they are.
"""

import os
import select
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion


class Place(msgspec.Struct, frozen=True):
    """Where to connect, and what to be there."""

    host: str
    port: int
    client_id: str
    username: str
    password: str
    topic: str
    folder: str | None
    """Where a receiver writes its files; None makes it a sender."""


class Batch(msgspec.Struct, frozen=True):
    """Payloads to send, one every so many seconds; 0: all at once, as many in flight as paho lets be."""

    payloads: tuple[bytes, ...]
    every: float


def main() -> None:
    """Entry of the process."""
    place = msgspec.json.decode(sys.stdin.buffer.readline(), type=Place)
    client = Client(CallbackAPIVersion.VERSION2, client_id=place.client_id, protocol=MQTTProtocolVersion.MQTTv5)
    client.username_pw_set(place.username, place.password)
    client.on_socket_open = _without_delay
    client.connect(place.host, place.port, keepalive=0)
    _turn_until(client, client.is_connected)
    if place.folder is None:
        _send(client, place)
    else:
        _receive(client, place, Path(place.folder))


def _send(client: Client, place: Place) -> None:
    _tell("ready")
    for line in sys.stdin.buffer:
        batch = msgspec.json.decode(line, type=Batch)
        times: list[int] = []
        due = time.monotonic()
        for payload in batch.payloads:
            times.append(time.monotonic_ns())
            sent = client.publish(place.topic, payload, qos=1)
            if batch.every or payload is batch.payloads[-1]:
                _turn_until(client, sent.is_published)
            due += batch.every
            _turn_until(client, lambda due=due: time.monotonic() >= due)  # type: ignore[misc]  # the loop's own value
        _tell(times)


def _receive(client: Client, place: Place, folder: Path) -> None:
    times: list[int] = []
    subscribed: list[bool] = []

    def on_message(_client: Client, _data: object, message: MQTTMessage) -> None:
        file = os.open(folder / str(len(times)), os.O_CREAT | os.O_WRONLY, 0o600)
        os.write(file, message.payload)
        os.fsync(file)
        os.close(file)
        times.append(time.monotonic_ns())

    client.on_message = on_message
    client.on_subscribe = lambda *_: subscribed.append(True)
    client.subscribe(place.topic, qos=1)
    _turn_until(client, lambda: bool(subscribed))
    _tell("ready")
    while not _turn(client, None, sys.stdin.fileno()):
        pass
    wanted = msgspec.json.decode(sys.stdin.buffer.readline(), type=int)
    _turn_until(client, lambda: len(times) >= wanted)
    _tell(times)


def _turn_until(client: Client, condition: Callable[[], bool]) -> None:
    while not condition():
        _turn(client, 0.01)


def _turn(client: Client, timeout: float | None, *others: int) -> bool:
    """Wait for the socket, or `others`, and let the client read; whether one of the others is readable."""
    sock = client.socket()
    if sock is None:
        raise ConnectionError("the broker is gone")
    readable, _, _ = select.select([sock.fileno(), *others], [], [], timeout)
    if sock.fileno() in readable:
        client.loop_read()
    return any(other in readable for other in others)


def _tell(value: object) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(value) + b"\n")
    sys.stdout.buffer.flush()


def _without_delay(_client: Client, _data: object, sock: object) -> None:
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


if __name__ == "__main__":
    main()
