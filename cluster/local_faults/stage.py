"""Where faults are performed on real processes: the lab, who breaks it, and what stands.

The counterpart of `ucmlab.cluster.sim.faults.stage`. Acts are coroutines here, because processes take a moment to die
or to stand; none may wait for the lab to settle when it ends a fault, for that happens while the lab settles.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import msgspec

from ucmlab.cluster.agenda import Agenda
from ucmlab.cluster.chaos_proxy import ChaosProxy
from ucmlab.cluster.control_messages import ActEvent, Recover, Suffer, act
from ucmlab.cluster.faults.effects import Felt
from ucmlab.cluster.faults.ledger import Injected, Ledger
from ucmlab.cluster.members import LocalNode
from ucmlab.cluster.roster import Roster
from ucmlab.node.events import Delete, OrderService, StopRequested, Upload
from ucmlab.node.layout import HomeLayout

if TYPE_CHECKING:
    from ucmlab.cluster.local import LocalLab

STOP_TIMEOUT_S = 10.0
"""Machine time for a process to stop in order before it is killed."""


class LocalStage:
    """One lab of real processes and its faults."""

    def __init__(self, lab: "LocalLab") -> None:
        """Nothing is broken."""
        self.lab = lab
        self.ledger = Ledger("local", list(lab.names))
        self.chance = Random(f"faults {lab.home.lab.seed}")  # noqa: S311  # what a fault hits, no secret
        self.on_over: Callable[[Injected], Awaitable[None]]
        """Ends what has had its last use."""
        self.effects: dict[tuple[str, str], tuple[Felt, tuple[ChaosProxy, ...]]] = {}
        """What faults of links do to bytes, and on which links, by fault and target."""
        self._suffered: dict[int, Injected] = {}
        """What nodes suffer inside, by the number that they know it by."""
        self._numbers = 0
        self._operations = 0

    @property
    def roster(self) -> Roster:
        """The processes."""
        return self.lab.roster

    @property
    def clock(self) -> Agenda:
        """The lab's time, and what is to be done in it."""
        return self.roster.agenda

    @property
    def publisher(self) -> LocalNode:
        """The first node."""
        return self.roster.nodes[self.lab.names[0]]

    def node(self, injected: Injected) -> LocalNode:
        """The node that a fault befalls."""
        return self.roster.nodes[injected.target]

    def took_effect(self, injected: Injected) -> None:
        """A fault was really felt: the first time is in the journal, the last of `count` ends it."""
        if not injected.uses:
            self.lab.note("fault", fault=injected.row.name, target=injected.target, phase="felt")
        injected.used()
        if injected.over:
            self.clock.at(self.clock.now, self.on_over, injected)

    def layout(self, name: str) -> HomeLayout:
        """Where a node keeps what."""
        return self.lab.layout(name)

    # -- what is felt inside nodes

    def suffer(self, injected: Injected, *, restarts: bool = True) -> None:
        """Have a fault befall the node from within; with `restarts`, its later processes too."""
        self._numbers += 1
        number, node = self._numbers, self.node(injected)
        self._suffered[number] = injected
        asked = Suffer(number, injected.row.name, injected.given, injected.left)
        if restarts:
            node.faults[number] = asked
        self.roster.act(node, asked)

    def recover(self, injected: Injected) -> None:
        """It does so no more."""
        for number in [number for number, each in self._suffered.items() if each is injected]:
            del self._suffered[number]
            self.node(injected).faults.pop(number, None)
            self.roster.act(self.node(injected), Recover(number))

    def felt(self, number: int) -> None:
        """A node felt a fault."""
        injected = self._suffered.get(number)
        if injected is None or injected.over:
            return
        self.took_effect(injected)
        node = self.node(injected)
        if number in node.faults:
            # Its next process counts on from here; a trap that was sprung is none any more.
            if injected.row.name == "failpoint":
                del node.faults[number]
            else:
                node.faults[number] = msgspec.structs.replace(node.faults[number], left=injected.left)

    # -- what is done to processes

    async def start(self, name: str) -> None:
        """Start a node if it is down."""
        if not self.roster.nodes[name].alive:
            self.roster.start_node(name)

    async def stop(self, name: str) -> None:
        """Stop a node in order."""
        await self.roster.stop(self.roster.nodes[name], act(StopRequested()), STOP_TIMEOUT_S)

    def deliver(self, name: str, event: ActEvent) -> None:
        """Give a node an event; one that is down gets nothing."""
        self.roster.act(self.roster.nodes[name], act(event))

    def ask(self, name: str, operation: Upload | Delete | OrderService) -> None:
        """Have an operator ask a node for something. Whoever does does not wait for the answer."""
        self._operations += 1
        op_id = f"fault-{self._operations}"
        kind = type(operation).__name__.lower()
        cause = self.lab.note("operation", op_id, phase="asked", kind=kind, target=name)
        self.deliver(name, msgspec.structs.replace(operation, op_id=op_id, cause=cause))


Act = Callable[[LocalStage, Injected], Awaitable[None]]


async def nothing(_stage: LocalStage, _injected: Injected) -> None:
    """Do nothing: what happened once has no end."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a row is performed, and how it is undone."""

    begin: Act
    end: Act = nothing
