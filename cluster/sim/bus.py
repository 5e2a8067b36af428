"""The bus in virtual time: links from members to one broker core, behind the same port as the bus over aiomqtt.

Three things are cheaper than on a real wire, and change nothing that a member could notice: packets travel as objects
(the codec has its own suite), a PUBACK to a member takes no time of its own, and members subscribe at QoS 0: a link
here loses nothing while it lasts, and a clean session keeps nothing after it, so a PUBACK of theirs would do nothing.
"""

import asyncio
import random
from collections.abc import Callable, Iterable

from ucmlab.broker.access import Action, ClientIdentity, allow_everyone
from ucmlab.broker.bus import BusCounters, BusListener, Will
from ucmlab.broker.core import Authorize, BrokerCore
from ucmlab.broker.events import (
    CloseConnection,
    ConnectionLost,
    ConnectionOpened,
    Event,
    PacketReceived,
    SendPacket,
)
from ucmlab.broker.gate import Gate
from ucmlab.broker.packets import (
    V5,
    ConnAck,
    Connect,
    Disconnect,
    Packet,
    PubAck,
    Publish,
    Reason,
    SubAck,
    Subscribe,
    Subscription,
)
from ucmlab.broker.packets import Will as WillPacket
from ucmlab.broker.topics import QOS
from ucmlab.cluster.sim.personalities import MakeBroker
from ucmlab.cluster.sim.timeline import Timeline
from ucmlab.node.instant import MILLISECOND

RECONNECT_WITHIN = 50 * MILLISECOND


class Link:
    """One connection: first in, first out in both directions."""

    __slots__ = ("bus", "last_down", "last_up", "number", "received", "sent", "unanswered")

    def __init__(self, number: int, bus: "SimBus") -> None:
        self.number = number
        self.bus = bus
        self.last_up = 0
        self.last_down = 0
        self.sent = 0
        self.unanswered = 0
        self.received = 0


class SimBroker:
    """The broker's process, and the wire to it."""

    def __init__(
        self, timeline: Timeline, schedule: random.Random, authorize: Authorize, *, latency: tuple[int, int] = (0, 0)
    ) -> None:
        """Not running.

        Args:
            timeline: on which packets travel.
            schedule: draws how long each takes.
            authorize: who may say and hear what. Names and passwords are the real broker's affair and tested there:
                the simulation's network lets only members speak.
            latency: of each packet, microseconds, from and up to.
        """
        self._timeline = timeline
        self._schedule = schedule
        self.authorize = authorize
        """Asked for what the core does not remember; who replaces it tells the core by `access_changed`."""
        self._receives: Callable[[Link, Packet], None] = self._gets
        self.loses: Callable[[Link], None] = self.forget
        """What the broker does about a member that is gone: a fault may stand before."""
        self._random = schedule.random
        self._least, self._spread = latency[0], latency[1] - latency[0]
        self.make_core: MakeBroker = BrokerCore
        """What its next start begins: the broker, or one of another personality."""
        self._core: BrokerCore | None = None
        self._kept: BrokerCore | None = None
        """The last life, while its retained messages wait for the next one."""
        self._links: dict[int, Link] = {}
        self._link_count = 0
        self._members: list[SimBus] = []
        self.in_flight = 0
        """Packets and connection attempts on their way."""
        self.published: list[tuple[str, bytes]] | None = None
        """Topic and payload of whatever was published, once somebody has put a list here."""

    @property
    def up(self) -> bool:
        """Whether it runs."""
        return self._core is not None

    def start(self) -> None:
        """Start it, empty; whoever wants a connection tries soon."""
        core = self.make_core(allow_everyone, self._may)
        if self._kept is not None:
            core.take_retained(self._kept)
            self._kept = None
        self._core = core
        for bus in self._members:
            bus.prod()

    def _may(self, client: ClientIdentity, action: Action, topic: str) -> bool:
        return self.authorize(client, action, topic)

    def access_changed(self) -> None:
        """`authorize` answers differently from now on."""
        if self._core is not None:
            self._core.access_changed()

    def kill(self, *, keep_retained: bool = False) -> None:
        """Every connection is reset; what the broker held in memory is gone, unless it keeps retained messages."""
        self._kept = self._core if keep_retained else None
        self._core = None
        for link in self._links.values():
            self._down(link, link.bus.hears_reset)
        self._links.clear()

    @property
    def connections(self) -> int:
        """How many were ever made."""
        return self._link_count

    # -- what a member's end asks for

    def join(self, bus: "SimBus") -> None:
        """Tell a member when the broker is there."""
        self._members.append(bus)

    def leave(self, bus: "SimBus") -> None:
        """Tell it no more."""
        self._members.remove(bus)

    def attempt(self, connect: Callable[[], None]) -> None:
        """Have a connection attempt made a little later."""
        delay = self._schedule.randint(0, RECONNECT_WITHIN) if self._spread else 0
        self.in_flight += 1
        self._timeline.at(self._timeline.now + delay, self._arrive, connect, ())

    def open(self, bus: "SimBus", connect: Connect) -> Link | None:
        """Connect; None when nobody listens."""
        if self._core is None:
            return None
        self._link_count += 1
        link = self._links[self._link_count] = Link(self._link_count, bus)
        self._handle(ConnectionOpened(link.number))
        self.send(link, connect)
        return link

    def send(self, link: Link, packet: Packet) -> None:
        """Send a packet up."""
        timeline = self._timeline
        link.last_up = due = max(timeline.now + self._delay(), link.last_up)
        self.in_flight += 1
        timeline.at(due, self._receives, link, packet)

    def lose(self, link: Link) -> None:
        """The member's end is gone; the broker publishes its will, unless it said goodbye.

        It learns that at once, behind a stall too, as it does of a process on its own machine; across a network that
        is cut a broker would find out by the keep-alive.
        """
        link.last_up = max(link.last_up, self._timeline.now + self._delay())
        self.in_flight += 1
        self._timeline.at(link.last_up, self._arrive, self.loses, (link,))

    def cut(self, client_id: str) -> None:
        """Break a member's connection at both ends."""
        for link in [link for link in self._links.values() if link.bus.client_id == client_id]:
            self._down(link, link.bus.hears_reset)
            self.forget(link)

    # -- the wire

    def _down(self, link: Link, action: Callable[[Link], None]) -> None:
        link.last_down = max(link.last_down, self._timeline.now + self._delay())
        self.in_flight += 1
        self._timeline.at(link.last_down, self._arrive, action, (link,))

    def _send_down(self, link: Link, packet: Packet) -> None:
        timeline = self._timeline
        link.last_down = due = max(timeline.now + self._delay(), link.last_down)
        self.in_flight += 1
        timeline.at(due, self._brings, link, packet)

    def _brings(self, link: Link, packet: Packet) -> None:
        self.in_flight -= 1
        link.bus.hears(link, packet)

    def _arrive(self, action: Callable[..., None], arguments: tuple[object, ...]) -> None:
        self.in_flight -= 1
        action(*arguments)

    def _delay(self) -> int:
        return self._least + int(self._random() * self._spread) if self._spread else self._least

    # -- the broker's end

    def treat(self, takes: Callable[[Link, Packet], None] | None) -> None:
        """Have packets taken by somebody else, who hands them on to `take`; None: as ever."""
        if takes is None:
            self._receives = self._gets
            return

        def received(link: Link, packet: Packet) -> None:
            self.in_flight -= 1
            takes(link, packet)

        self._receives = received

    def _gets(self, link: Link, packet: Packet) -> None:
        self.in_flight -= 1
        self.take(link, packet)

    def take(self, link: Link, packet: Packet) -> None:
        """A packet of a member's has arrived."""
        if link.number not in self._links:
            return
        if self.published is not None and type(packet) is Publish:
            self.published.append((packet.topic, packet.payload))
        self._handle(PacketReceived(link.number, packet))

    def forget(self, link: Link) -> None:
        """A member's connection is gone."""
        if self._links.pop(link.number, None) is not None:
            self._handle(ConnectionLost(link.number))

    def say(self, client_id: str, username: str, message: Publish) -> None:
        """Publish as somebody who knows a member's password, and be gone."""
        if self._core is None:
            return
        self._link_count += 1
        number = self._link_count
        # Without a link of ours: what the core sends there goes nowhere.
        self._handle(ConnectionOpened(number))
        self._handle(PacketReceived(number, Connect(client_id, V5, username=username)))
        self._handle(PacketReceived(number, message))
        self._handle(PacketReceived(number, Disconnect()))

    def _handle(self, event: Event) -> None:
        assert self._core is not None  # noqa: S101  # there are links only while it runs
        links = self._links
        for command in self._core.handle(event, self._timeline.now):
            if type(command) is SendPacket:
                link = links.get(command.conn)
                if link is None:
                    continue
                if type(command.packet) is PubAck:
                    link.bus.answered(link)
                else:
                    self._send_down(link, command.packet)
            elif type(command) is CloseConnection:
                closed = self._links.pop(command.conn, None)
                if closed is not None:
                    self._down(closed, closed.bus.hears_reset)


class SimBus:
    """One member's end; see `Bus`. Without a task of its own: `start` and `leave` are `run` and `close` for a world."""

    def __init__(
        self,
        broker: SimBroker,
        client_id: str,
        listener: BusListener,
        *,
        will: Will,
        username: str = "",
        counting: bool = True,
    ) -> None:
        """Nothing is connected before `start` or `run`.

        Args:
            broker: which one.
            client_id: who we are to it.
            listener: hears what comes.
            will: published when the connection ends without a word.
            username: the client id unless given.
            counting: whether `listener` wants to be told that the counters changed.
        """
        self.client_id = client_id
        self._broker = broker
        self._listener = listener
        self._counting = counting
        packet = self._will = WillPacket(will.topic, will.payload, qos=QOS, retain=True)
        self._connect_packet = Connect(client_id, V5, username=username or client_id, will=packet)
        self._gate = Gate(listener)
        self._link: Link | None = None
        self._connected = False
        self._connections = 0
        self._duplicate = self._refused = False
        self._alive = False
        self.frozen = False
        """Whether the member's process stands still: it makes no connection. (A real one also acknowledges nothing, and
        the broker keeps what it has not acknowledged; here its own queue keeps it, and the member cannot tell.)"""
        self._over = asyncio.Event()
        self.hears: Callable[[Link, Packet], None] = self.gets
        self.hears_reset: Callable[[Link], None] = self.link_reset
        self.sends: Callable[[Publish | Subscribe], None] = self.send
        """What comes from the broker and what goes to it: a fault of the link may stand between."""
        self.barred = False
        """Whether no connection can be made."""

    # -- the port

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Hand a message to the broker; see `Bus`."""
        if self._connected:
            packet = Publish(topic, payload, QOS, retain, packet_id=1)
            if self._gate.open:
                self.sends(packet)
            else:
                self._gate.outwards(self._hand_out, packet)

    def subscribe(self, filters: Iterable[str]) -> None:
        """Subscribe; see `Bus`."""
        if self._connected:
            packet = Subscribe(1, tuple(Subscription(each, 0) for each in filters))
            self._gate.outwards(self._hand_out, packet)

    def stall(self, *, stalled: bool) -> None:
        """Stall the link or let it go on; see `Bus`."""
        self._gate.stall(stalled=stalled)
        if not stalled:
            self.prod()

    @property
    def stalled(self) -> bool:
        """Whether the link is stalled; see `Bus`."""
        return self._gate.stalled

    def prod(self) -> None:
        """Try to connect, unless there is a link or nobody to link to; see `Bus`."""
        if self._alive and self._link is None and not self.frozen:
            self._broker.attempt(self._connect)

    def counters(self) -> BusCounters:
        """What passed on this connection; see `Bus`."""
        link = self._link
        if link is None or not self._connected:
            return BusCounters(False, self._connections, 0, 0, 0, self._duplicate)
        return BusCounters(True, self._connections, link.sent, link.unanswered, link.received, self._duplicate)

    async def run(self) -> None:
        """Be connected as much as possible; see `Bus`."""
        self.start()
        try:
            await self._over.wait()
        finally:
            self.die()

    async def close(self, patience: float) -> None:  # noqa: ARG002  # what was sent arrives before the goodbye does
        """Disconnect in order; see `Bus`."""
        self.leave()

    # -- the same for a world

    def start(self) -> None:
        """Connect, and connect again whenever that is possible."""
        self._alive = True
        self._broker.join(self)
        self.prod()

    def leave(self) -> None:
        """Disconnect in order."""
        if self._link is not None and not self._gate.stalled:
            self._broker.send(self._link, Disconnect())
        self.die()

    def die(self) -> None:
        """The member's process is gone, without a word."""
        if not self._alive:
            return
        self._alive = self._connected = False
        self._broker.leave(self)
        if self._link is not None:
            link, self._link = self._link, None
            self._broker.lose(link)
        self._over.set()

    # -- what the broker's end brings

    def gets(self, link: Link, packet: Packet) -> None:
        """A packet arrived."""
        if self._link is not link:
            return
        if type(packet) is Publish:
            link.received += 1
            if self._gate.open:
                self._listener.message(packet.topic, packet.payload)
            else:
                self._gate.message(packet.topic, packet.payload)
            if self._counting:
                self._listener.counted()
        elif type(packet) is SubAck:
            self.answered(link)
        elif type(packet) is ConnAck:
            self._refused = packet.reason_code != 0
            if not self._refused:
                self._connected = True
                self._connections += 1
                self._gate.connected()
        elif type(packet) is Disconnect:
            self._duplicate = packet.reason_code == Reason.SESSION_TAKEN_OVER

    def answered(self, link: Link) -> None:
        """The broker acknowledged something."""
        link.unanswered -= 1
        if self._counting:
            self._listener.counted()

    def link_reset(self, link: Link) -> None:
        """The broker's end is gone."""
        if self._link is not link:
            return
        self._link = None
        self._connected = False
        self._gate.disconnected()
        self._listener.counted()
        if self._duplicate:
            self._listener.duplicate()
            self.die()
        elif not self._refused:  # this broker would say the same again, at the same instant, for ever
            self.prod()

    def _connect(self) -> None:
        if self._alive and self._link is None and not self.frozen and not self._gate.stalled and not self.barred:
            self._link = self._broker.open(self, self._connect_packet)

    def _hand_out(self, packet: Publish | Subscribe) -> None:
        self.sends(packet)  # as it is when the gate lets it pass

    @property
    def link(self) -> Link | None:
        """The connection, if there is one."""
        return self._link

    @property
    def will(self) -> WillPacket:
        """What the broker publishes when the connection is lost."""
        return self._will

    def gone(self, link: Link) -> bool:
        """Whether a connection is this member's no more."""
        return self._link is not link

    def hear_again(self, packet: Publish) -> None:
        """A message arrives a second time; the broker has its acknowledgement already."""
        self._gate.message(packet.topic, packet.payload)

    def send(self, packet: Publish | Subscribe) -> None:
        """Hand a packet to the wire."""
        link = self._link
        if link is not None:
            link.sent += type(packet) is Publish
            link.unanswered += 1
            self._broker.send(link, packet)
