"""Sessions and connections: what the broker remembers about one client, and how messages leave for it.

Everything that decides whether a message is sent now, waits, or is dropped lives here; who gets which message is the
core's. A session sends in one order: first what must be repeated, then its backlog, then what is new.

The backlog is bounded for live messages: the newest is dropped when it is full, and counted. Retained messages that a
subscription asked for do not count against the bound, for a fresh subscriber is owed all of them; they cannot pile up
either, because asking again replaces what is still waiting for the same topic.
"""

from collections import OrderedDict

import msgspec
from msgspec.structs import replace

from ucmlab.broker.access import ClientIdentity
from ucmlab.broker.events import ClientStats, Command, SendPacket
from ucmlab.broker.mqtt_codec import encoded_size
from ucmlab.broker.packets import V5, V311, Publish, PublishProperties, Will
from ucmlab.broker.retained import MICROSECONDS, Message
from ucmlab.broker.subscriptions import Interest

_MAX_PACKET_ID = 65_535


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """A message as one client will get it."""

    message: Message
    qos: int
    retain: bool
    identifiers: tuple[int, ...]


class Connection:
    """One network connection, from its opening; `session` is set once its CONNECT was accepted."""

    __slots__ = (
        "aliases",
        "identity",
        "keep_alive",
        "last_seen",
        "max_packet_size",
        "may_publish",
        "number",
        "paused",
        "received",
        "sent",
        "session",
        "will",
    )

    def __init__(self, number: int, now: int) -> None:
        self.number = number
        self.session: Session | None = None
        self.identity = ClientIdentity("")
        self.last_seen = now
        self.keep_alive = 0
        """The longest silence allowed, in microseconds; 0 for any."""
        self.max_packet_size: int | None = None
        self.may_publish: dict[str, bool] = {}
        """Answers of the access policy, by topic; every topic in here is valid."""
        self.aliases: dict[int, str] = {}
        self.paused = False
        self.will: Will | None = None
        self.received = 0
        self.sent = 0


class Session:
    """What outlives a connection: subscriptions, unacknowledged and waiting messages.

    Args:
        client_id: whose session it is.
        username: who opened it; nobody else may continue it.
        max_queued: how many live messages may wait.
    """

    __slots__ = (
        "_last_id",
        "_next_entry",
        "_replays",
        "backlog",
        "client_id",
        "connection",
        "dropped",
        "expires_at",
        "expiry_interval",
        "identity",
        "inflight",
        "interests",
        "max_queued",
        "oversized",
        "unsent",
        "username",
        "version",
        "window",
    )

    def __init__(self, client_id: str, username: str | None, *, max_queued: int) -> None:
        self.client_id = client_id
        self.username = username
        self.identity = ClientIdentity(client_id, username)
        self.max_queued = max_queued
        self.connection: Connection | None = None
        self.version = V311
        self.window = 1
        """How many QoS 1 messages may be unacknowledged at once."""
        self.expiry_interval: int | None = 0
        """Seconds that the session outlives its connection; `None` for as long as the broker runs."""
        self.expires_at: int | None = None
        """When the session of an absent client ends, in microseconds."""
        self.interests: dict[str, Interest] = {}
        self.inflight: dict[int, Publish] = {}
        """Sent on the current connection and not acknowledged."""
        self.unsent: OrderedDict[int, Publish] = OrderedDict()
        """Not acknowledged on an earlier connection, and not yet repeated on this one."""
        self.backlog: OrderedDict[int, Outgoing] = OrderedDict()
        self.dropped = 0
        self.oversized = 0
        self._replays: dict[str, int] = {}
        self._next_entry = 0
        self._last_id = 0

    def deliver(self, outgoing: Outgoing, now: int, out: list[Command]) -> bool:
        """Sends the message or lets it wait; false if it was dropped because too many wait already."""
        link = self.connection
        if link is None:
            # A message at QoS 0 is for those who are there.
            return not outgoing.qos or self._wait(outgoing)
        if self.backlog or self.unsent or link.paused or (outgoing.qos and len(self.inflight) >= self.window):
            return self._wait(outgoing)
        self._send(link, outgoing, now, out)
        return True

    def pass_on(self, publish: Publish, out: list[Command]) -> bool:
        """Sends a finished packet at QoS 0; false if `deliver` must see to it, for something is in its way."""
        link = self.connection
        if link is None or self.backlog or self.unsent or link.paused or link.max_packet_size is not None:
            return False
        link.sent += 1
        out.append(SendPacket(link.number, publish))
        return True

    def replay(self, outgoing: Outgoing) -> None:
        """Lets a retained message wait, however many wait already; `drain` sends it."""
        topic = outgoing.message.topic
        earlier = self._replays.pop(topic, None)
        if earlier is not None:
            del self.backlog[earlier]
        self._replays[topic] = self._enqueue(outgoing)

    def acknowledge(self, packet_id: int) -> None:
        """The client has this message; an identifier not in use is ignored, it may be an echo of a lost session."""
        if self.inflight.pop(packet_id, None) is None:
            self.unsent.pop(packet_id, None)

    def drain(self, now: int, out: list[Command]) -> None:
        """Sends what waits, as far as the client's window lets it."""
        link = self.connection
        if link is None or link.paused:
            return
        while self.unsent and len(self.inflight) < self.window:
            packet_id, publish = self.unsent.popitem(last=False)
            self._transmit(link, self._repeated(publish), packet_id, out)
        while self.backlog and not self.unsent:
            entry = next(iter(self.backlog))
            waiting = self.backlog[entry]
            if waiting.qos and len(self.inflight) >= self.window:
                return
            del self.backlog[entry]
            if waiting.retain and self._replays.get(waiting.message.topic) == entry:
                del self._replays[waiting.message.topic]
            if not waiting.message.expired(now):
                self._send(link, waiting, now, out)

    def suspend(self) -> None:
        """The connection is gone: what was in flight is to be repeated, QoS 0 does not wait for an absent client."""
        self.connection = None
        self.unsent = OrderedDict({**self.inflight, **self.unsent})
        self.inflight = {}
        for entry in [entry for entry, waiting in self.backlog.items() if not waiting.qos]:
            del self.backlog[entry]
        self._replays = {topic: entry for topic, entry in self._replays.items() if entry in self.backlog}

    def stats(self) -> ClientStats:
        """The session's counters now."""
        link = self.connection
        return ClientStats(
            None if link is None else link.number,
            0 if link is None else link.received,
            0 if link is None else link.sent,
            len(self.inflight) + len(self.unsent),
            len(self.backlog),
            self.dropped,
            self.oversized,
        )

    def _wait(self, waiting: Outgoing) -> bool:
        if len(self.backlog) - len(self._replays) >= self.max_queued:
            self.dropped += 1
            return False
        self._enqueue(waiting)
        return True

    def _enqueue(self, waiting: Outgoing) -> int:
        self._next_entry += 1
        self.backlog[self._next_entry] = waiting
        return self._next_entry

    def _send(self, link: Connection, outgoing: Outgoing, now: int, out: list[Command]) -> None:
        message, qos = outgoing.message, outgoing.qos
        properties = message.properties
        if self.version != V5:
            properties = None
        elif outgoing.identifiers or message.expires_at is not None:
            properties = _adjusted(message, outgoing.identifiers, now)
        packet_id = self._free_id() if qos else 0
        retain = outgoing.retain
        publish = Publish(message.topic, message.payload, qos, retain, packet_id=packet_id, properties=properties)
        self._transmit(link, publish, packet_id, out)

    def _transmit(self, link: Connection, publish: Publish, packet_id: int, out: list[Command]) -> None:
        if link.max_packet_size is not None and encoded_size(publish, self.version) > link.max_packet_size:
            # 3.1.2-25: not sent, and as good as delivered.
            self.oversized += 1
            return
        if packet_id:
            self.inflight[packet_id] = publish
        link.sent += 1
        out.append(SendPacket(link.number, publish))

    def _free_id(self) -> int:
        # Terminates: the window is far smaller than the range (Limits), and `unsent` is never larger than a window.
        packet_id = self._last_id % _MAX_PACKET_ID + 1
        while packet_id in self.inflight or packet_id in self.unsent:
            packet_id = packet_id % _MAX_PACKET_ID + 1
        self._last_id = packet_id
        return packet_id

    def _repeated(self, publish: Publish) -> Publish:
        # The client may have come back with the other protocol version.
        return replace(publish, dup=True, properties=publish.properties if self.version == V5 else None)


def _adjusted(message: Message, identifiers: tuple[int, ...], now: int) -> PublishProperties:
    properties = message.properties or PublishProperties()
    remaining = None
    if message.expires_at is not None:
        # 3.3.2-6: the interval received less the time that the message waited here, rounded up, never 0.
        remaining = max(1, -((now - message.expires_at) // MICROSECONDS))
    return replace(properties, message_expiry_interval=remaining, subscription_identifiers=identifiers)
