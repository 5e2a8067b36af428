"""The process of the embedded broker: the broker, a tap that tells the lab what is published, and its channel."""

import asyncio
import os
import socket
import ssl
import sys
import traceback
from typing import NoReturn

import msgspec

from ucmlab.broker.access import Accounts
from ucmlab.broker.packets import Publish
from ucmlab.broker.topics import QOS
from ucmlab.cluster.control import Channel
from ucmlab.cluster.control_messages import (
    AskRetained,
    BrokerSpec,
    Counted,
    Crashed,
    Cut,
    FromBroker,
    HoldWills,
    Listening,
    Probe,
    Published,
    Refuse,
    Refused,
    ReleaseWill,
    Retained,
    Say,
    StopBroker,
    ToBroker,
    WillHeld,
)
from ucmlab.cluster.framing import framed
from ucmlab.cluster.lab_broker import LabBroker, TappedCore

EXIT_CRASHED = 70
TAP_AFTER_S = 0.01
"""Machine time after which the lab hears what was published; at once when it probes. One message may tell of many."""
_decoder: msgspec.msgpack.Decoder[ToBroker] = msgspec.msgpack.Decoder(ToBroker)
_encode = msgspec.msgpack.Encoder().encode


class BrokerProcess:
    """The broker and its end of the control channel."""

    def __init__(self, spec: BrokerSpec, sock: socket.socket) -> None:
        """Build it; call inside the event loop."""
        self._published: list[tuple[str, bytes]] = []
        self._scheduled = False
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._awaited = asyncio.Event()
        if not spec.awaits_retained:
            self._awaited.set()
        self._core = core = TappedCore(
            Accounts(spec.accounts), self._on_published, lambda username: self._send(Refused(username))
        )
        core.open_tap()
        self._broker = LabBroker(
            core,
            host=spec.host,
            port=spec.port,
            ssl_context=_tls(spec),
            held=lambda client: self._send(WillHeld(client)),
        )
        self._channel = Channel(sock, frame=self._on_frame, closed=_lab_is_gone)

    async def run(self) -> None:
        """Serve until told to stop."""
        await self._awaited.wait()
        await self._broker.start()
        self._send(Listening(self._broker.port))
        await self._stop.wait()
        await self._broker.stop()
        self._flush()

    def _on_frame(self, body: bytes) -> None:
        match _decoder.decode(body):
            case Probe(number=number):
                self._flush()
                self._send(Counted(number, self._broker.counters()))
            case Cut(clients=clients):
                self._broker.cut(clients)
            case Refuse(usernames=usernames):
                self._core.refuse(usernames)
            case HoldWills(clients=clients):
                self._broker.hold_wills(clients)
            case ReleaseWill(client=client):
                self._broker.release_will(client)
            case Say(username=username, topic=topic, payload=payload):
                self._broker.say(username, Publish(topic, payload, QOS, packet_id=1))
            case AskRetained():
                self._send(Retained(msgspec.Raw(self._core.retained())))
            case Retained(messages=messages):
                self._core.take(bytes(messages))
                self._awaited.set()
            case StopBroker():
                self._stop.set()

    def _on_published(self, topic: str, payload: bytes) -> None:
        self._published.append((topic, payload))
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_later(TAP_AFTER_S, self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        if self._published:
            self._send(Published(tuple(self._published)))
            self._published.clear()

    def _send(self, message: FromBroker) -> None:
        self._channel.send(_encode(message))


def broker_main(spec: BrokerSpec, sock: socket.socket) -> NoReturn:
    """Be the broker, from here to the end of the process."""
    try:
        asyncio.run(_live(spec, sock))
    except BaseException:  # noqa: BLE001  the one boundary: a bug must be seen, whatever it is
        text = traceback.format_exc()
        sys.stderr.write(text)
        sys.stderr.flush()
        _last_words(sock, text)
        os._exit(EXIT_CRASHED)
    os._exit(0)


async def _live(spec: BrokerSpec, sock: socket.socket) -> None:
    await BrokerProcess(spec, sock).run()


def _tls(spec: BrokerSpec) -> ssl.SSLContext | None:
    if spec.tls is None:
        if not spec.host.startswith("127."):
            raise ValueError(f"a broker that listens on {spec.host} must speak TLS (design 5)")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(spec.tls)
    return context


def _last_words(sock: socket.socket, text: str) -> None:
    try:
        sock.setblocking(True)
        sock.sendall(framed(_encode(Crashed(text))))
    except OSError:
        pass  # the lab is gone too


def _lab_is_gone() -> None:
    os._exit(1)
