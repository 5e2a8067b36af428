"""The MQTT broker as a state machine: events in, commands out; no loop, no sockets, no clock, no randomness.

Rules of this file. Every decision about who is connected, who gets a message and what is refused is made here or in
`sessions.py`; the shell moves bytes. Time is the caller's `now`, in microseconds, and never goes back. What comes out
depends on the events alone: nothing iterates over a set, identifiers come from counters. A protocol error ends the
connection that made it and no other. This file does not know of bytes: it takes and gives packets, which is why the
simulation can run on it.

Theory of operation. A `Connection` gets a `Session` when its CONNECT is accepted. PUBLISH is checked once per
connection and topic (name, access rule), and routed by a table from topic to receivers, which is filled from the
subscription tree on first use and forgotten when a subscription that could change it comes or goes. The session then
sends, queues or drops.

Spoken: MQTT 3.1.1 and 5, all of what they ask of a server. What this file leaves to others: `handshakes` (QoS 2),
`shared` (shared subscriptions), `wills` (their delay), `admission` (what a CONNECT may ask for), `incoming` (what a
PUBLISH may carry). Two things that 5 leaves to the server are not done: extended authentication is refused, and no
topic alias is ever sent. `tests/unit/broker/statements.toml` says which test proves what the standard demands.
"""

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from ucmlab.broker import handshakes
from ucmlab.broker.access import Action, ClientIdentity
from ucmlab.broker.admission import Refusal, check_form, refusal_answer, welcome
from ucmlab.broker.events import (
    BrokerStats,
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
from ucmlab.broker.filters import InvalidTopic, TooDeep, is_wildcard, validate_filter, validate_topic
from ucmlab.broker.incoming import is_as_announced, take_properties
from ucmlab.broker.limits import Limits
from ucmlab.broker.packets import (
    NEVER_EXPIRES,
    V5,
    Auth,
    ConnAck,
    Connect,
    ConnectProperties,
    Disconnect,
    DisconnectProperties,
    Packet,
    PingReq,
    PingResp,
    PubAck,
    PubComp,
    Publish,
    PublishProperties,
    PubRec,
    PubRel,
    Reason,
    ReturnCode,
    SubAck,
    Subscribe,
    Subscription,
    UnsubAck,
    Unsubscribe,
    Will,
)
from ucmlab.broker.retained import MICROSECONDS, Message, RetainedMessages
from ucmlab.broker.sessions import Connection, Outgoing, Session
from ucmlab.broker.shared import SharedSubscriptions, is_shared, topic_filter
from ucmlab.broker.subscriptions import Interest, Match, SubscriptionTree
from ucmlab.broker.violations import Violation
from ucmlab.broker.wills import DelayedWills, as_publish

Authenticate = Callable[[str, str | None, bytes | None], bool]
"""Whether the client with this id, user name and password may connect."""
Authorize = Callable[[ClientIdentity, Action, str], bool]
"""Whether a client may do this with a topic, or for "subscribe" with a filter. Answers alike until `access_changed`."""

# How many topics the tables of routes and of access answers hold before they start again: a bound on memory, far above
# what a lab uses, against peers that invent topics.
_CACHED_TOPICS: Final = 4096
# Longer topics are not held in them.
_LONG_TOPIC: Final = 512
# Names that no client may publish under, so that nobody takes its word for the server's (4.7.2).
_RESERVED: Final = ("$SYS", "$share")
# So many are looked through for those that a subscription changes; of more all are forgotten.
_FEW_TOPICS: Final = 256


class BrokerCore:
    """One broker.

    Args:
        authenticate: whether a client may connect; `Accounts.authenticate` or `allow_everyone`.
        authorize: whether it may publish, subscribe, receive; `Accounts.authorize` or `allow_everything`.
        limits: bounds on what clients may cost.
    """

    def __init__(self, authenticate: Authenticate, authorize: Authorize, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._authenticate = authenticate
        self._authorize = authorize
        self._connections: dict[int, Connection] = {}
        self._sessions: dict[str, Session] = {}
        self._tree = SubscriptionTree()
        self._shared = SharedSubscriptions()
        self._delayed_wills = DelayedWills()
        self._retained = RetainedMessages(self.limits.max_retained)
        self._routes: dict[str, tuple[tuple[Session, Match], ...]] = {}
        self._assigned_ids = 0
        self._refused = 0
        self._dropped = 0

    # --- what the shell calls -----------------------------------------------------------------------------------------

    def handle(self, event: Event, now: int) -> list[Command]:
        """Takes one event and returns what is to be done about it, in order.

        Args:
            event: what happened. Events of connections that are closed or unknown are ignored: they crossed a
                `CloseConnection` on their way.
            now: microseconds on a clock that never goes back.
        """
        out: list[Command] = []
        if type(event) is PacketReceived:
            link = self._connections.get(event.conn)
            if link is not None:
                link.last_seen = now
                try:
                    self._on_packet(link, event, now, out)
                except Violation as violation:
                    self._expel(link, violation.reason, violation.text, now, out)
            return out
        self._on_other(event, now, out)
        return out

    def access_changed(self) -> None:
        """Forgets remembered answers of the access policy; connections and subscriptions stay as they are."""
        self._routes.clear()
        for link in self._connections.values():
            link.may_publish.clear()

    def take_retained(self, former: "BrokerCore") -> None:
        """Begin with the retained messages of a broker that has ended, as one does that kept them on a disk."""
        self._retained = former._retained  # noqa: SLF001  # of a broker like this one

    def next_due(self) -> int | None:
        """When the next `Tick` has something to do, in microseconds; `None` if nothing waits for time.

        For a simulation, which wants no idle ticks. Message expiry is not in it: expired messages are held back anyway.
        """
        due = [deadline for link in self._connections.values() if (deadline := self._deadline(link)) is not None]
        due += [session.expires_at for session in self._sessions.values() if session.expires_at is not None]
        if (will_due := self._delayed_wills.next_due()) is not None:
            due.append(will_due)
        return min(due, default=None)

    def stats(self) -> BrokerStats:
        """The counters now, with one entry for each client that has a session."""
        clients = {client_id: session.stats() for client_id, session in self._sessions.items()}
        return BrokerStats(len(self._connections), len(self._retained), self._refused, self._dropped, clients)

    # --- dispatch -----------------------------------------------------------------------------------------------------

    def _on_packet(self, link: Connection, event: PacketReceived, now: int, out: list[Command]) -> None:
        packet = event.packet
        session = link.session
        if session is None:
            if type(packet) is not Connect:
                raise Violation(Reason.PROTOCOL_ERROR, "the first packet is not CONNECT")
            self._on_connect(link, packet, now, out)
        elif type(packet) is Publish:
            self._on_publish(link, session, packet, now, out)
        elif type(packet) is PubAck:
            session.acknowledge(packet.packet_id)
            if session.unsent or session.backlog:
                session.drain(now, out)
        else:
            self._on_rare_packet(link, session, event, now, out)

    def _on_rare_packet(
        self, link: Connection, session: Session, event: PacketReceived, now: int, out: list[Command]
    ) -> None:
        match event.packet:
            case PubRec() | PubRel() | PubComp() as packet:
                handshakes.on_acknowledgement(link, session, packet, now, out)
            case PingReq():
                out.append(SendPacket(link.number, PingResp()))
            case Subscribe() as packet:
                self._on_subscribe(link, session, packet, now, out)
            case Unsubscribe() as packet:
                self._on_unsubscribe(link, session, packet, out)
            case Disconnect() as packet:
                self._on_disconnect(link, session, packet, now, out)
            case Connect():
                raise Violation(Reason.PROTOCOL_ERROR, "a second CONNECT")
            case Auth():
                raise Violation(Reason.PROTOCOL_ERROR, "no authentication method was agreed")
            case _:
                # What only a server sends.
                raise Violation(Reason.PROTOCOL_ERROR, f"{type(event.packet).__name__} is not expected from a client")

    def _on_other(self, event: Event, now: int, out: list[Command]) -> None:
        match event:
            case Tick():
                self._on_tick(now, out)
            case ConnectionOpened(conn):
                self._on_opened(conn, now, out)
            case BrokerStopped():
                self._delayed_wills.clear()
                for link in list(self._connections.values()):
                    link.will = None
                    self._expel(link, Reason.SHUTTING_DOWN, "the broker stops", now, out)
            case ConnectionLost() | PacketMalformed() | ConnectionPaused() | ConnectionResumed():
                link_or_none = self._connections.get(event.conn)
                if link_or_none is not None:
                    self._on_link(link_or_none, event, now, out)
            case PacketReceived():
                raise AssertionError("handle takes these")

    def _on_link(
        self,
        link: Connection,
        event: ConnectionLost | PacketMalformed | ConnectionPaused | ConnectionResumed,
        now: int,
        out: list[Command],
    ) -> None:
        match event:
            case ConnectionLost():
                self._forget(link, now, out)
            case PacketMalformed():
                if link.session is None and event.reason_code == Reason.UNSUPPORTED_VERSION:
                    # 3.1.2-2: the one fault before CONNECT that is answered.
                    out.append(SendPacket(link.number, ConnAck(reason_code=ReturnCode.UNACCEPTABLE_VERSION)))
                self._expel(link, event.reason_code, event.text, now, out)
            case ConnectionPaused():
                link.paused = True
            case ConnectionResumed():
                link.paused = False
                if link.session is not None:
                    link.session.drain(now, out)

    # --- connections --------------------------------------------------------------------------------------------------

    def _on_opened(self, conn: int, now: int, out: list[Command]) -> None:
        if len(self._connections) >= self.limits.max_connections:
            out.append(CloseConnection(conn))
            return
        self._connections[conn] = Connection(conn, now)

    def _on_connect(self, link: Connection, packet: Connect, now: int, out: list[Command]) -> None:
        link.max_packet_size = None if packet.properties is None else packet.properties.maximum_packet_size
        try:
            client_id = self._admit(link, packet)
        except Refusal as refusal:
            self._refuse_connect(link, packet, refusal, out)
            return
        session, resumed = self._session_for(client_id, packet, now, out)
        self._attach(link, session, packet)
        out.append(SendPacket(link.number, welcome(packet, client_id, self.limits, resumed=resumed)))
        session.resume(now, out)

    def _admit(self, link: Connection, packet: Connect) -> str:
        """Checks everything that can refuse a CONNECT; returns the client id, and sets the connection's identity."""
        check_form(packet)
        client_id = packet.client_id or self._assign_id()
        if not self._authenticate(client_id, packet.username, packet.password):
            named = packet.username is not None
            reason = Reason.BAD_USERNAME_OR_PASSWORD if named else Reason.NOT_AUTHORIZED
            raise Refusal(reason, "name, password and client id do not fit" if named else "a user name is required")
        existing = self._sessions.get(client_id)
        if existing is not None and existing.username != packet.username:
            # Else a client could read another user's queue by its id.
            raise Refusal(Reason.NOT_AUTHORIZED, "this client id has a session of another user")
        if existing is None and len(self._sessions) >= self.limits.max_sessions:
            raise Refusal(Reason.QUOTA_EXCEEDED, f"there are {self.limits.max_sessions} sessions already")
        if link.max_packet_size and not link.takes(welcome(packet, client_id, self.limits, resumed=False)):
            raise Refusal(Reason.PACKET_TOO_LARGE, "the CONNACK is larger than the packets that the client takes")
        link.identity = ClientIdentity(client_id, packet.username)
        if packet.will is not None and not self._allows_publishing(link, packet.will.topic):
            raise Refusal(Reason.NOT_AUTHORIZED, "the will's topic is not yours to publish")
        return client_id

    def _assign_id(self) -> str:
        while True:
            self._assigned_ids += 1
            client_id = f"auto-{self._assigned_ids}"
            if client_id not in self._sessions:
                return client_id

    def _refuse_connect(self, link: Connection, packet: Connect, refusal: Refusal, out: list[Command]) -> None:
        del self._connections[link.number]
        answer = refusal_answer(packet, refusal)
        if link.takes(answer):
            out.append(SendPacket(link.number, answer))
        out.append(CloseConnection(link.number))

    def _session_for(self, client_id: str, packet: Connect, now: int, out: list[Command]) -> tuple[Session, bool]:
        """The session to go on with, and whether it existed before; ends whoever used it until now."""
        existing = self._sessions.get(client_id)
        if existing is not None and existing.connection is not None:
            self._expel(existing.connection, Reason.SESSION_TAKEN_OVER, "the client id connected again", now, out)
            # A session that was to end with its connection has ended now.
            existing = self._sessions.get(client_id)
        if existing is not None and (packet.clean_start or _is_over(existing, now)):
            self._end_session(existing, now, out)
            existing = None
        if existing is not None:
            # 3.1.3-9: who comes back in time is not lost.
            self._delayed_wills.take(client_id)
            return existing, True
        session = Session(
            client_id,
            packet.username,
            max_queued=self.limits.max_queued,
            max_queued_bytes=self.limits.max_queued_bytes,
        )
        self._sessions[client_id] = session
        return session, False

    def _attach(self, link: Connection, session: Session, packet: Connect) -> None:
        asked = packet.properties or ConnectProperties()
        link.session = session
        link.will = packet.will
        link.keep_alive = self._keep_alive(packet) * MICROSECONDS * 3 // 2
        session.connection = link
        session.version = packet.version
        session.window = min(asked.receive_maximum or self.limits.max_inflight, self.limits.max_inflight)
        session.expires_at = None
        if packet.version == V5:
            session.expiry_interval = _interval(asked.session_expiry_interval)
        else:
            session.expiry_interval = 0 if packet.clean_start else None

    def _keep_alive(self, packet: Connect) -> int:
        if packet.version == V5 and self.limits.server_keep_alive is not None:
            return self.limits.server_keep_alive
        return packet.keep_alive

    def _on_disconnect(
        self, link: Connection, session: Session, packet: Disconnect, now: int, out: list[Command]
    ) -> None:
        if session.version == V5 and packet.properties is not None:
            interval = packet.properties.session_expiry_interval
            if interval is not None:
                if interval and session.expiry_interval == 0:
                    # 3.14.2.2.2: what was to end cannot be made to last.
                    raise Violation(Reason.PROTOCOL_ERROR, "the session expiry interval was 0 and cannot grow")
                session.expiry_interval = _interval(interval)
        if packet.reason_code == Reason.SUCCESS:
            # Any other reason, 0x04 above all, asks for the will (3.14.4-3).
            link.will = None
        self._forget(link, now, out)
        out.append(CloseConnection(link.number))

    def _answer(self, link: Connection, packet: Packet, out: list[Command]) -> None:
        """Sends a packet with a list in it; a client that takes a CONNACK takes every other answer (3.1.2-24)."""
        if not link.takes(packet):
            raise Violation(Reason.PACKET_TOO_LARGE, "the answer is larger than the packets that the client takes")
        out.append(SendPacket(link.number, packet))

    def _expel(self, link: Connection, reason: int, text: str, now: int, out: list[Command]) -> None:
        """Ends a connection from our side; version 5 is told why."""
        if link.session is not None and link.session.version == V5:
            # 3.14.2.2.3: words must not make the packet larger than the client takes; a limit means: code only.
            words = None if link.max_packet_size is not None else DisconnectProperties(reason_string=text[:200])
            out.append(SendPacket(link.number, Disconnect(reason, words)))
        out.append(CloseConnection(link.number))
        self._forget(link, now, out)

    def _forget(self, link: Connection, now: int, out: list[Command]) -> None:
        """Takes the connection away from its session, ends the session if it is over, publishes the will."""
        del self._connections[link.number]
        session = link.session
        if session is None:
            return
        session.suspend()
        if session.expiry_interval == 0:
            self._end_session(session, now, out)
        elif session.expiry_interval is not None:
            session.expires_at = now + session.expiry_interval * MICROSECONDS
        if link.will is not None and not self._delayed_wills.put(session, link.will, now):
            self._publish_will(session.client_id, link.will, now, out)

    def _publish_will(self, client_id: str, will: Will, now: int, out: list[Command]) -> None:
        packet = as_publish(will)
        message = _message(packet, will.topic, packet.properties, client_id, now)
        if will.retain and not self._retained.put(message):
            self._refused += 1
        self._route(message, now, out)

    def _end_session(self, session: Session, now: int, out: list[Command]) -> None:
        for filter_ in session.interests:
            self._drop_interest(session, filter_)
        del self._sessions[session.client_id]
        for outgoing in session.orphans():
            if outgoing.group is not None and self._share(outgoing.group, outgoing.message, now, out) is False:
                self._dropped += 1
        will = self._delayed_wills.take(session.client_id)
        if will is not None:
            self._publish_will(session.client_id, will, now, out)

    # --- messages -----------------------------------------------------------------------------------------------------

    def _on_publish(self, link: Connection, session: Session, packet: Publish, now: int, out: list[Command]) -> None:
        link.received += 1
        topic = packet.topic
        properties = packet.properties
        if session.version != V5:
            properties = None
        elif properties is not None or not topic:
            topic, properties = take_properties(link, packet, self.limits.topic_alias_maximum)
        qos = packet.qos
        if qos > 1 and handshakes.is_repetition(link, session, packet, self.limits.receive_maximum, out):
            return
        allowed = link.may_publish.get(topic)
        if allowed is None:
            allowed = self._may_publish(link, topic)
        if not allowed:
            self._refuse(link, session, packet, Reason.NOT_AUTHORIZED, out)
            return
        if properties is not None and not is_as_announced(packet.payload, properties):
            self._refuse(link, session, packet, Reason.PAYLOAD_FORMAT_INVALID, out)
            return
        message = _message(packet, topic, properties, link.identity.client_id, now)
        if packet.retain and not self._retained.put(message):
            self._refuse(link, session, packet, Reason.QUOTA_EXCEEDED, out)
            return
        reached = self._route(message, now, out)
        if qos:
            reason = 0 if reached or session.version != V5 else 0x10
            if qos == 1:
                out.append(SendPacket(link.number, PubAck(packet.packet_id, reason)))
            else:
                out.append(handshakes.answer(link, session, packet.packet_id, reason))

    def _route(self, message: Message, now: int, out: list[Command]) -> int:
        """Hands the message to everybody who wants it; returns to how many."""
        topic = message.topic
        routes = self._routes.get(topic)
        if routes is None:
            routes = self._find_routes(topic)
        reached = 0
        bare = message.properties is None and message.expires_at is None
        alike: dict[bool, Publish] = {}
        for session, match in routes:
            if match.no_local and session.client_id == message.sender:
                continue
            reached += 1
            qos = min(message.qos, match.qos)
            retain = message.retain and match.retain_as_published
            if bare and not qos and not match.identifiers:
                # Nothing in the packet is the receiver's own: one packet serves all of them.
                packet = alike.get(retain)
                if packet is None:
                    packet = alike[retain] = Publish(topic, message.payload, 0, retain)
                if session.pass_on(packet, out):
                    continue
            if not session.deliver(Outgoing(message, qos, retain, match.identifiers), now, out):
                self._dropped += 1
        if self._shared.groups:
            reached += self._route_to_groups(message, now, out)
        return reached

    def _route_to_groups(self, message: Message, now: int, out: list[Command]) -> int:
        reached = 0
        for group in self._shared.matching(message.topic):
            served = self._share(group, message, now, out)
            reached += served is not None
            self._dropped += served is False
        return reached

    def _share(self, group: str, message: Message, now: int, out: list[Command]) -> bool | None:
        """Hands the message to the member that is readiest and waited longest; `None` if there is none at all."""
        members = [
            (self._sessions[client_id], interest)
            for client_id, interest in self._shared.groups.get(group, {}).items()
            if self._may_receive(self._sessions[client_id], message.topic)
        ]
        if not members:
            return None
        session, interest = min(members, key=lambda each: each[0].readiness(message.qos))
        self._shared.served(group, session.client_id)
        asked = interest.subscription
        identifiers = (interest.identifier,) if interest.identifier else ()
        retain = message.retain and asked.retain_as_published
        outgoing = Outgoing(message, min(message.qos, asked.qos), retain, identifiers, group)
        return session.deliver(outgoing, now, out)

    def _find_routes(self, topic: str) -> tuple[tuple[Session, Match], ...]:
        routes = tuple(
            (self._sessions[match.client_id], match)
            for match in self._tree.match(topic)
            if self._may_receive(self._sessions[match.client_id], topic)
        )
        if len(self._routes) >= _CACHED_TOPICS:
            self._routes.clear()
        if len(topic) <= _LONG_TOPIC:
            self._routes[topic] = routes
        return routes

    def _forget_routes(self, filter_: str) -> None:
        """Forgets what a subscription with this filter may change, and perhaps a little more."""
        if not is_wildcard(filter_):
            self._routes.pop(filter_, None)
        elif len(self._routes) > _FEW_TOPICS:
            self._routes.clear()
        else:
            # "a/#" matches "a" as well (4.7.1.2), hence without the last slash.
            beginning = filter_.partition("+")[0].partition("#")[0].rstrip("/")
            for topic in [topic for topic in self._routes if topic.startswith(beginning)]:
                del self._routes[topic]

    def _may_receive(self, session: Session, topic: str) -> bool:
        return self._authorize(session.identity, "receive", topic)

    def _may_publish(self, link: Connection, topic: str) -> bool:
        try:
            validate_topic(topic)
        except InvalidTopic as fault:
            raise Violation(Reason.TOPIC_INVALID, str(fault)) from None
        if len(link.may_publish) >= _CACHED_TOPICS:
            link.may_publish.clear()
        allowed = self._allows_publishing(link, topic)
        if len(topic) <= _LONG_TOPIC:
            link.may_publish[topic] = allowed
        return allowed

    def _allows_publishing(self, link: Connection, topic: str) -> bool:
        if topic[:1] == "$" and topic.partition("/")[0] in _RESERVED:
            return False
        return self._authorize(link.identity, "publish", topic)

    def _refuse(self, link: Connection, session: Session, packet: Publish, reason: Reason, out: list[Command]) -> None:
        """Drops a message; 3.1.1 has no way to say so and gets an ordinary answer, as from Mosquitto (3.3.5-2)."""
        self._refused += 1
        code = reason if session.version == V5 else Reason.SUCCESS
        if packet.qos == 1:
            out.append(SendPacket(link.number, PubAck(packet.packet_id, code)))
        elif packet.qos:
            out.append(handshakes.answer(link, session, packet.packet_id, code))

    # --- subscriptions ------------------------------------------------------------------------------------------------

    def _on_subscribe(
        self, link: Connection, session: Session, packet: Subscribe, now: int, out: list[Command]
    ) -> None:
        identifier = 0
        if packet.properties is not None and session.version == V5:
            identifier = packet.properties.subscription_identifier or 0
        codes: list[int] = []
        granted: list[tuple[Interest, bool]] = []
        for asked in packet.subscriptions:
            code = self._judge(link, session, asked)
            if code < Reason.UNSPECIFIED:
                interest = Interest(replace(asked, qos=code), identifier)
                granted.append((interest, asked.filter not in session.interests))
                self._add_interest(session, interest)
            codes.append(code if session.version == V5 or code < Reason.UNSPECIFIED else Reason.UNSPECIFIED)
        # SUBACK first: a client that learns by it which filter a message belongs to should know the filter.
        self._answer(link, SubAck(packet.packet_id, tuple(codes)), out)
        for interest, fresh in granted:
            if interest.subscription.retain_handling == 0 or (fresh and interest.subscription.retain_handling == 1):
                self._replay(session, interest, now)
        session.drain(now, out)

    def _judge(self, link: Connection, session: Session, asked: Subscription) -> int:
        """The code for one filter: the QoS granted, or why not."""
        try:
            filter_ = _checked_filter(asked.filter)
        except TooDeep:
            return Reason.FILTER_INVALID
        if asked.no_local and is_shared(asked.filter):
            raise Violation(Reason.PROTOCOL_ERROR, "no local makes no sense in a shared subscription")
        if not self._authorize(link.identity, "subscribe", filter_):
            return Reason.NOT_AUTHORIZED
        if asked.filter not in session.interests and len(session.interests) >= self.limits.max_subscriptions:
            return Reason.QUOTA_EXCEEDED
        return asked.qos

    def _add_interest(self, session: Session, interest: Interest) -> None:
        filter_ = interest.subscription.filter
        session.interests[filter_] = interest
        if is_shared(filter_):
            self._shared.add(session.client_id, interest)
            return
        self._tree.add(session.client_id, interest)
        self._forget_routes(filter_)

    def _drop_interest(self, session: Session, filter_: str) -> None:
        if is_shared(filter_):
            self._shared.remove(session.client_id, filter_)
            return
        self._tree.remove(session.client_id, filter_)
        self._forget_routes(filter_)

    def _replay(self, session: Session, interest: Interest, now: int) -> None:
        if is_shared(interest.subscription.filter):
            # 4.8.2: a group is not owed what is retained.
            return
        identifiers = (interest.identifier,) if interest.identifier else ()
        for message in self._retained.matching(interest.subscription.filter, now):
            if self._may_receive(session, message.topic):
                qos = min(message.qos, interest.subscription.qos)
                session.replay(Outgoing(message, qos, retain=True, identifiers=identifiers))

    def _on_unsubscribe(self, link: Connection, session: Session, packet: Unsubscribe, out: list[Command]) -> None:
        codes: list[int] = []
        for filter_ in packet.filters:
            if session.interests.pop(filter_, None) is None:
                _checked_filter(filter_)
                codes.append(Reason.NO_SUBSCRIPTION_EXISTED)
                continue
            self._drop_interest(session, filter_)
            codes.append(Reason.SUCCESS)
        # 3.1.1 has no codes in UNSUBACK.
        self._answer(link, UnsubAck(packet.packet_id, tuple(codes) if session.version == V5 else ()), out)

    # --- time ---------------------------------------------------------------------------------------------------------

    def _on_tick(self, now: int, out: list[Command]) -> None:
        for link in list(self._connections.values()):
            deadline = self._deadline(link)
            # A will published for one of them may have ended nobody else, but a closed link is not judged twice.
            if deadline is not None and deadline <= now and link.number in self._connections:
                self._expel(link, Reason.KEEP_ALIVE_TIMEOUT, "nothing was heard in time", now, out)
        for session in [session for session in self._sessions.values() if _is_over(session, now)]:
            self._end_session(session, now, out)
        for due in self._delayed_wills.take_due(now):
            self._publish_will(due.client_id, due.will, now, out)
        self._retained.purge(now)

    def _deadline(self, link: Connection) -> int | None:
        if link.session is None:
            return link.last_seen + self.limits.connect_timeout * MICROSECONDS
        return link.last_seen + link.keep_alive if link.keep_alive else None


def _message(packet: Publish, topic: str, properties: PublishProperties | None, sender: str, now: int) -> Message:
    expires_at = None
    if properties is not None and properties.message_expiry_interval is not None:
        expires_at = now + properties.message_expiry_interval * MICROSECONDS
    return Message(topic, packet.payload, packet.qos, packet.retain, properties, sender, expires_at)


def _checked_filter(filter_: str) -> str:
    """The part of a filter that topics are compared with.

    Raises:
        TooDeep: one with more levels than we keep, which a SUBACK can say.
        Violation: one that is malformed; a client that sends it is ended (3.1.1: 4.8.0-1, 5: 4.13.1-1).
    """
    try:
        compared = topic_filter(filter_)
        validate_filter(compared)
    except TooDeep:
        raise
    except InvalidTopic as fault:
        raise Violation(Reason.MALFORMED_PACKET, str(fault)) from None
    return compared


def _interval(seconds: int | None) -> int | None:
    return None if seconds == NEVER_EXPIRES else seconds or 0


def _is_over(session: Session, now: int) -> bool:
    return session.expires_at is not None and session.expires_at <= now
