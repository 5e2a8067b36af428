"""Where faults are performed in the simulation: the world, who breaks it, and what stands.

Stories (`SimLab`) and the search (`SeedRun`) break the same world through the same stage, so a fault is the same in
both. Each module beside this one performs some rows of the catalogue; `performing.py` puts them together.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from ucmlab.cluster.faults.ledger import Injected, Ledger
from ucmlab.cluster.sim.world import SimNode, World


class Stage:
    """One world and its faults."""

    def __init__(self, world: World) -> None:
        """Nothing is broken."""
        self.world = world
        self.ledger = Ledger("sim", list(world.nodes))
        self.chance: Random = world.faults
        """What draws what a fault hits; a stream of its own (design 3)."""
        self._operations = 0

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
