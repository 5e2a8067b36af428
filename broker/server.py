"""The embedded broker on real sockets: an asyncio shell around the core, with no decision in it.

`asyncio.Protocol` and not streams: no task per connection, no copy per read, and a burst goes through the core in one
callback. All packets of one read are handed to the core, then each connection that has output gets one write.

Memory is bounded per connection. When a peer does not read and `high_water` bytes wait for it, the core is told and
keeps its messages in the session's bounded queue; what still goes out then are answers to what the peer itself sends,
and a peer that makes more than `reply_bound` bytes of them without reading is cut off. It is still read from, because
its acknowledgements and its DISCONNECT matter. Of what a peer sends, one unfinished packet is held, and not for longer
than `Limits.packet_timeout`.
"""

import asyncio
import socket
import ssl
from collections.abc import Iterable

import msgspec

from ucmlab.broker.core import BrokerCore
from ucmlab.broker.events import (
    BrokerStopped,
    CloseConnection,
    Command,
    ConnectionLost,
    ConnectionOpened,
    ConnectionPaused,
    ConnectionResumed,
    Event,
    PacketMalformed,
    PacketReceived,
    SendPacket,
    Tick,
)
from ucmlab.broker.mqtt_codec import Decoder, MalformedPacket, encode
from ucmlab.broker.packets import V311, Packet, Reason

_CLOSE_PATIENCE = 2.0
"""Seconds that a closing connection has to take what is still to be sent; a healthy peer needs microseconds."""
_BACKLOG = 512
"""Connections that may wait to be accepted: all nodes of a large lab start at once."""


class ClientCounters(msgspec.Struct, frozen=True, gc=False):
    """One client's counters, for a supervisor that asks whether the bus is quiet.

    The bus is quiet for a client when `inflight`, `queued` and `unflushed` are 0 and its own count of messages sent and
    received equals `received_publishes` and `sent_publishes`, which count from its CONNECT.
    """

    received_publishes: int
    sent_publishes: int
    unflushed: int
    """Bytes handed to the transport that the operating system has not taken yet."""
    inflight: int
    queued: int
    dropped: int


class EmbeddedBroker:
    """An MQTT broker inside this process.

    Args:
        core: the broker's state; only this shell may call its `handle` from now on.
        host: address to listen on.
        port: port to listen on; 0 for any free one, see `port`.
        ssl_context: makes it a TLS listener.
        tick_interval: seconds between looks at the clock; deadlines are late by at most this.
        high_water: bytes that may wait for one peer before it counts as slow.
        reply_bound: bytes of answers that a slow peer may cause before it is cut off.
    """

    def __init__(
        self,
        core: BrokerCore,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        ssl_context: ssl.SSLContext | None = None,
        tick_interval: float = 0.5,
        high_water: int = 1 << 20,
        reply_bound: int = 1 << 20,
    ) -> None:
        self.core = core
        self.high_water = high_water
        self.reply_bound = reply_bound
        self._host = host
        self._port = port
        self._ssl = ssl_context
        self._tick_interval = tick_interval
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._links: dict[int, _Link] = {}
        self._opened = 0
        self._empty = asyncio.Event()

    @property
    def port(self) -> int:
        """The port it listens on; the one asked for before `start`."""
        return self._port

    async def start(self) -> None:
        """Listens; clients can connect when this returns.

        Raises:
            OSError: the address cannot be had.
        """
        self._loop = asyncio.get_running_loop()
        handshake = None if self._ssl is None else float(self.core.limits.connect_timeout)
        self._server = await self._loop.create_server(
            lambda: _Link(self),
            self._host,
            self._port,
            ssl=self._ssl,
            ssl_handshake_timeout=handshake,
            backlog=_BACKLOG,
        )
        self._port = self._server.sockets[0].getsockname()[1]
        self._timer = self._loop.call_later(self._tick_interval, self._tick)

    async def stop(self) -> None:
        """Says goodbye to everybody (version 5 with a reason) and stops listening. A second call does nothing."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        if self._timer is not None:
            self._timer.cancel()
        self.apply([BrokerStopped()])
        for link in list(self._links.values()):
            link.close()
        try:
            async with asyncio.timeout(_CLOSE_PATIENCE):
                while self._links:
                    self._empty.clear()
                    await self._empty.wait()
        except TimeoutError:
            for link in list(self._links.values()):
                link.abort()
        await server.wait_closed()

    def counters(self) -> dict[str, ClientCounters]:
        """The counters of every client that has a session, away or not, by client id."""
        return {
            client_id: ClientCounters(
                received_publishes=client.received,
                sent_publishes=client.sent,
                unflushed=0 if client.conn is None else self._unflushed(client.conn),
                inflight=client.inflight,
                queued=client.queued,
                dropped=client.dropped,
            )
            for client_id, client in self.core.stats().clients.items()
        }

    # --- what links call ----------------------------------------------------------------------------------------------

    def enter(self, link: "_Link") -> int:
        """Gives a new connection its number."""
        self._opened += 1
        self._links[self._opened] = link
        self.apply([ConnectionOpened(self._opened)])
        return self._opened

    def leave(self, number: int) -> None:
        """A connection is gone."""
        self._links.pop(number, None)
        if not self._links:
            self._empty.set()
        self.apply([ConnectionLost(number)])

    def clock(self) -> float:
        """Seconds, on the loop's clock."""
        assert self._loop is not None, "started before any connection exists"  # noqa: S101
        return self._loop.time()

    def apply(self, events: Iterable[Event]) -> None:
        """Takes the events through the core and performs what it commands, with one write per connection."""
        assert self._loop is not None, "started before any connection exists"  # noqa: S101
        now = int(self._loop.time() * 1_000_000)
        touched: dict[int, _Link] = {}
        handle = self.core.handle
        for event in events:
            for command in handle(event, now):
                link = self._links.get(command.conn)
                if link is not None:
                    link.take(command)
                    touched[command.conn] = link
        for link in touched.values():
            link.flush()

    # --- time ---------------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        assert self._loop is not None, "started"  # noqa: S101
        self._timer = self._loop.call_later(self._tick_interval, self._tick)
        self.apply([Tick()])
        for link in list(self._links.values()):
            link.check_patience(self._loop.time())

    def _unflushed(self, conn: int) -> int:
        link = self._links.get(conn)
        return 0 if link is None else link.unflushed()


class _Link(asyncio.Protocol):
    """One socket. It knows bytes, packets and its number, and nothing of sessions."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self._broker = broker
        self._decoder = Decoder(max_packet_size=broker.core.limits.max_packet_size)
        self._transport: asyncio.Transport | None = None
        self._number = 0
        self._out: list[bytes] = []
        self._closing = False
        self._closing_since: float | None = None
        self._paused = False
        self._written_while_paused = 0
        self._begun: float | None = None
        """When the packet began that has not ended yet."""

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  a stream server makes no others
        self._transport = transport
        raw = transport.get_extra_info("socket")
        # Without it 21 processes on one bus took 90 ms a message at the median, with it 4.3 ms (design, section 5).
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.set_write_buffer_limits(high=self._broker.high_water)
        self._number = self._broker.enter(self)

    def data_received(self, data: bytes) -> None:
        number = self._number
        fault: MalformedPacket | None = None
        packets: list[Packet]
        try:
            packets = self._decoder.feed(data)
        except MalformedPacket as broken:
            fault, packets = broken, broken.packets
        events: list[Event] = [PacketReceived(number, packet) for packet in packets]
        if fault is not None:
            events.append(PacketMalformed(number, fault.reason_code, fault.text))
        if events:
            self._broker.apply(events)
        if not self._decoder.pending:
            self._begun = None
        elif packets or self._begun is None:
            self._begun = self._broker.clock()

    def pause_writing(self) -> None:
        self._paused = True
        self._written_while_paused = 0
        self._broker.apply([ConnectionPaused(self._number)])

    def resume_writing(self) -> None:
        self._paused = False
        self._broker.apply([ConnectionResumed(self._number)])

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # a peer that resets the connection is as gone as one that closes it
        self._broker.leave(self._number)

    # the broker's side

    def take(self, command: Command) -> None:
        """Notes one command for the next `flush`."""
        match command:
            case SendPacket(_, packet):
                self._out.append(encode(packet, self._decoder.version or V311))
            case CloseConnection():
                self._closing = True

    def flush(self) -> None:
        """Writes what was noted, all at once, and closes if that was asked for."""
        if self._transport is None:
            return
        if self._out:
            blob = b"".join(self._out)
            self._out.clear()
            if self._paused:
                self._written_while_paused += len(blob)
            self._transport.write(blob)
            if self._written_while_paused > self._broker.reply_bound:
                self.abort()
        if self._closing:
            self.close()

    def close(self) -> None:
        """Closes once everything written is out."""
        self._closing = True
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Closes now; what was not sent is lost."""
        if self._transport is not None:
            self._transport.abort()

    def check_patience(self, now: float) -> None:
        """Ends a connection that was to close and does not take its last bytes, and one whose packet never ends."""
        if not self._closing:
            timeout = self._broker.core.limits.packet_timeout
            if self._begun is not None and now - self._begun >= timeout:
                text = f"a packet was not there whole after {timeout} s"
                self._broker.apply([PacketMalformed(self._number, Reason.MALFORMED_PACKET, text)])
            return
        if self._closing_since is None:
            self._closing_since = now
        elif now - self._closing_since > _CLOSE_PATIENCE:
            self.abort()

    def unflushed(self) -> int:
        """Bytes that wait in the transport."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()
