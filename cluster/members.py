"""The lab's side of each of its processes: what it told last, and the channel to tell it something."""

import signal
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from ucmlab.broker.server import ClientCounters
from ucmlab.cluster.chaos_proxy import ChaosProxy
from ucmlab.cluster.control import Channel
from ucmlab.cluster.control_messages import (
    Act,
    AskRetained,
    AskStatus,
    Counted,
    Crashed,
    Cut,
    Detour,
    Felt,
    Fire,
    FromBroker,
    FromNode,
    HoldWills,
    Listening,
    Moved,
    Places,
    Probe,
    Prod,
    Published,
    Pulsed,
    Recover,
    Refuse,
    Refused,
    ReleaseWill,
    Replied,
    Retained,
    Say,
    SetClock,
    SetTime,
    Stall,
    StatusTold,
    StopBroker,
    Suffer,
    WillHeld,
)
from ucmlab.cluster.spawning import Child
from ucmlab.node.commands import Reply
from ucmlab.node.config import NodeConfig
from ucmlab.node.shell import Pulse
from ucmlab.node.status import NodeStatus

STATUS_TIMEOUT_S = 5.0
"""Machine time for a node to tell its status: longer than the longest that it is ever busy (RSA keys)."""
_from_node: msgspec.msgpack.Decoder[FromNode] = msgspec.msgpack.Decoder(FromNode)
_from_broker: msgspec.msgpack.Decoder[FromBroker] = msgspec.msgpack.Decoder(FromBroker)
_encode = msgspec.msgpack.Encoder().encode

NodeAct = Fire | Act | Stall | Prod | Suffer | Recover | Detour


class Process:
    """What nodes and the broker have in common: a process that lives, is paused, or is down."""

    def __init__(self, name: str, changed: Callable[[], None]) -> None:
        """It is down. `changed` hears whenever something is heard of it."""
        self.name = name
        self.paused = False
        self.lives = 0
        """How often it was started."""
        self.answered = 0
        """Number of the last probe that it answered."""
        self.crash = ""
        """The traceback of a bug that ended it; empty after any other end."""
        self._changed = changed
        self._child: Child | None = None
        self._channel: Channel | None = None

    @property
    def alive(self) -> bool:
        """Whether its process runs or is paused."""
        return self._child is not None and self._child.status is None

    @property
    def pid(self) -> int | None:
        """Its process id; None while it is down."""
        return self._child.pid or None if self._child is not None and self._child.status is None else None

    def begin(self, child: Child, sock: socket.socket) -> None:
        """Its process was asked for."""
        self.lives += 1
        self.paused = False
        self.answered = 0
        self.crash = ""
        self._child = child
        self._channel = Channel(sock, frame=self._on_frame, closed=self._changed)

    def ended(self, status: int) -> None:
        """Its process was reaped. What it had still said is taken in first."""
        del status
        if self._channel is not None:
            self._channel.drain()
            self._channel.close()
        self._channel = None
        self.paused = False
        self._changed()

    async def spawned(self) -> None:
        """Wait until it has a process id, or ended before."""
        if self._child is not None:
            await self._child.spawned.wait()

    async def gone(self) -> None:
        """Wait until it has been reaped."""
        if self._child is not None:
            await self._child.exited.wait()

    def kill(self) -> None:
        """SIGKILL; takes effect on a paused process as well."""
        if self._child is not None:
            self._child.send_signal(signal.SIGKILL)

    def pause(self) -> None:
        """SIGSTOP."""
        if self._child is not None:
            self._child.send_signal(signal.SIGSTOP)
            self.paused = True

    @property
    def stands(self) -> bool:
        """Whether the kernel has stopped it: SIGSTOP takes a moment to reach a process that runs."""
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True  # gone meanwhile, or a system without /proc, where nothing better is known
        return state in "TtZX"

    def resume(self) -> None:
        """SIGCONT."""
        if self._child is not None:
            self.paused = False
            self._child.send_signal(signal.SIGCONT)

    def probe(self, number: int) -> None:
        """Ask for its counts; `answered` tells when they have come."""
        self._send(Probe(number))

    def _send(self, message: msgspec.Struct) -> None:
        if self._channel is not None:
            self._channel.send(_encode(message))

    def _on_frame(self, body: bytes) -> None:
        raise NotImplementedError


class LocalNode(Process):
    """One node of a lab of real processes."""

    def __init__(
        self,
        config: NodeConfig,
        home: Path,
        *,
        client_id: str,
        changed: Callable[[], None],
        replied: Callable[[Reply], None],
        felt: Callable[[int], None],
        on_bus: Callable[[str], bool],
    ) -> None:
        """It is down. `on_bus` is the network's word on whether it reaches the broker; `felt` hears of its faults."""
        super().__init__(config.name, changed)
        self.config = config
        self.home = home
        self.client_id = client_id
        self.pulse: Pulse | None = None
        self.asked = 0
        self.held = 0
        """Exchanges of it that a server of the lab holds back."""
        self.addresses: dict[str, str] = {}
        """Where its listeners are, by name."""
        self.on_presented: Callable[[str, Mapping[str, tuple[bytes, ...]]], None] = lambda name, anchors: None
        """Hears what those of them that speak HTTP are verified with, whenever a service has taken up its identity."""
        self.status: NodeStatus | None = None
        """Its core, as told last."""
        self.replication_broken = False
        self.clock_offset = 0
        self.stalled = False
        self.link: ChaosProxy | None = None
        """What it reaches the broker through, once its link has suffered a fault."""
        self.refused = False
        """Whether the broker refuses what it publishes, and so a connection with a will."""
        self.will_is_late = False
        """Whether the broker keeps its will back when it dies."""
        self.troubles: dict[str, Act] = {}
        """Faults of services that its next process suffers as well."""
        self.faults: dict[int, Suffer] = {}
        """Other faults that it does."""
        self._felt = felt
        self._replied = replied
        self._on_bus = on_bus
        self._status_asked = 0
        self._status_told = 0
        self._status_of: Pulse | None = None
        """What its pulse was when it was asked last."""

    @property
    def on_bus(self) -> bool:
        """Whether it reaches the broker."""
        return self._on_bus(self.name)

    @property
    def suffers(self) -> bool:
        """Whether its link holds up what passes, or the broker lets it not in."""
        if self.refused and (self.pulse is None or not self.pulse.connected):
            return True
        return self.link is not None and self.link.suffers

    @property
    def troubled(self) -> bool:
        """Whether something is wrong with its link, so that nobody can tell when an echo is back."""
        return self.link is not None and self.link.troubled

    @property
    def running(self) -> bool:
        """Whether it runs and is not paused."""
        return self.alive and not self.paused

    def begin(self, child: Child, sock: socket.socket) -> None:
        """See `Process`."""
        self.pulse = None
        self.status = None
        self.addresses = {}
        self.asked = self.held = 0
        self._status_asked = self._status_told = 0
        self._status_of = None
        super().begin(child, sock)

    def act(self, message: NodeAct) -> None:
        """Do something to it. Counted, because its pulse counts the same."""
        if self._channel is not None:
            self.asked += 1
            self._send(message)

    def tell(self, message: SetClock | SetTime | Places) -> None:
        """Tell it the time, or where things are: which is no act."""
        self._send(message)

    def probe(self, number: int, *, echo: bool = False, written: bool = False) -> None:
        """Ask for its counts; `answered` tells when they have come.

        Args:
            number: of the question.
            echo: it answers when it has heard what it says to itself.
            written: it answers when it has written what it has to say.
        """
        self._send(Probe(number, echo, written))

    def ask_status(self) -> None:
        """Ask for its status; `read_status` has it."""
        if self.running:
            self._status_asked += 1
            self._status_of = self.pulse
            self._send(AskStatus(self._status_asked))

    def keep_status(self) -> None:
        """Ask for its status if it may have changed since it was asked last; does not wait."""
        if self._status_told == self._status_asked and self._status_of != self.pulse:
            self.ask_status()

    def read_status(self) -> NodeStatus | None:
        """How its core is now; of a paused node, as told last; None while it is down. Blocks until it tells."""
        if not self.alive:
            return None
        if self._status_told == self._status_asked:
            self.ask_status()
        if self.running and self._channel is not None:
            self._channel.wait(lambda: self._status_told >= self._status_asked, STATUS_TIMEOUT_S)
        return self.status

    def _on_frame(self, body: bytes) -> None:
        message = _from_node.decode(body)
        match message:
            case Pulsed(number=number, pulse=pulse):
                self.pulse = pulse
                self.answered = max(self.answered, number)
            case Replied(reply=reply):
                self._replied(reply)
            case Felt(number=number):
                self._felt(number)
            case Moved(addresses=addresses, anchors=anchors):
                self.addresses = addresses
                self.on_presented(self.name, anchors)
            case StatusTold(number=number, status=status):
                self._status_told = number
                self.status = status
            case Crashed(text=text):
                self.crash = text
        self._changed()


class LocalBroker(Process):
    """The embedded broker of a lab of real processes."""

    def __init__(
        self,
        *,
        changed: Callable[[], None],
        listening: Callable[[], None],
        published: Callable[[tuple[tuple[str, bytes], ...]], None],
    ) -> None:
        """It is down."""
        super().__init__("broker", changed)
        self.counts: Mapping[str, ClientCounters] = {}
        self.port = 0
        """Where it listens; 0 before it does."""
        self.on_refused: Callable[[str], None] = lambda username: None
        """Hears of users that `refuse` has hit."""
        self.on_will_held: Callable[[str], None] = lambda client: None
        """Hears whose will is kept back."""
        self.retained = b""
        """The retained messages that it told last."""
        self._listening = listening
        self._published = published

    def begin(self, child: Child, sock: socket.socket) -> None:
        """See `Process`."""
        self.port = 0
        super().begin(child, sock)

    def cut(self, clients: tuple[str, ...]) -> None:
        """Tell it whom the network has cut off."""
        self._send(Cut(clients))

    def refuse(self, usernames: Iterable[str]) -> None:
        """Have it refuse what these users publish, and nobody else's."""
        self._send(Refuse(tuple(usernames)))

    def hold_wills(self, clients: Iterable[str]) -> None:
        """Have it keep back the wills of these clients, and of nobody else."""
        self._send(HoldWills(tuple(clients)))

    def release_will(self, client: str) -> None:
        """Have it publish the oldest will that it keeps back of a client."""
        self._send(ReleaseWill(client))

    def say(self, username: str, topic: str, payload: bytes) -> None:
        """Have it take a message as from somebody who knows a user's password."""
        self._send(Say(username, topic, payload))

    def ask_retained(self) -> None:
        """Ask for its retained messages; `retained` has them when they have come."""
        self.retained = b""
        self._send(AskRetained())

    def take_retained(self, messages: bytes) -> None:
        """Have it begin with these; it waits for them."""
        self._send(Retained(msgspec.Raw(messages)))

    def stop(self) -> None:
        """End it in order."""
        self._send(StopBroker())

    def _on_frame(self, body: bytes) -> None:
        message = _from_broker.decode(body)
        match message:
            case Listening(port=port):
                self.port = port
                self._listening()
            case Counted(number=number, clients=clients):
                self.counts = clients
                self.answered = max(self.answered, number)
            case Published(messages=messages):
                self._published(messages)
            case Refused(username=username):
                self.on_refused(username)
            case WillHeld(client=client):
                self.on_will_held(client)
            case Retained(messages=messages):
                self.retained = bytes(messages)
            case Crashed(text=text):
                self.crash = text
        self._changed()
