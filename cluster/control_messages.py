"""What is said on the control channel inside a lab: to and from nodes, the broker, and the fork server.

An *act* is what changes a node: the node counts the acts that it has taken in, and its `Pulse` tells the count, so the
lab knows whether what it sees is before or after its last word. Everything else is a question, or time.
"""

import msgspec

from ucmlab.broker.access import Account
from ucmlab.broker.bus import BusEndpoint
from ucmlab.broker.server import ClientCounters
from ucmlab.cluster.admin.accounts import AdminAccount
from ucmlab.cluster.ports import Ports
from ucmlab.node.clock import ClockSetting
from ucmlab.node.commands import Reply
from ucmlab.node.config import NodeConfig
from ucmlab.node.events import (
    OPERATIONS,
    AnyOperation,
    ReplicationSet,
    ServiceTroubled,
    StopRequested,
)
from ucmlab.node.shell import Pulse
from ucmlab.node.status import NodeStatus

ActEvent = AnyOperation | ReplicationSet | ServiceTroubled | StopRequested


class _Message(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Base: the tag is the class name."""


# To a node.


class SetClock(_Message, frozen=True):
    """Run time like this from now on. Not an act."""

    setting: ClockSetting


class SetTime(_Message, frozen=True):
    """Stepped: it is `lab` now. Not an act."""

    lab: int


class Places(_Message, frozen=True):
    """Where servers outside the cluster are from now on, by name. Not an act."""

    places: dict[str, tuple[str, int]]


class Fire(_Message, frozen=True):
    """Act. Stepped: let the timers fire that are due."""


class Act(_Message, frozen=True):
    """Act: an event for the core, as tagged msgpack of `ActEvent` (events carry no tag of their own)."""

    kind: str
    event: msgspec.Raw


class Stall(_Message, frozen=True):
    """Act: the node's link to the broker stalls, or goes on."""

    stalled: bool


class Prod(_Message, frozen=True):
    """Act: the broker is there again; do not wait to try."""


class Suffer(_Message, frozen=True):
    """Act: a fault of the catalogue that is felt inside the node befalls it, until `Recover` of the same number."""

    number: int
    fault: str
    given: dict[str, str]
    left: int | None = None
    """Uses after which it ends by itself."""


class Recover(_Message, frozen=True):
    """Act: a fault is over."""

    number: int


class Detour(_Message, frozen=True):
    """Act: reach the broker through here from now on."""

    host: str
    port: int


class Probe(_Message, frozen=True):
    """Answer with `Pulsed` or `Counted` at once, whatever is going on; with `echo` a node hears itself first."""

    number: int
    echo: bool = False
    written: bool = False
    """Whether the node first has everything written that it has to say."""


class AskStatus(_Message, frozen=True):
    """Answer with `StatusTold`."""

    number: int


ToNode = SetClock | SetTime | Places | Fire | Act | Stall | Prod | Suffer | Recover | Detour | Probe | AskStatus


# From a node.


class Pulsed(_Message, frozen=True):
    """The node's counts: the answer to `Probe` number `number`, or (0) unasked because it is idle and they changed."""

    number: int
    pulse: Pulse


class Replied(_Message, frozen=True):
    """The core's answer to an operation."""

    reply: Reply


class StatusTold(_Message, frozen=True):
    """The answer to `AskStatus`."""

    number: int
    status: NodeStatus
    addresses: dict[str, str] = {}
    """Where its listeners are, by name: of a node that runs on its own; the others have said so by `Moved`."""


class Crashed(_Message, frozen=True):
    """A bug of ours ended the process; the traceback."""

    text: str


class Moved(_Message, frozen=True):
    """What of the node is open for TLS connections now, and where: name of the listener to `HOST:PORT`."""

    addresses: dict[str, str]
    anchors: dict[str, tuple[bytes, ...]]
    """Of those that speak HTTP: where the chains that they present end (`ucmlab.cluster.bundle`)."""


class Felt(_Message, frozen=True):
    """The node felt a fault; said before it dies of it."""

    number: int


FromNode = Pulsed | Replied | StatusTold | Moved | Felt | Crashed


# To and from the broker's process.


class Cut(_Message, frozen=True):
    """The network has cut these clients off: that their connections end is noticed when it has healed."""

    clients: tuple[str, ...]


class Refuse(_Message, frozen=True):
    """Refuse what these users publish, and nobody else's."""

    usernames: tuple[str, ...]


class Refused(_Message, frozen=True):
    """From the broker: it refused something that this user may else publish. Said once for each `Refuse`."""

    username: str


class HoldWills(_Message, frozen=True):
    """Keep the wills of these clients back when they die; those kept of others are published now."""

    clients: tuple[str, ...]


class WillHeld(_Message, frozen=True):
    """From the broker: this client's will is kept back."""

    client: str


class ReleaseWill(_Message, frozen=True):
    """Publish the oldest will that is kept back of this client."""

    client: str


class Say(_Message, frozen=True):
    """Publish as somebody who knows a user's password and has a client id of his own."""

    username: str
    topic: str
    payload: bytes


class AskRetained(_Message, frozen=True):
    """Answer with `Retained`."""


class Retained(_Message, frozen=True):
    """Its retained messages, as msgpack of `Message`s; to a broker that waits for them: begin with these."""

    messages: msgspec.Raw


class StopBroker(_Message, frozen=True):
    """Say goodbye to everybody and end."""


class Listening(_Message, frozen=True):
    """Clients can connect."""

    port: int


class Counted(_Message, frozen=True):
    """The broker's counts by client id: the answer to `Probe`, or (0) unasked, because a client came or went."""

    number: int
    clients: dict[str, ClientCounters]


class Published(_Message, frozen=True):
    """What was published on the bus since the last such message, in order."""

    messages: tuple[tuple[str, bytes], ...]


ToBroker = Probe | Cut | Refuse | HoldWills | ReleaseWill | Say | AskRetained | Retained | StopBroker
FromBroker = Listening | Counted | Published | Refused | WillHeld | Retained | Crashed


# To and from the fork server.


class NodeSpec(_Message, frozen=True):
    """Everything that a node's process is told at its start."""

    lab: str
    config: NodeConfig
    home: str
    logs: str
    endpoint: BusEndpoint
    host: str
    """The address at which its services listen."""
    ports: Ports
    """And at which ports of it."""
    admins: tuple[AdminAccount, ...]
    """Who may log in at its admin interfaces."""
    clock: ClockSetting
    stalled: bool
    replication_broken: bool
    troubles: tuple[Act, ...] = ()
    """Faults of services, before anything else."""
    suffers: tuple[Suffer, ...] = ()
    detour: Detour | None = None
    outside: dict[str, tuple[str, int]] = {}
    """Where the lab's own servers outside the cluster are, by the names that only nodes know."""


class ForkServerSpec(msgspec.Struct, frozen=True):
    """What the fork server is told at its start."""

    parent: int
    """Process id of the lab's owner, with which it dies."""
    socket: int
    """The descriptor of its end of the channel."""
    lab: str
    release: str
    profile: str


class BrokerSpec(_Message, frozen=True):
    """Everything that the broker's process is told at its start; passwords travel as salted digests."""

    lab: str
    host: str
    port: int
    accounts: tuple[Account, ...]
    tls: str | None
    """PEM file with key and certificate; None listens in plain, on loopback only."""
    awaits_retained: bool = False
    """Whether `Retained` comes before it may listen."""


class MosquittoSpec(_Message, frozen=True):
    """How a Mosquitto is started: its accounts, keys and rules are in files that the configuration names."""

    lab: str
    program: str
    configuration: str
    log: str


SPAWN = b"spawn"
"""What the fork server is sent, with two file descriptors: the child's end of its control channel, and a `Spawn`."""


class Spawn(_Message, frozen=True):
    """Fork a process."""

    number: int
    spec: NodeSpec | BrokerSpec | MosquittoSpec


class Spawned(_Message, frozen=True):
    """It runs."""

    number: int
    pid: int


class Exited(_Message, frozen=True):
    """It ended: `status` is its exit status, or minus the signal."""

    number: int
    pid: int
    status: int


FromForkServer = Spawned | Exited

_EVENTS = (*OPERATIONS, ReplicationSet, ServiceTroubled, StopRequested)
_ACTS: dict[str, type[ActEvent]] = {kind.__name__: kind for kind in _EVENTS}


def act(event: ActEvent) -> Act:
    """The message that carries `event` to a node."""
    return Act(type(event).__name__, msgspec.Raw(msgspec.msgpack.encode(event)))


def act_event(message: Act) -> ActEvent:
    """The event that the message carries."""
    return msgspec.msgpack.decode(message.event, type=_ACTS[message.kind])
