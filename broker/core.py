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

Supported: MQTT 3.1.1 and 5 at QoS 0 and 1, retained messages, wills, sessions and their expiry, take-over, keep-alive,
message expiry, topic aliases from clients, subscription identifiers and options, receive maximum, packet size limits.
Not supported, and announced as such in version 5: QoS 2 and shared subscriptions. Will delay counts as 0, which
3.1.3.2.2 allows only for sessions that end with their connection; nobody in a lab asks for another. Extended
authentication is refused.
"""

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec.structs import replace

from ucmlab.broker.access import Action, ClientIdentity
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
from ucmlab.broker.filters import InvalidTopic, is_wildcard, validate_filter, validate_topic
from ucmlab.broker.packets import (
    NEVER_EXPIRES,
    V5,
    V311,
    Auth,
    ConnAck,
    ConnAckProperties,
    Connect,
    ConnectProperties,
    Disconnect,
    DisconnectProperties,
    PingReq,
    PingResp,
    PubAck,
    Publish,
    PublishProperties,
    Reason,
    ReturnCode,
    SubAck,
    Subscribe,
    Subscription,
    UnsubAck,
    Unsubscribe,
    Will,
    WillProperties,
)
from ucmlab.broker.retained import MICROSECONDS, Message, RetainedMessages
from ucmlab.broker.sessions import Connection, Outgoing, Session
from ucmlab.broker.subscriptions import Interest, Match, SubscriptionTree

Authenticate = Callable[[str, str | None, bytes | None], bool]
"""Whether the client with this id, user name and password may connect."""
Authorize = Callable[[ClientIdentity, Action, str], bool]
"""Whether a client may do this with a topic, or for "subscribe" with a filter. Answers alike until `access_changed`."""

# How many topics the tables of routes and of access answers hold before they start again: a bound on memory, far above
# what a lab uses, against peers that invent topics.
_CACHED_TOPICS: Final = 4096
# So many are looked through for those that a subscription changes; of more all are forgotten.
_FEW_TOPICS: Final = 256

# 3.1.1 says less: every other reason is "server unavailable" there.
_RETURN_CODES: Final = {
    Reason.UNSUPPORTED_VERSION: ReturnCode.UNACCEPTABLE_VERSION,
    Reason.CLIENT_ID_NOT_VALID: ReturnCode.IDENTIFIER_REJECTED,
    Reason.BAD_USERNAME_OR_PASSWORD: ReturnCode.BAD_USERNAME_OR_PASSWORD,
    Reason.NOT_AUTHORIZED: ReturnCode.NOT_AUTHORIZED,
}


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one client may cost. The defaults are generous for a lab and safe for its machine.

    Attributes:
        max_connections: open connections, accepted or not.
        max_packet_size: bytes of one packet taken from a client; 2,000,000 is the default of Mosquitto 2.1.
        max_inflight: unacknowledged QoS 1 messages to one client; version 5 clients may ask for fewer. Far above
            Mosquitto's 20, so that a burst need not wait for acknowledgements; a thousand of 2 KB are 2 MB at worst.
        max_queued: live messages that wait for one client; Mosquitto's default. The newest is dropped and counted.
        max_subscriptions: filters of one session.
        max_retained: topics with a retained message.
        topic_alias_maximum: aliases that a version 5 client may set.
        connect_timeout: seconds from opening to CONNECT.
        server_keep_alive: seconds that version 5 clients are told to use instead of their own; `None` to let them.
    """

    max_connections: int = 4096
    max_packet_size: int = 2_000_000
    max_inflight: int = 1000
    max_queued: int = 1000
    max_subscriptions: int = 1000
    max_retained: int = 100_000
    topic_alias_maximum: int = 16
    connect_timeout: int = 10
    server_keep_alive: int | None = None

    def __post_init__(self) -> None:
        """Refuses what cannot work.

        Raises:
            ValueError: no room for packet identifiers.
        """
        if not 1 <= self.max_inflight <= 20_000:  # noqa: PLR2004  a third of the range, so a free one is soon found
            raise ValueError(f"max_inflight is {self.max_inflight}; 1 to 20000 leaves room for packet identifiers")


class _Violation(Exception):
    """A packet that ends its connection; caught in `handle` and nowhere else."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text


class _Refusal(Exception):
    """A CONNECT that is answered with a failure."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text


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
                except _Violation as violation:
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
                raise _Violation(Reason.PROTOCOL_ERROR, "the first packet is not CONNECT")
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
            case PingReq():
                out.append(SendPacket(link.number, PingResp()))
            case Subscribe() as packet:
                self._on_subscribe(link, session, packet, now, out)
            case Unsubscribe() as packet:
                self._on_unsubscribe(link, session, packet, out)
            case Disconnect() as packet:
                self._on_disconnect(link, session, packet, now, out)
            case Connect():
                raise _Violation(Reason.PROTOCOL_ERROR, "a second CONNECT")
            case Auth():
                raise _Violation(Reason.PROTOCOL_ERROR, "no authentication method was agreed")
            case _:
                # What only a server sends, and the acknowledgements of QoS 2, which never begins here.
                raise _Violation(Reason.PROTOCOL_ERROR, f"{type(event.packet).__name__} is not expected from a client")

    def _on_other(self, event: Event, now: int, out: list[Command]) -> None:
        match event:
            case Tick():
                self._on_tick(now, out)
            case ConnectionOpened(conn):
                self._on_opened(conn, now, out)
            case BrokerStopped():
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
        try:
            client_id = self._admit(link, packet)
        except _Refusal as refusal:
            self._refuse_connect(link, packet, refusal, out)
            return
        session, resumed = self._session_for(client_id, packet, now, out)
        self._attach(link, session, packet)
        out.append(SendPacket(link.number, self._welcome(session, packet, resumed=resumed)))
        session.drain(now, out)

    def _admit(self, link: Connection, packet: Connect) -> str:
        """Checks everything that can refuse a CONNECT; returns the client id, and sets the connection's identity."""
        if packet.version not in (V311, V5):
            raise _Refusal(Reason.UNSUPPORTED_VERSION, "MQTT 3.1.1 and 5 are spoken here")
        if packet.properties is not None and packet.properties.authentication_method is not None:
            raise _Refusal(Reason.BAD_AUTHENTICATION_METHOD, "extended authentication is not supported")
        client_id = packet.client_id or self._assign_id(packet)
        if not self._authenticate(client_id, packet.username, packet.password):
            named = packet.username is not None
            reason = Reason.BAD_USERNAME_OR_PASSWORD if named else Reason.NOT_AUTHORIZED
            raise _Refusal(reason, "name, password and client id do not fit" if named else "a user name is required")
        existing = self._sessions.get(client_id)
        if existing is not None and existing.username != packet.username:
            # Else a client could read another user's queue by its id.
            raise _Refusal(Reason.NOT_AUTHORIZED, "this client id has a session of another user")
        link.identity = ClientIdentity(client_id, packet.username)
        if packet.will is not None:
            self._check_will(link, packet.will, packet.version)
        return client_id

    def _assign_id(self, packet: Connect) -> str:
        if packet.version == V311 and not packet.clean_start:
            # 3.1.3-8: a session that lasts needs a name to come back to.
            raise _Refusal(Reason.CLIENT_ID_NOT_VALID, "a persistent session needs a client id")
        while True:
            self._assigned_ids += 1
            client_id = f"auto-{self._assigned_ids}"
            if client_id not in self._sessions:
                return client_id

    def _check_will(self, link: Connection, will: Will, version: int) -> None:
        try:
            validate_topic(will.topic)
        except InvalidTopic as fault:
            raise _Refusal(Reason.TOPIC_INVALID, f"will: {fault.why}") from None
        if will.qos > 1 and version == V5:
            raise _Refusal(Reason.QOS_NOT_SUPPORTED, "a will at QoS 2")
        if not self._authorize(link.identity, "publish", will.topic):
            raise _Refusal(Reason.NOT_AUTHORIZED, "the will's topic is not yours to publish")

    def _refuse_connect(self, link: Connection, packet: Connect, refusal: _Refusal, out: list[Command]) -> None:
        if packet.version == V5:
            answer = ConnAck(reason_code=refusal.reason, properties=ConnAckProperties(reason_string=refusal.text))
        else:
            answer = ConnAck(reason_code=_RETURN_CODES.get(refusal.reason, ReturnCode.SERVER_UNAVAILABLE))
        del self._connections[link.number]
        out += [SendPacket(link.number, answer), CloseConnection(link.number)]

    def _session_for(self, client_id: str, packet: Connect, now: int, out: list[Command]) -> tuple[Session, bool]:
        """The session to go on with, and whether it existed before; ends whoever used it until now."""
        existing = self._sessions.get(client_id)
        if existing is not None and existing.connection is not None:
            self._expel(existing.connection, Reason.SESSION_TAKEN_OVER, "the client id connected again", now, out)
            # A session that was to end with its connection has ended now.
            existing = self._sessions.get(client_id)
        if existing is not None and (packet.clean_start or _is_over(existing, now)):
            self._end_session(existing)
            existing = None
        if existing is not None:
            return existing, True
        session = Session(client_id, packet.username, max_queued=self.limits.max_queued)
        self._sessions[client_id] = session
        return session, False

    def _attach(self, link: Connection, session: Session, packet: Connect) -> None:
        asked = packet.properties or ConnectProperties()
        link.session = session
        link.will = packet.will
        link.keep_alive = self._keep_alive(packet) * MICROSECONDS * 3 // 2
        link.max_packet_size = asked.maximum_packet_size
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

    def _welcome(self, session: Session, packet: Connect, *, resumed: bool) -> ConnAck:
        if packet.version == V311:
            return ConnAck(resumed)
        properties = ConnAckProperties(
            maximum_qos=1,
            maximum_packet_size=self.limits.max_packet_size,
            assigned_client_identifier=None if packet.client_id else session.client_id,
            topic_alias_maximum=self.limits.topic_alias_maximum,
            shared_subscription_available=0,
            server_keep_alive=self.limits.server_keep_alive,
        )
        return ConnAck(resumed, Reason.SUCCESS, properties)

    def _on_disconnect(
        self, link: Connection, session: Session, packet: Disconnect, now: int, out: list[Command]
    ) -> None:
        if session.version == V5 and packet.properties is not None:
            interval = packet.properties.session_expiry_interval
            if interval is not None:
                if interval and session.expiry_interval == 0:
                    # 3.14.2.2.2: what was to end cannot be made to last.
                    raise _Violation(Reason.PROTOCOL_ERROR, "the session expiry interval was 0 and cannot grow")
                session.expiry_interval = _interval(interval)
        if packet.reason_code == Reason.SUCCESS:
            # Any other reason, 0x04 above all, asks for the will (3.14.4-3).
            link.will = None
        self._forget(link, now, out)
        out.append(CloseConnection(link.number))

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
            self._end_session(session)
        elif session.expiry_interval is not None:
            session.expires_at = now + session.expiry_interval * MICROSECONDS
        if link.will is not None:
            self._publish_will(link, link.will, now, out)

    def _publish_will(self, link: Connection, will: Will, now: int, out: list[Command]) -> None:
        asked = will.properties or WillProperties()
        properties = PublishProperties(
            payload_format_indicator=asked.payload_format_indicator,
            message_expiry_interval=asked.message_expiry_interval,
            response_topic=asked.response_topic,
            correlation_data=asked.correlation_data,
            content_type=asked.content_type,
            user_properties=asked.user_properties,
        )
        # QoS 2 in a 3.1.1 will cannot be refused in words that the client would understand; it goes out at our highest.
        packet = Publish(will.topic, will.payload, min(will.qos, 1), will.retain)
        message = _message(packet, will.topic, None if will.properties is None else properties, link, now)
        if will.retain and not self._retained.put(message):
            self._refused += 1
        self._route(message, now, out)

    def _end_session(self, session: Session) -> None:
        for filter_ in session.interests:
            self._tree.remove(session.client_id, filter_)
            self._forget_routes(filter_)
        del self._sessions[session.client_id]

    # --- messages -----------------------------------------------------------------------------------------------------

    def _on_publish(self, link: Connection, session: Session, packet: Publish, now: int, out: list[Command]) -> None:
        link.received += 1
        topic = packet.topic
        properties = packet.properties
        if packet.qos > 1:
            raise _Violation(Reason.QOS_NOT_SUPPORTED, "QoS 2 is not supported")
        if session.version != V5:
            properties = None
        elif properties is not None or not topic:
            topic, properties = self._resolve_alias(link, packet)
        allowed = link.may_publish.get(topic)
        if allowed is None:
            allowed = self._may_publish(link, topic)
        if not allowed:
            self._refuse(link, session, packet, Reason.NOT_AUTHORIZED, out)
            return
        message = _message(packet, topic, properties, link, now)
        if packet.retain and not self._retained.put(message):
            self._refuse(link, session, packet, Reason.QUOTA_EXCEEDED, out)
            return
        reached = self._route(message, now, out)
        if packet.qos:
            reason = 0 if reached or session.version != V5 else 0x10
            out.append(SendPacket(link.number, PubAck(packet.packet_id, reason)))

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
        return reached

    def _find_routes(self, topic: str) -> tuple[tuple[Session, Match], ...]:
        routes = tuple(
            (self._sessions[match.client_id], match)
            for match in self._tree.match(topic)
            if self._may_receive(self._sessions[match.client_id], topic)
        )
        if len(self._routes) >= _CACHED_TOPICS:
            self._routes.clear()
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
            raise _Violation(Reason.TOPIC_INVALID, str(fault)) from None
        if len(link.may_publish) >= _CACHED_TOPICS:
            link.may_publish.clear()
        allowed = link.may_publish[topic] = self._authorize(link.identity, "publish", topic)
        return allowed

    def _refuse(self, link: Connection, session: Session, packet: Publish, reason: Reason, out: list[Command]) -> None:
        """Drops a message; 3.1.1 has no way to say so and gets an ordinary PUBACK, as Mosquitto does (3.3.5-2)."""
        self._refused += 1
        if packet.qos:
            code = reason if session.version == V5 else Reason.SUCCESS
            out.append(SendPacket(link.number, PubAck(packet.packet_id, code)))

    def _resolve_alias(self, link: Connection, packet: Publish) -> tuple[str, PublishProperties | None]:
        """The topic in full, and the properties without what ends at this broker."""
        properties = packet.properties or PublishProperties()
        if properties.subscription_identifiers:
            raise _Violation(Reason.PROTOCOL_ERROR, "subscription identifiers are the server's to send")
        answer_to = properties.response_topic
        if answer_to is not None and (is_wildcard(answer_to) or not answer_to):
            raise _Violation(Reason.PROTOCOL_ERROR, "the response topic is not a topic name")
        alias = properties.topic_alias
        if alias is None:
            if not packet.topic:
                raise _Violation(Reason.PROTOCOL_ERROR, "neither topic nor topic alias")
            return packet.topic, properties
        if not 1 <= alias <= self.limits.topic_alias_maximum:
            raise _Violation(Reason.TOPIC_ALIAS_INVALID, f"topic alias {alias} is out of range")
        if packet.topic:
            link.aliases[alias] = packet.topic
        elif alias not in link.aliases:
            raise _Violation(Reason.PROTOCOL_ERROR, f"topic alias {alias} was never set")
        rest = replace(properties, topic_alias=None)
        return link.aliases[alias], None if rest == PublishProperties() else rest

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
        out.append(SendPacket(link.number, SubAck(packet.packet_id, tuple(codes))))
        for interest, fresh in granted:
            if interest.subscription.retain_handling == 0 or (fresh and interest.subscription.retain_handling == 1):
                self._replay(session, interest, now)
        session.drain(now, out)

    def _judge(self, link: Connection, session: Session, asked: Subscription) -> int:
        """The code for one filter: the QoS granted, or why not."""
        try:
            validate_filter(asked.filter)
        except InvalidTopic:
            return Reason.FILTER_INVALID
        if asked.filter.startswith("$share/"):
            return Reason.SHARED_NOT_SUPPORTED
        if not self._authorize(link.identity, "subscribe", asked.filter):
            return Reason.NOT_AUTHORIZED
        if asked.filter not in session.interests and len(session.interests) >= self.limits.max_subscriptions:
            return Reason.QUOTA_EXCEEDED
        return min(asked.qos, 1)

    def _add_interest(self, session: Session, interest: Interest) -> None:
        filter_ = interest.subscription.filter
        session.interests[filter_] = interest
        self._tree.add(session.client_id, interest)
        self._forget_routes(filter_)

    def _replay(self, session: Session, interest: Interest, now: int) -> None:
        identifiers = (interest.identifier,) if interest.identifier else ()
        for message in self._retained.matching(interest.subscription.filter, now):
            if self._may_receive(session, message.topic):
                qos = min(message.qos, interest.subscription.qos)
                session.replay(Outgoing(message, qos, retain=True, identifiers=identifiers))

    def _on_unsubscribe(self, link: Connection, session: Session, packet: Unsubscribe, out: list[Command]) -> None:
        codes: list[int] = []
        for filter_ in packet.filters:
            if session.interests.pop(filter_, None) is None:
                codes.append(Reason.NO_SUBSCRIPTION_EXISTED)
                continue
            self._tree.remove(session.client_id, filter_)
            self._forget_routes(filter_)
            codes.append(Reason.SUCCESS)
        # 3.1.1 has no codes in UNSUBACK.
        out.append(SendPacket(link.number, UnsubAck(packet.packet_id, tuple(codes) if session.version == V5 else ())))

    # --- time ---------------------------------------------------------------------------------------------------------

    def _on_tick(self, now: int, out: list[Command]) -> None:
        for link in list(self._connections.values()):
            deadline = self._deadline(link)
            # A will published for one of them may have ended nobody else, but a closed link is not judged twice.
            if deadline is not None and deadline <= now and link.number in self._connections:
                self._expel(link, Reason.KEEP_ALIVE_TIMEOUT, "nothing was heard in time", now, out)
        for session in [session for session in self._sessions.values() if _is_over(session, now)]:
            self._end_session(session)
        self._retained.purge(now)

    def _deadline(self, link: Connection) -> int | None:
        if link.session is None:
            return link.last_seen + self.limits.connect_timeout * MICROSECONDS
        return link.last_seen + link.keep_alive if link.keep_alive else None


def _message(packet: Publish, topic: str, properties: PublishProperties | None, link: Connection, now: int) -> Message:
    expires_at = None
    if properties is not None and properties.message_expiry_interval is not None:
        expires_at = now + properties.message_expiry_interval * MICROSECONDS
    return Message(topic, packet.payload, packet.qos, packet.retain, properties, link.identity.client_id, expires_at)


def _interval(seconds: int | None) -> int | None:
    return None if seconds == NEVER_EXPIRES else seconds or 0


def _is_over(session: Session, now: int) -> bool:
    return session.expires_at is not None and session.expires_at <= now
