"""Where faults are performed in the simulation: the world, who breaks it, and what stands.

Stories (`SimLab`) and the search (`SeedRun`) break the same world through the same stage, so a fault is the same in
both. Each module beside this one performs some rows of the catalogue; `performing.py` puts them together.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from ucmlab.broker.packets import Packet
from ucmlab.cluster.faults.hazards import Hazard, hazard_of
from ucmlab.cluster.faults.lanes import Effect
from ucmlab.cluster.faults.ledger import Injected, Ledger
from ucmlab.cluster.sim.bus import Link
from ucmlab.cluster.sim.world import SimNode, World

Take = Callable[[Link, Packet], None]
Treatment = Callable[[Take], Take]


class Stage:
    """One world and its faults."""

    def __init__(self, world: World) -> None:
        """Nothing is broken."""
        self.world = world
        self.ledger = Ledger("sim", list(world.nodes))
        self.chance: Random = world.faults
        """What draws what a fault hits; a stream of its own (design 3)."""
        self.effects: dict[tuple[str, str], Effect] = {}
        """What faults of links do to packets, by fault and node."""
        self.hazards: dict[int, Hazard] = {}
        """What lies in wait among a node's commands, by the identity of what was injected."""
        self.desk: list[Treatment] = []
        """What the broker does before it takes a packet, the first outermost."""
        self.clones: dict[str, SimNode] = {}
        """Second processes, by the name that they have."""
        self.asked: Callable[[str, str, str, str, str], None] = lambda op_id, kind, node, unit, brought: None
        """Hears of operations that faults consist of: id, kind, node, unit or service, and the fingerprint of a
        certificate that is brought."""
        self.on_over: Callable[[Injected], None] = lambda injected: None
        """Ends what has had its last use."""
        self._operations = 0

    @property
    def clock(self) -> World:
        """The world's time."""
        return self.world

    @property
    def publisher(self) -> SimNode:
        """The first node."""
        return next(iter(self.world.nodes.values()))

    def node(self, injected: Injected) -> SimNode:
        """The node that a fault befalls."""
        return self.world.nodes[injected.target]

    def took_effect(self, injected: Injected) -> None:
        """A fault was really felt: the first time is in the journal, the last of `count` ends it."""
        if not injected.uses:
            self.world.act("fault", fault=injected.row.name, target=injected.target, phase="felt")
        injected.used()
        if injected.over:
            self.world.at(self.world.now, self.on_over, injected)

    def endanger(self, injected: Injected) -> None:
        """Have a hazard lie in wait for the node."""
        hazard = hazard_of(injected, lambda: self.took_effect(injected))
        self.hazards[id(injected)] = hazard
        self.node(injected).hazards.append(hazard)

    def relieve(self, injected: Injected) -> None:
        """It waits no more."""
        hazard = self.hazards.pop(id(injected))
        self.node(injected).hazards = [each for each in self.node(injected).hazards if each is not hazard]

    def treat_packets(self) -> None:
        """Have the broker take packets as the desk says now."""
        takes: Take = self.world.broker.take
        for treatment in reversed(self.desk):
            takes = treatment(takes)
        self.world.broker.treat(takes if self.desk else None)

    def operation_id(self) -> str:
        """The id of an operation that a fault consists of."""
        self._operations += 1
        return f"fault-{self._operations}"


Act = Callable[[Stage, Injected], None]


def nothing(_stage: Stage, _injected: Injected) -> None:
    """Do nothing: what happened once has no end."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a row is performed, and how it is undone."""

    begin: Act
    end: Act = nothing
