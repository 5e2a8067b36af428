"""The lab's syslog collector: RFC 5424 in datagrams, and in frames on TCP connections (RFC 6587), at one port.

A datagram on loopback lies in our socket when its sender goes on, so whoever wants to know what came drains the socket
first. A connection has brought its messages when it is closed: by the sender when all is said, by us when we have taken
all. A slow collector takes its time between the two, so whoever gives up before has brought nothing.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable

from ucmlab.cluster.outside.hangup import HangUp, reset_when_left
from ucmlab.cluster.outside.place import Holding, Place
from ucmlab.cluster.outside.received import SYSLOG, Kept, Logged, logged, node_of
from ucmlab.node.syslog import FrameReader, Unreadable, read_message

LARGEST_DATAGRAM = 65_535
ROOM = 8 << 20
"""Bytes of datagrams that may wait for us; the kernel gives as much of it as it does."""


class SyslogCollector(Place):
    """Keeps what it is told; what it cannot read, it throws away."""

    wanted_port = 514

    def __init__(self, holding: Holding, *, now: Callable[[], str], keep: int) -> None:
        """It listens nowhere until `open`.

        Args:
            holding: holds its answers back.
            now: the lab's clock, as RFC 3339.
            keep: how many messages.
        """
        super().__init__(SYSLOG, holding)
        self._now = now
        self._kept: Kept[Logged] = Kept(keep)
        self._server: asyncio.Server | None = None
        self._datagrams: socket.socket | None = None
        self._connections: set[_Connection] = set()

    @property
    def box(self) -> Kept[Logged]:
        """What it has kept, what lies in its socket included."""
        self._drain()
        return self._kept

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), self.host, self.port)
        self._datagrams = sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
        sock.bind((self.host, self.port))
        loop.add_reader(sock.fileno(), self._drain)

    def _deafen(self) -> None:
        if self._server is not None:
            self._server.close()
        if self._datagrams is not None:
            self._drain()  # what came before counts
            asyncio.get_running_loop().remove_reader(self._datagrams.fileno())
            self._datagrams.close()
            self._datagrams = None
        for connection in list(self._connections):
            connection.break_off()

    def _drain(self) -> None:
        while self._datagrams is not None:
            try:
                octets = self._datagrams.recv(LARGEST_DATAGRAM)
            except BlockingIOError:
                return
            self._keep("udp", octets)

    # -- what connections tell

    def begun(self, connection: "_Connection") -> None:
        """Somebody has connected."""
        self._connections.add(connection)

    def ended(self, connection: "_Connection") -> None:
        """Somebody is gone."""
        self._connections.discard(connection)

    def take(self, messages: list[bytes]) -> None:
        """Take what a connection has brought, after what was there before."""
        self._drain()
        for octets in messages:
            self._keep("tcp", octets)

    def _keep(self, protocol: str, octets: bytes) -> None:
        with contextlib.suppress(Unreadable):
            self._kept.put(self._read(protocol, octets))

    def _read(self, protocol: str, octets: bytes) -> Logged:
        read = read_message(octets)
        return logged(read, at=self._now(), node=node_of(read.host), protocol=protocol)


class _Connection(asyncio.Protocol):
    """One sender on TCP."""

    def __init__(self, place: SyslogCollector) -> None:
        self._place = place
        self._frames = FrameReader()
        self._messages: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._closing: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  a stream has no others
        self._transport = transport
        self._place.begun(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._messages += self._frames.read(data)
        except Unreadable:
            self.break_off()

    def eof_received(self) -> bool:
        self._closing = asyncio.get_running_loop().create_task(self._take(), name="outside.syslog")
        return True  # it stays open until we have taken everything

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._place.ended(self)
        if self._closing is not None:
            self._closing.cancel()

    def break_off(self) -> None:
        # With a reset: a plain end says that everything was taken.
        if self._transport is not None and not self._transport.is_closing():
            reset_when_left(self._transport.get_extra_info("socket"))
            self._transport.abort()

    async def _take(self) -> None:
        transport = self._transport
        if transport is None:
            return
        watch = HangUp(transport.get_extra_info("socket"), self.break_off)
        try:
            await self._place.delay(self._sender())
        finally:
            watch.close()
        self._place.take(self._messages)
        transport.close()

    def _sender(self) -> str:
        """Whose connection it is, by its first message."""
        try:
            return node_of(read_message(self._messages[0]).host) if self._messages else ""
        except Unreadable:
            return ""
