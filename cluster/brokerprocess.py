"""The process of the embedded broker: the broker, a tap that tells the lab what is published, and its channel."""

import asyncio
import os
import secrets
import socket
import ssl
import sys
import traceback
from collections.abc import Callable, Iterable
from typing import NoReturn

import msgspec

from ucmlab.broker.access import Accounts, Action, ClientIdentity
from ucmlab.broker.core import BrokerCore
from ucmlab.broker.events import Command, ConnectionOpened, Event, PacketReceived, SendPacket
from ucmlab.broker.packets import Connect, Publish, Subscribe, Subscription
from ucmlab.broker.server import EmbeddedBroker
from ucmlab.cluster.control import Channel
from ucmlab.cluster.control_messages import (
    BrokerSpec,
    Counted,
    Crashed,
    Cut,
    FromBroker,
    Listening,
    Probe,
    Published,
    StopBroker,
    ToBroker,
)
from ucmlab.cluster.framing import framed

EXIT_CRASHED = 70
TAP_AFTER_S = 0.01
"""Machine time after which the lab hears what was published; at once when it probes. One message may tell of many."""
_TAP = 0
"""The tap's connection number: the server counts its own from 1."""
_decoder: msgspec.msgpack.Decoder[ToBroker] = msgspec.msgpack.Decoder(ToBroker)
_encode = msgspec.msgpack.Encoder().encode


class TappedCore(BrokerCore):
    """A broker core with one subscriber inside the process, which sees everything that is published."""

    def __init__(self, accounts: Accounts, tap: Callable[[str, bytes], None]) -> None:
        """`tap` hears of every message, wills included, once it was accepted."""
        # The tap is a client like others to the core, under a name that nobody outside this process can know.
        self._name = secrets.token_hex(16)
        self._accounts = accounts
        self._tap = tap
        super().__init__(self._may_connect, self._may)

    def open_tap(self) -> None:
        """Subscribe the tap to everything, at QoS 0: it acknowledges nothing, so it holds nothing up."""
        self.handle(ConnectionOpened(_TAP), 0)
        self.handle(PacketReceived(_TAP, Connect(self._name, username=self._name)), 0)
        self.handle(PacketReceived(_TAP, Subscribe(1, (Subscription("#"),))), 0)

    def handle(self, event: Event, now: int) -> list[Command]:
        """See `BrokerCore`; what is for the tap goes there."""
        commands = super().handle(event, now)
        passed: list[Command] = []
        for command in commands:
            if command.conn != _TAP:
                passed.append(command)
            elif isinstance(command, SendPacket) and isinstance(command.packet, Publish):
                self._tap(command.packet.topic, command.packet.payload)
        return passed

    def _may_connect(self, client_id: str, username: str | None, password: bytes | None) -> bool:
        return username == self._name or self._accounts.authenticate(client_id, username, password)

    def _may(self, client: ClientIdentity, action: Action, topic_or_filter: str) -> bool:
        return client.username == self._name or self._accounts.authorize(client, action, topic_or_filter)


class CutBroker(EmbeddedBroker):
    """A broker on a network that can be cut: the end of a connection on the other side does not get through either.

    Nodes hold back what they say and hear; but a node that dies is a socket that closes, which only this side can hold.
    """

    def __init__(self, core: BrokerCore, *, host: str, port: int, ssl_context: ssl.SSLContext | None) -> None:
        """Nobody is cut off."""
        super().__init__(core, host=host, port=port, ssl_context=ssl_context)
        self._cut: frozenset[str] = frozenset()
        self._ended: dict[int, str] = {}

    def cut(self, clients: Iterable[str]) -> None:
        """These clients are cut off now, and nobody else."""
        self._cut = frozenset(clients)
        for number, client in list(self._ended.items()):
            if client not in self._cut:
                del self._ended[number]
                super().leave(number)

    def leave(self, number: int) -> None:
        """A connection is gone; noticed once the network lets it be."""
        client = next((name for name, each in self.core.stats().clients.items() if each.conn == number), "")
        if client in self._cut:
            self._ended[number] = client
        else:
            super().leave(number)


class BrokerProcess:
    """The broker and its end of the control channel."""

    def __init__(self, spec: BrokerSpec, sock: socket.socket) -> None:
        """Build it; call inside the event loop."""
        self._published: list[tuple[str, bytes]] = []
        self._scheduled = False
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        core = TappedCore(Accounts(spec.accounts), self._on_published)
        core.open_tap()
        self._broker = CutBroker(core, host=spec.host, port=spec.port, ssl_context=_tls(spec))
        self._channel = Channel(sock, frame=self._on_frame, closed=_lab_is_gone)

    async def run(self) -> None:
        """Serve until told to stop."""
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
