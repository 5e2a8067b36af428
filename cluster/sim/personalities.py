"""Brokers with known defects, as data: what a lab meets when its broker is not the one that the standard describes.

Every personality is the broker core with one thing wrong, found in a broker that people use (`measured` names it) or
allowed by the standard and yet a surprise. A cluster must live with each of them: correctness rests on the log's own
order and signatures, never on what a broker keeps, repeats or forgets (design 5). The simulation starts one in place of
its broker, and an `EmbeddedBroker` serves one to whoever examines brokers.

Rules of this file. A defect stands before or behind `BrokerCore.handle`, which stays what it is: it changes the event
that goes in or the commands that come out, and looks at sessions and retained messages only where the defect is one of
what a broker keeps. The counters of a connection stay those of what was really sent, for labs reckon with them.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from ucmlab.broker.core import Authenticate, Authorize, BrokerCore
from ucmlab.broker.events import CloseConnection, Command, ConnectionLost, Event, PacketReceived, SendPacket
from ucmlab.broker.limits import Limits
from ucmlab.broker.packets import ConnAck, Connect, Disconnect, PubAck, Publish, Reason, Will
from ucmlab.broker.retained import Message, RetainedMessages
from ucmlab.broker.sessions import Outgoing
from ucmlab.cluster.errors import Unusable

MakeBroker = Callable[[Authenticate, Authorize], BrokerCore]
"""Makes a broker core of who may connect and who may do what."""
RETAINED_READ_LIMIT: Final = 100
"""What rumqttd gives a fresh subscriber at most: its constant for free in-flight slots."""
SHORT_QUEUE: Final = 5
"""Messages that wait for an absent client of a broker that is configured too small."""
_LATE_WILL_ID: Final = 65_535
"""The packet identifier of a will that is published late; no client of ours counts so far."""


class _FirstHundred(RetainedMessages):
    def matching(self, filter_: str, now: int) -> list[Message]:
        return super().matching(filter_, now)[:RETAINED_READ_LIMIT]


class TruncatesRetained(BrokerCore):
    """A fresh subscription gets the first hundred of its retained messages, and no sign that there are more."""

    def __init__(self, authenticate: Authenticate, authorize: Authorize, limits: Limits | None = None) -> None:
        """See `BrokerCore`."""
        super().__init__(authenticate, authorize, limits)
        self._retained = _FirstHundred(self.limits.max_retained)


class EmptyDeletes(BrokerCore):
    """An empty message deletes what is retained on its topic, whether it was to be retained or not."""

    def handle(self, event: Event, now: int) -> list[Command]:
        """See `BrokerCore`."""
        packet = event.packet if isinstance(event, PacketReceived) else None
        if isinstance(packet, Publish) and not packet.payload and not packet.retain:
            event = replace(event, packet=replace(packet, retain=True))
        return super().handle(event, now)


class LeaksRetained(BrokerCore):
    """Who connects gets, at QoS 0, what is retained for everybody's subscriptions."""

    def handle(self, event: Event, now: int) -> list[Command]:
        """See `BrokerCore`."""
        commands = super().handle(event, now)
        accepted = [command for command in commands if isinstance(command, SendPacket) and _is_accepted(command)]
        for command in accepted:
            self._leak(command.conn, now, commands)
        return commands

    def _leak(self, conn: int, now: int, out: list[Command]) -> None:
        session = self._connections[conn].session
        if session is None:
            return
        filters = dict.fromkeys(filter_ for other in self._sessions.values() for filter_ in other.interests)
        leaked = {message.topic: message for filter_ in filters for message in self._retained.matching(filter_, now)}
        for message in leaked.values():
            session.deliver(Outgoing(message, 0, retain=True, identifiers=()), now, out)


class ForgetsWills(BrokerCore):
    """Wills are taken and never published."""

    def handle(self, event: Event, now: int) -> list[Command]:
        """See `BrokerCore`."""
        return super().handle(_without_will(event), now)


class _QueuesLittle(BrokerCore):
    """What arrives for a client that is away waits for it up to `room` messages; the newest are dropped."""

    room = 0

    def handle(self, event: Event, now: int) -> list[Command]:
        """See `BrokerCore`."""
        for session in self._sessions.values():
            session.max_queued = self.room if session.connection is None else self.limits.max_queued
        return super().handle(event, now)


class NoOfflineQueue(_QueuesLittle):
    """A session outlives its connection, and nothing that is published meanwhile waits for it."""


class OverflowingQueue(_QueuesLittle):
    """Only a few messages wait for a client that is away; what comes after them is lost without a word."""

    room = SHORT_QUEUE


class RepeatsQos1(BrokerCore):
    """What was published at QoS 1 is sent twice to everybody, where it can be marked as a duplicate it is."""

    def handle(self, event: Event, now: int) -> list[Command]:
        """See `BrokerCore`."""
        packet = event.packet if isinstance(event, PacketReceived) else None
        published_once = isinstance(packet, Publish) and packet.qos == 1
        twice: list[Command] = []
        for command in super().handle(event, now):
            twice.append(command)
            again = _again(command, at_any_qos=published_once)
            link = self._connections.get(again.conn) if again is not None else None
            if again is not None and link is not None:
                twice.append(again)
                link.sent += 1
        return twice


class PublishesWillsLate(BrokerCore):
    """A will is published once its client is back and has said something: after the birth that it should precede."""

    def __init__(self, authenticate: Authenticate, authorize: Authorize, limits: Limits | None = None) -> None:
        """See `BrokerCore`."""
        super().__init__(authenticate, authorize, limits)
        self._wills: dict[int, tuple[str, Will]] = {}
        """Of connections: whose, and what."""
        self._late: dict[str, Will] = {}
        """Of clients that are gone without a word."""

    def handle(self, event: Event, now: int) -> list[Command]:
        """See `BrokerCore`."""
        self._note(event)
        commands = super().handle(_without_will(event), now)
        for command in commands:
            if isinstance(command, SendPacket) and isinstance(command.packet, ConnAck) and not _is_accepted(command):
                self._wills.pop(command.conn, None)
        ended = {command.conn: None for command in commands if isinstance(command, CloseConnection)}
        if isinstance(event, ConnectionLost):
            ended[event.conn] = None
        for conn in ended:
            if conn in self._wills:
                client_id, will = self._wills.pop(conn)
                self._late[client_id] = will
        if isinstance(event, PacketReceived) and isinstance(event.packet, Publish):
            commands += self._publish_late(event.conn, now)
        return commands

    def _note(self, event: Event) -> None:
        if not isinstance(event, PacketReceived):
            return
        if isinstance(event.packet, Connect) and event.packet.will is not None:
            self._wills[event.conn] = (event.packet.client_id, event.packet.will)
        elif isinstance(event.packet, Disconnect) and event.packet.reason_code == Reason.SUCCESS:
            self._wills.pop(event.conn, None)

    def _publish_late(self, conn: int, now: int) -> list[Command]:
        link = self._connections.get(conn)
        will = self._late.pop(link.identity.client_id, None) if link is not None else None
        if link is None or will is None:
            return []
        qos = min(will.qos, 1)
        packet = Publish(will.topic, will.payload, qos, will.retain, packet_id=_LATE_WILL_ID if qos else 0)
        commands = super().handle(PacketReceived(conn, packet), now)
        link.received -= 1  # its client did not send it now
        return [command for command in commands if not _acknowledges(command, _LATE_WILL_ID)]


class Personality(msgspec.Struct, frozen=True):
    """A broker with one defect."""

    kind: str
    core: Callable[[Authenticate, Authorize], BrokerCore]
    text: str
    """What is wrong with it."""
    measured: str
    """Where that was seen."""


PERSONALITIES: Mapping[str, Personality] = {
    each.kind: each
    for each in (
        Personality(
            "rumqttd-retained-100",
            TruncatesRetained,
            "a fresh subscriber gets at most a hundred retained messages",
            "iotcore 0.4.0, which runs rumqttd: the constant of its free in-flight slots",
        ),
        Personality(
            "rumqttd-empty-deletes",
            EmptyDeletes,
            "an empty message that is not to be retained deletes the one that is",
            "iotcore 0.4.0, which runs rumqttd: the flag is not looked at",
        ),
        Personality(
            "amqtt-retained-leak",
            LeaksRetained,
            "who connects gets retained messages of other clients' subscriptions",
            "amqtt 0.12.1: it goes through all subscriptions in place of the session's own",
        ),
        Personality("no-will", ForgetsWills, "wills are never published", "moat 0.8.7"),
        Personality(
            "no-offline-queue",
            NoOfflineQueue,
            "nothing waits for a client that is away",
            "amqtt 0.12.1 with its anonymous plugin, moat 0.8.7",
        ),
        Personality(
            "offline-queue-overflow",
            OverflowingQueue,
            f"{SHORT_QUEUE} messages wait for a client that is away, the rest is lost",
            "Mosquitto with a small max_queued_messages (its default is 1000)",
        ),
        Personality(
            "duplicate-qos1",
            RepeatsQos1,
            "every message at QoS 1 comes twice",
            "allowed by the standard: at least once",
        ),
        Personality(
            "will-late",
            PublishesWillsLate,
            "a will comes after the birth of its client's next life",
            "allowed by the standard: order holds on one connection only",
        ),
    )
}


def personality(kind: str) -> MakeBroker:
    """What makes a broker core with a defect of this name.

    Raises:
        Unusable: there is none of this name.
    """
    found = PERSONALITIES.get(kind)
    if found is None:
        raise Unusable(f"there is no broker personality {kind!r}; there are {', '.join(PERSONALITIES)}")
    return found.core


def _is_accepted(command: SendPacket) -> bool:
    return isinstance(command.packet, ConnAck) and command.packet.reason_code == 0


def _again(command: Command, *, at_any_qos: bool) -> SendPacket | None:
    if not isinstance(command, SendPacket) or not isinstance(command.packet, Publish):
        return None
    qos = command.packet.qos
    if qos == 1 or at_any_qos:
        return SendPacket(command.conn, replace(command.packet, dup=qos == 1))
    return None


def _acknowledges(command: Command, packet_id: int) -> bool:
    return (
        isinstance(command, SendPacket) and isinstance(command.packet, PubAck) and command.packet.packet_id == packet_id
    )


def _without_will(event: Event) -> Event:
    if isinstance(event, PacketReceived) and isinstance(event.packet, Connect):
        return replace(event, packet=replace(event.packet, will=None))
    return event
