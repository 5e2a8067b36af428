"""The embedded broker as a lab has it: it tells the lab what is published, and can be made to do it harm.

What faults decide is decided on what the core asks or tells anyway: who may publish, whose connection ended.
"""

import secrets
import ssl
from collections.abc import Callable, Iterable

import msgspec

from ucmlab.broker.access import Accounts, Action, ClientIdentity
from ucmlab.broker.core import BrokerCore
from ucmlab.broker.events import Command, ConnectionOpened, Event, PacketReceived, SendPacket
from ucmlab.broker.packets import V5, Connect, Disconnect, Publish, Subscribe, Subscription
from ucmlab.broker.retained import Message
from ucmlab.broker.server import EmbeddedBroker
from ucmlab.broker.topics import QOS

_TAP = 0
"""The tap's connection number: the server counts its own from 1."""
_GUEST = -1
"""That of whoever speaks from inside."""


class TappedCore(BrokerCore):
    """A broker core with one subscriber inside the process, which sees everything that is published."""

    def __init__(
        self,
        accounts: Accounts,
        tap: Callable[[str, bytes], None],
        refused: Callable[[str], None] = lambda username: None,
    ) -> None:
        """`tap` hears of every message, wills included, once it was accepted; `refused` of users that `refuse` hit."""
        # The tap is a client like others to the core, under a name that nobody outside this process can know.
        self._name = secrets.token_hex(16)
        self._accounts = accounts
        self._tap = tap
        self._on_refused = refused
        self._barred: frozenset[str] = frozenset()
        self._told_barred: set[str] = set()
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

    def say(self, username: str, message: Publish) -> list[Event]:
        """The events of somebody who publishes under a user's name, without a socket of his own, and goes."""
        # By this name, which nobody outside can know: members' accounts are bound to their own client ids, so a thief
        # of a password would have to take the member's place. What he may say is the same.
        client_id = f"guest-{self._name}"
        return [
            ConnectionOpened(_GUEST),
            PacketReceived(_GUEST, Connect(client_id, V5, username=username)),
            PacketReceived(_GUEST, message),
            PacketReceived(_GUEST, Disconnect()),
        ]

    def refuse(self, usernames: Iterable[str]) -> None:
        """Refuse what these users publish, and nobody else's."""
        self._barred = frozenset(usernames)
        self._told_barred.clear()
        self.access_changed()

    def will_of(self, number: int) -> Publish | None:
        """What is to be published when a connection is lost."""
        link = self._connections.get(number)
        if link is None or link.will is None:
            return None
        return Publish(link.will.topic, link.will.payload, QOS, link.will.retain, packet_id=1)

    def retained(self) -> bytes:
        """The retained messages, for another life (`take`): msgpack of `Message`s."""
        return msgspec.msgpack.encode(self._retained.matching("#", 0))

    def take(self, retained: bytes) -> None:
        """Begin with these, as a broker does that kept them on a disk."""
        for message in msgspec.msgpack.decode(retained, type=list[Message]):
            self._retained.put(message)

    def _may_connect(self, client_id: str, username: str | None, password: bytes | None) -> bool:
        if username == self._name or client_id == f"guest-{self._name}":
            return True
        return self._accounts.authenticate(client_id, username, password)

    def _may(self, client: ClientIdentity, action: Action, topic_or_filter: str) -> bool:
        if client.username == self._name:
            return True
        allowed = self._accounts.authorize(client, action, topic_or_filter)
        if action != "publish" or client.username not in self._barred or not allowed:
            return allowed
        if client.username not in self._told_barred:
            self._told_barred.add(client.username)
            self._on_refused(client.username)
        return False


class LabBroker(EmbeddedBroker):
    """A broker on a network that can be cut: the end of a connection on the other side does not get through either.

    Nodes hold back what they say and hear; but a node that dies is a socket that closes, which only this side can hold.
    """

    def __init__(
        self,
        core: TappedCore,
        *,
        host: str,
        port: int,
        ssl_context: ssl.SSLContext | None,
        held: Callable[[str], None] = lambda client: None,
    ) -> None:
        """Nobody is cut off; `held` hears whose will is kept back."""
        super().__init__(core, host=host, port=port, ssl_context=ssl_context)
        self._tapped = core
        self._held = held
        self._late: frozenset[str] = frozenset()
        self._wills: dict[str, list[Publish]] = {}
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
            return
        will = self._tapped.will_of(number) if client in self._late else None
        if will is not None:
            # A goodbye takes the will away; it comes when nobody expects it any more.
            self._wills.setdefault(client, []).append(will)
            self.apply([PacketReceived(number, Disconnect())])
            self._held(client)
        super().leave(number)

    def hold_wills(self, clients: Iterable[str]) -> None:
        """Keep back the wills of these clients, and of nobody else."""
        self._late = frozenset(clients)
        for client in [client for client in self._wills if client not in self._late]:
            while client in self._wills:
                self.release_will(client)

    def release_will(self, client: str) -> None:
        """Publish the oldest that is kept back of a client."""
        wills = self._wills.get(client)
        if wills:
            self.say(client, wills.pop(0))
        if not wills:
            self._wills.pop(client, None)

    def say(self, username: str, message: Publish) -> None:
        """Publish as somebody who is not there."""
        self.apply(self._tapped.say(username, message))
