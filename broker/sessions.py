"""Sessions and connections: what the broker remembers about one client, and how messages leave for it.

Everything that decides whether a message is sent now, waits, or is dropped lives here; who gets which message is the
core's. A session sends in one order: first what must be repeated, then its backlog, then what is new.

What becomes of a message at QoS 2 between its PUBLISH and its PUBCOMP is told in `handshakes`; here is what is kept.

The backlog is bounded for live messages, in number and in bytes: the newest is dropped when it is full, and counted.
Retained messages that a subscription asked for do not count against the bound, for a fresh subscriber is owed all of
them; they cannot pile up either, because asking again replaces what is still waiting for the same topic.
"""

from collections import OrderedDict

import msgspec
from msgspec.structs import replace

from ucmlab.broker.access import ClientIdentity
from ucmlab.broker.events import ClientStats, Command, SendPacket
from ucmlab.broker.mqtt_codec import encode, encoded_size
from ucmlab.broker.packets import V5, V311, Packet, Publish, PublishProperties, PubRel, Reason, Will
from ucmlab.broker.retained import MICROSECONDS, Message
from ucmlab.broker.subscriptions import Interest
from ucmlab.broker.violations import Violation

_MAX_PACKET_ID = 65_535


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """A message as one client will get it; `group` is the filter of a shared subscription that it got it by."""

    message: Message
    qos: int
    retain: bool
    identifiers: tuple[int, ...]
    group: str | None = None


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
        "unreleased",
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
        self.unreleased: set[int] = set()
        """Messages at QoS 2 that a version 5 client began on this connection and has not released."""
        self.received = 0
        self.sent = 0

    def takes(self, packet: Packet) -> bool:
        """Whether the packet is as small as the client wants them, which only version 5 can say (3.1.2-24)."""
        return self.max_packet_size is None or len(encode(packet, V5)) <= self.max_packet_size


class Session:
    """What outlives a connection: subscriptions, unacknowledged and waiting messages.

    Args:
        client_id: whose session it is.
        username: who opened it; nobody else may continue it.
        max_queued: how many live messages may wait.
        max_queued_bytes: how many bytes their payloads may have together.
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
        "incoming",
        "inflight",
        "interests",
        "max_queued",
        "max_queued_bytes",
        "oversized",
        "queued_bytes",
        "released",
        "unsent",
        "username",
        "version",
        "window",
    )

    def __init__(self, client_id: str, username: str | None, *, max_queued: int, max_queued_bytes: int) -> None:
        self.client_id = client_id
        self.username = username
        self.identity = ClientIdentity(client_id, username)
        self.max_queued = max_queued
        self.max_queued_bytes = max_queued_bytes
        self.connection: Connection | None = None
        self.version = V311
        self.window = 1
        """How many messages of QoS 1 and 2 may be unacknowledged at once."""
        self.expiry_interval: int | None = 0
        """Seconds that the session outlives its connection; `None` for as long as the broker runs."""
        self.expires_at: int | None = None
        """When the session of an absent client ends, in microseconds."""
        self.interests: dict[str, Interest] = {}
        self.inflight: dict[int, Outgoing] = {}
        """Sent on the current connection, and neither PUBACK nor PUBREC came."""
        self.unsent: OrderedDict[int, Outgoing] = OrderedDict()
        """The same of an earlier connection, not yet repeated on this one."""
        self.released: dict[int, None] = {}
        """Identifiers of messages whose PUBREC came and whose PUBCOMP did not, in the PUBRECs' order (4.6.0-4)."""
        self.incoming: set[int] = set()
        """Identifiers of messages at QoS 2 that the client sent and has not released."""
        self.backlog: OrderedDict[int, Outgoing] = OrderedDict()
        self.queued_bytes = 0
        """Of the payloads of live messages in the backlog."""
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
        if self.backlog or self.unsent or link.paused or (outgoing.qos and self._window_is_full()):
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
        """The client has this message; an identifier not in use is ignored, it may be an echo of a lost session.

        Raises:
            Violation: the message went out at QoS 2.
        """
        found = self.inflight.get(packet_id)
        if found is not None and found.qos == 1:
            del self.inflight[packet_id]
        elif self._kept(packet_id, 1):
            self._forget(packet_id)

    def received(self, packet_id: int) -> bool:
        """The client has this message at QoS 2 and will not take it for a new one; false if there is none such.

        Raises:
            Violation: the message went out at QoS 1.
        """
        if self._kept(packet_id, 2):
            self._forget(packet_id)
            self.released[packet_id] = None
        return packet_id in self.released

    def refused(self, packet_id: int) -> None:
        """The client does not want this message at QoS 2, which ends it (4.3.3-4).

        Raises:
            Violation: the message went out at QoS 1.
        """
        if self._kept(packet_id, 2):
            self._forget(packet_id)
        self.released.pop(packet_id, None)

    def complete(self, packet_id: int) -> None:
        """The client has released this message: its identifier is free.

        Raises:
            Violation: the client never said that it has the message.
        """
        if packet_id in self.inflight or packet_id in self.unsent:
            raise Violation(Reason.PROTOCOL_ERROR, "PUBCOMP for a message that was not released")
        self.released.pop(packet_id, None)

    def resume(self, now: int, out: list[Command]) -> None:
        """The client is there: sends again what it did not answer on its earlier connection (4.4.0-1), and the rest."""
        link = self.connection
        if link is not None:
            out += [SendPacket(link.number, PubRel(packet_id)) for packet_id in self.released]
        self.drain(now, out)

    def drain(self, now: int, out: list[Command]) -> None:
        """Sends what waits, as far as the client's window lets it."""
        link = self.connection
        if link is None or link.paused:
            return
        while self.unsent and not self._window_is_full():
            packet_id, outgoing = self.unsent.popitem(last=False)
            self._send(link, outgoing, now, out, repeated=packet_id)
        while self.backlog and not self.unsent:
            entry = next(iter(self.backlog))
            waiting = self.backlog[entry]
            if waiting.qos and self._window_is_full():
                return
            del self.backlog[entry]
            if waiting.retain and self._replays.get(waiting.message.topic) == entry:
                del self._replays[waiting.message.topic]
            else:
                self.queued_bytes -= len(waiting.message.payload)
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
        replays = set(self._replays.values())
        self.queued_bytes = sum(
            len(waiting.message.payload) for entry, waiting in self.backlog.items() if entry not in replays
        )

    def orphans(self) -> list[Outgoing]:
        """What an ended session owes to its groups, oldest first: another member can still have it.

        Not what began at QoS 2: the lost client may have it, and nobody else may get it (4.8.2-5).
        """
        begun = [outgoing for outgoing in self.unsent.values() if outgoing.qos == 1]
        return [outgoing for outgoing in (*begun, *self.backlog.values()) if outgoing.group is not None]

    def readiness(self, qos: int) -> tuple[bool, bool, bool]:
        """How well it can take a message of a group now; the least is the best."""
        link = self.connection
        waits = link is None or link.paused or bool(self.backlog or self.unsent) or (qos > 0 and self._window_is_full())
        return self._backlog_is_full(0), link is None, waits

    def stats(self) -> ClientStats:
        """The session's counters now."""
        link = self.connection
        return ClientStats(
            None if link is None else link.number,
            0 if link is None else link.received,
            0 if link is None else link.sent,
            len(self.inflight) + len(self.unsent) + len(self.released),
            len(self.backlog),
            self.dropped,
            self.oversized,
        )

    def _window_is_full(self) -> bool:
        # PUBRELs of an earlier connection need not count (4.9); they do, which is never too many.
        return len(self.inflight) + len(self.released) >= self.window

    def _backlog_is_full(self, size: int) -> bool:
        full = len(self.backlog) - len(self._replays) >= self.max_queued
        return full or self.queued_bytes + size > self.max_queued_bytes

    def _kept(self, packet_id: int, qos: int) -> bool:
        found = self.inflight.get(packet_id) or self.unsent.get(packet_id)
        if found is not None and found.qos != qos:
            raise Violation(Reason.PROTOCOL_ERROR, f"a message at QoS {found.qos} is not acknowledged like this")
        return found is not None

    def _forget(self, packet_id: int) -> None:
        if self.inflight.pop(packet_id, None) is None:
            self.unsent.pop(packet_id, None)

    def _wait(self, waiting: Outgoing) -> bool:
        size = len(waiting.message.payload)
        if self._backlog_is_full(size):
            self.dropped += 1
            return False
        self.queued_bytes += size
        self._enqueue(waiting)
        return True

    def _enqueue(self, waiting: Outgoing) -> int:
        self._next_entry += 1
        self.backlog[self._next_entry] = waiting
        return self._next_entry

    def _send(self, link: Connection, outgoing: Outgoing, now: int, out: list[Command], *, repeated: int = 0) -> None:
        """Sends the message, for the first time or under the identifier that it had."""
        message, qos = outgoing.message, outgoing.qos
        properties = message.properties
        if self.version != V5:
            properties = None
        elif outgoing.identifiers or message.expires_at is not None:
            properties = _adjusted(message, outgoing.identifiers, now)
        packet_id = repeated or (self._free_id() if qos else 0)
        publish = Publish(message.topic, message.payload, qos, outgoing.retain, repeated > 0, packet_id, properties)
        if link.max_packet_size is not None and encoded_size(publish, self.version) > link.max_packet_size:
            # 3.1.2-25: not sent, and as good as delivered.
            self.oversized += 1
            return
        if packet_id:
            self.inflight[packet_id] = outgoing
        link.sent += 1
        out.append(SendPacket(link.number, publish))

    def _free_id(self) -> int:
        # Terminates: the window is far smaller than the range (Limits), and none of the three is larger than a window.
        packet_id = self._last_id % _MAX_PACKET_ID + 1
        while packet_id in self.inflight or packet_id in self.unsent or packet_id in self.released:
            packet_id = packet_id % _MAX_PACKET_ID + 1
        self._last_id = packet_id
        return packet_id


def _adjusted(message: Message, identifiers: tuple[int, ...], now: int) -> PublishProperties:
    properties = message.properties or PublishProperties()
    remaining = None
    if message.expires_at is not None:
        # 3.3.2-6: the interval received less the time that the message waited here, rounded up, never 0.
        remaining = max(1, -((now - message.expires_at) // MICROSECONDS))
    return replace(properties, message_expiry_interval=remaining, subscription_identifiers=identifiers)
