"""A broker core with clients made of numbers, for tests that read as transcripts."""

from ucmlab.broker.access import allow_everyone, allow_everything
from ucmlab.broker.core import Authenticate, Authorize, BrokerCore
from ucmlab.broker.events import (
    CloseConnection,
    Command,
    ConnectionLost,
    ConnectionOpened,
    Event,
    PacketReceived,
    SendPacket,
    Tick,
)
from ucmlab.broker.limits import Limits
from ucmlab.broker.packets import (
    NEVER_EXPIRES,
    V5,
    ConnAck,
    Connect,
    ConnectProperties,
    Disconnect,
    Packet,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    SubAck,
    Subscribe,
    SubscribeProperties,
    Subscription,
)

SECOND = 1_000_000


class Playbook:
    """Drives one core and keeps, per connection, what was sent there and is not yet looked at."""

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        authenticate: Authenticate = allow_everyone,
        authorize: Authorize = allow_everything,
    ) -> None:
        self.core = BrokerCore(authenticate, authorize, limits)
        self.now = 0
        self.closed: list[int] = []
        self._out: dict[int, list[Packet]] = {}
        self._conns = 0

    def does(self, event: Event) -> list[Command]:
        commands = self.core.handle(event, self.now)
        for command in commands:
            match command:
                case SendPacket(conn, packet):
                    self._out.setdefault(conn, []).append(packet)
                case CloseConnection(conn):
                    self.closed.append(conn)
        return commands

    def open(self) -> int:
        self._conns += 1
        self.does(ConnectionOpened(self._conns))
        return self._conns

    def sends(self, conn: int, packet: Packet) -> list[Packet]:
        """The client sends a packet; returns what it gets back."""
        self.does(PacketReceived(conn, packet))
        return self.got(conn)

    def does_send(self, conn: int, packet: Packet) -> None:
        """The client sends a packet; what it gets back waits for `got`."""
        self.does(PacketReceived(conn, packet))

    def connect(self, packet: Connect) -> int:
        """A client connects and is accepted."""
        conn = self.open()
        answer = self.sends(conn, packet)
        assert isinstance(answer[0], ConnAck)
        assert answer[0].reason_code == 0
        self._out.setdefault(conn, []).extend(answer[1:])
        return conn

    def refused(self, packet: Connect) -> int:
        """A client connects and is refused; returns the code."""
        conn = self.open()
        (answer,) = self.sends(conn, packet)
        assert isinstance(answer, ConnAck)
        assert self.closed == [conn]
        return int(answer.reason_code)

    def subscribe(self, conn: int, *subscriptions: Subscription, identifier: int | None = None) -> list[Packet]:
        """Subscribes; returns what came after the SUBACK."""
        properties = None if identifier is None else SubscribeProperties(identifier)
        ack, *rest = self.sends(conn, Subscribe(1, subscriptions, properties))
        assert isinstance(ack, SubAck)
        return rest

    def got(self, conn: int) -> list[Packet]:
        """What was sent to the client since it was last asked for."""
        return self._out.pop(conn, [])

    def messages(self, conn: int) -> list[tuple[str, bytes]]:
        """Topic and payload of the messages in `got`; all are acknowledged until nothing more comes."""
        found: list[tuple[str, bytes]] = []
        while packets := self.got(conn):
            for packet in packets:
                if isinstance(packet, Publish):
                    found.append((packet.topic, packet.payload))
                self.answers(conn, packet)
        return found

    def answers(self, conn: int, packet: Packet) -> None:
        """The client acknowledges what it got, if that is how it is done."""
        match packet:
            case Publish(_, _, 1):
                self.does_send(conn, PubAck(packet.packet_id))
            case Publish(_, _, 2):
                self.does_send(conn, PubRec(packet.packet_id))
            case PubRel():
                self.does_send(conn, PubComp(packet.packet_id))
            case _:
                assert isinstance(packet, Publish), packet

    def acknowledges(self, conn: int, packet: Publish) -> None:
        """The client has this message."""
        self.does(PacketReceived(conn, PubAck(packet.packet_id)))

    def lose(self, conn: int) -> None:
        self.does(ConnectionLost(conn))

    def wait(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)
        self.does(Tick())

    def why(self, conn: int) -> int | None:
        """The reason of the DISCONNECT that a version 5 client got before it was closed."""
        assert conn in self.closed
        last = self.got(conn)[-1:]
        return int(last[0].reason_code) if last and isinstance(last[0], Disconnect) else None


def v5(client_id: str) -> Connect:
    return Connect(client_id, V5)


def lasting(
    client_id: str, version: int = V5, seconds: int = NEVER_EXPIRES, *, receive_maximum: int | None = None
) -> Connect:
    """A client whose session outlives its connection; seconds and maximum are for version 5."""
    properties = ConnectProperties(seconds, receive_maximum) if version == V5 else None
    return Connect(client_id, version, clean_start=False, properties=properties)
