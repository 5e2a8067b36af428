"""The lab as a story sees it: one port, two labs behind it (real processes; virtual time).

Whatever acts or passes time is a coroutine and returns when the lab is *settled*: nothing is in flight, only timers
and stalled links remain. Whatever reads is a plain call and looks at the state now. Both labs keep that promise, which
is why one story ends the same in both. All instants and durations are lab microseconds unless a name says `wall`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from ucmlab.broker.messages import Row, Setting
from ucmlab.cluster.outside.received import Logged, Mail
from ucmlab.node.commands import OpenTls, Reply
from ucmlab.node.events import AnyOperation, FileImage, TlsOpened
from ucmlab.node.status import LinkStatus

if TYPE_CHECKING:
    from ucmlab.cluster.ca.responder import Responder

Operation = AnyOperation
NodeLife = Literal["starting", "up", "paused", "isolated", "down"]


class ServiceView(msgspec.Struct, frozen=True):
    """One service of a node. `since` is a lab instant; `loaded` maps identity units to fingerprints."""

    state: str
    kind: Literal["feature", "network", "platform"]
    enabled: bool
    since: int
    loaded: dict[str, str]
    pending: tuple[str, ...]


class Standing(msgspec.Struct, frozen=True):
    """What says whether a node agrees with the others (`ucmlab.cluster.state.convergence_of`)."""

    name: str
    role: str
    release: str
    state: NodeLife
    epoch: int
    seq: int
    digest: str
    """SHA-256 over the replica's sorted `unit TAB fingerprint LF` lines (design 7.2)."""
    settings_digest: str
    """Of what is set in the replica, where anything is."""
    services: dict[str, ServiceView]
    open_operations: int
    replication_broken: bool
    files_agree: bool
    """Whether files equal rows for the units on Change Notification's list."""
    change_notification: bool
    """Whether Change Notification is started."""


class Outline(Standing, frozen=True):
    """What can be told of one node without its certificates; where it stands is what its disk says."""

    fqdn: str
    pid: int | None
    home: str
    addresses: dict[str, str]
    clock_offset: int


class NodeView(Outline, frozen=True):
    """Everything that can be read of one node now; of a node that is down, what its disk holds."""

    rows: tuple[Row, ...]
    files: tuple[FileImage, ...]
    paths: dict[tuple[str, str], str]
    """(unit, name) to the absolute path of the file."""
    identities: dict[str, bytes]
    """Unit to DER."""
    csrs: dict[str, bytes]
    """Identity unit to the DER of the request that waits for its certificate."""
    authz: dict[str, str] | None
    """`signing` and `encryption`: SHA-256 of the keys; None when the node has none."""
    settings: tuple[Setting, ...] = ()
    """What is set in the replica, by place and name."""
    links: tuple[LinkStatus, ...] = ()
    """Long-lived links to servers outside that stand, the oldest first."""


class LabFacts(msgspec.Struct, frozen=True):
    """What is true of the whole lab."""

    name: str
    mode: Literal["sim", "local"]
    release: str
    profile: str
    replication: str
    wall: int
    broker: dict[str, str | int | None]
    faults: tuple[dict[str, str], ...]
    head: tuple[int, int] | None
    """The publisher's (epoch, seq) while it takes part, else None."""


class ServedResponder(Protocol):
    """An OCSP responder that a lab serves to its nodes."""

    @property
    def url(self) -> str:
        """Where it is asked."""
        ...

    @property
    def crl_url(self) -> str:
        """Where the CRL of its authority is fetched."""
        ...

    async def start(self) -> None:
        """Be up, and answer at once."""
        ...

    async def stop(self) -> None:
        """Let nobody in any more."""
        ...

    async def slow(self, delay: int | None) -> None:
        """Take so many lab microseconds for an answer; None: give none."""
        ...


class ServedPeer(Protocol):
    """A TLS server outside the cluster that a lab serves to its nodes."""

    @property
    def address(self) -> str:
        """Where it listens, `HOST:PORT`."""
        ...

    async def start(self) -> None:
        """Be up again, at the same address."""
        ...

    async def stop(self) -> None:
        """Let nobody in any more, and break off whoever is there."""
        ...


class LabPort(Protocol):
    """What both labs offer."""

    @property
    def mode(self) -> Literal["sim", "local"]:
        """Which of the two it is."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """The nodes, the publisher first."""
        ...

    def now(self) -> int:
        """Lab microseconds."""
        ...

    def wall(self) -> int:
        """The lab's wall clock, unskewed."""
        ...

    def view(self, node: str) -> NodeView:
        """Look at a node."""
        ...

    def standing(self, node: str) -> Standing:
        """How it stands, as its core tells; of a node without a core, that it has none."""
        ...

    def facts(self) -> LabFacts:
        """Look at the lab."""
        ...

    def events(self, name: str | None = None, node: str | None = None) -> list[dict[str, object]]:
        """The journal so far, one flat dict an event (`id at node event cause operation_id …`)."""
        ...

    def messages(self, topic_filter: str) -> list[tuple[str, bytes]]:
        """What was published on the bus so far on matching topics."""
        ...

    def mail(self) -> list[Mail]:
        """What the lab's mail server has taken, the oldest first."""
        ...

    def syslog(self) -> list[Logged]:
        """What the lab's syslog collector has been told, the oldest first."""
        ...

    async def stop_place(self, place: str) -> None:
        """Stop a server outside, `mail` or `syslog`: whoever connects is refused."""
        ...

    async def start_place(self, place: str) -> None:
        """Start it again, as it should be."""
        ...

    async def slow_place(self, place: str, delay: int | None) -> None:
        """Have it take so long (lab microseconds) for each answer; None: it never answers."""
        ...

    async def start_node(self, node: str) -> None:
        """Start a node that is down."""
        ...

    async def stop_node(self, node: str) -> None:
        """Stop a node in order."""
        ...

    async def reboot_node(self, node: str) -> None:
        """Stop a node in order and start it again, with the release that its disk names by then."""
        ...

    async def kill_node(self, node: str, at: str | None = None) -> None:
        """Kill a node now, or (`at`) arm its death right after it has performed its next command of that name."""
        ...

    async def pause_node(self, node: str) -> None:
        """Freeze a node."""
        ...

    async def resume_node(self, node: str) -> None:
        """Let a frozen node go on."""
        ...

    async def kill_broker(self) -> None:
        """Kill the broker: every connection is reset, what it held in memory is gone."""
        ...

    async def start_broker(self) -> None:
        """Start the broker again, empty."""
        ...

    async def partition(self, groups: Sequence[Sequence[str]], broker: int | None = None) -> None:
        """Cut the network into groups; the broker stands with group number `broker`, else with the publisher."""
        ...

    async def isolate(self, node: str) -> None:
        """Take one node away from everything else, the broker included."""
        ...

    async def heal(self, node: str | None = None) -> None:
        """Make the network whole again, or rejoin one node."""
        ...

    async def set_replication(self, node: str, *, broken: bool) -> None:
        """Break or repair what the publisher replicates to a node."""
        ...

    async def inject(
        self,
        fault: str,
        target: str,
        parameters: Mapping[str, str],
        *,
        count: int | None = None,
        until: int | None = None,
    ) -> None:
        """Inject a fault of the catalogue (`ucmlab.cluster.faults`); what stood of the same name there ends first.

        Args:
            fault: a row's name.
            target: what it befalls: a node, `broker`, or groups of nodes like `pub,sub1 / sub2`.
            parameters: as text; what is missing has the row's default.
            count: it ends after so many uses; only rows that are used take it.
            until: the lab instant at which it ends; only rows that last take it.

        Raises:
            Unusable: there is no such fault in this mode, or it cannot be injected as asked.
        """
        ...

    async def end_fault(self, fault: str, target: str) -> None:
        """End a fault that was injected.

        Raises:
            Unusable: it does not stand.
        """
        ...

    def unfired(self) -> list[str]:
        """The faults that were injected and never took effect, one phrase each."""
        ...

    async def serve_responder(self, name: str, responder: "Responder") -> ServedResponder:
        """Open an OCSP responder outside the cluster, under a name of its own.

        Raises:
            Unusable: there is no place for it.
        """
        ...

    async def serve_peer(
        self, name: str, *, chain: Sequence[bytes], key: bytes, trusted: Sequence[bytes]
    ) -> ServedPeer:
        """Open a TLS server outside the cluster, under a name of its own.

        Args:
            name: its fully qualified one.
            chain: what it presents (DER), its own certificate first.
            key: that certificate's, PEM.
            trusted: DER of what it trusts in clients, which must present a certificate then; empty, it asks for none.

        Raises:
            Unusable: there is no place for it, or it cannot present that.
        """
        ...

    async def operate(self, node: str, operation: Operation) -> Reply:
        """Do an operation on a node.

        Down: refused `node_down` at once. Paused: indefinite after 60 s of lab time. Died meanwhile: indefinite.
        """
        ...

    async def probe(self, node: str, command: OpenTls) -> TlsOpened:
        """Connect to a node's listener from outside, without a certificate; the lab fills in the address."""
        ...

    async def wait(self, duration: int) -> None:
        """Let lab time pass."""
        ...

    async def wait_until(self, predicate: Callable[[], bool], within: int) -> bool:
        """Let lab time pass until the predicate holds; False when it never did."""
        ...

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call `watcher` after every event (sim) or settled round (local); returns what ends it."""
        ...

    async def close(self) -> None:
        """End the lab; nothing is left behind."""
        ...
