"""Injecting and ending faults in the simulation, by name."""

from collections.abc import Mapping

from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.faults.ledger import Injected
from ucmlab.cluster.sim.faults import (
    brokers,
    clocks,
    disks,
    identities,
    links,
    network,
    nodes,
    operators,
    rogues,
    services,
)
from ucmlab.cluster.sim.faults.stage import Stage, Way
from ucmlab.cluster.sim.world import World

_MODULES = (links, network, brokers, nodes, disks, clocks, identities, services, operators, rogues)
WAYS: dict[str, Way] = {name: way for module in _MODULES for name, way in module.ROWS.items()}
"""Every row of the catalogue that the simulation performs."""


class SimFaults:
    """What breaks one world, and mends it."""

    def __init__(self, world: World) -> None:
        """Nothing is broken."""
        self.stage = Stage(world)
        self.stage.on_over = self._expire
        self.ledger = self.stage.ledger

    def inject(
        self,
        name: str,
        target: str,
        given: Mapping[str, str],
        *,
        count: int | None = None,
        until: int | None = None,
    ) -> Injected:
        """Break something; what stood of the same name at the same target ends first.

        Raises:
            Unusable: there is no such fault or target, or it takes no such parameters.
        """
        ledger, world = self.ledger, self.stage.world
        injected = ledger.declare(name, target, given, count=count, until=until)
        former = ledger.standing(name, target)
        if former is not None:
            self._end(former)
        world.act("fault", fault=name, target=target, phase="injected", count=count, parameters=injected.parameters)
        ledger.begin(injected)
        try:
            WAYS[name].begin(self.stage, injected)
        except Unusable:
            ledger.withdraw(injected)
            raise
        if until is not None:
            world.at(max(until, world.now), self._expire, injected)
        return injected

    def end(self, name: str, target: str) -> None:
        """End a fault that stands.

        Raises:
            Unusable: none does.
        """
        self._end(self.ledger.take(name, target))

    def end_all(self) -> None:
        """End whatever stands, in the order in which it came."""
        for injected in self.ledger.all_standing():
            self._end(injected)

    def mended(self, *names: str, target: str | None = None) -> None:
        """Somebody undid by hand what these faults had broken (at one target, or everywhere): they stand no more."""
        for injected in self.ledger.all_standing():
            if injected.row.name in names and target in (None, injected.target):
                self.ledger.forget(injected)

    def _expire(self, injected: Injected) -> None:
        if self.ledger.standing(injected.row.name, injected.target) is injected:
            self._end(injected)

    def _end(self, injected: Injected) -> None:
        self.ledger.forget(injected)
        self.stage.world.act("fault", fault=injected.row.name, target=injected.target, phase="ended")
        WAYS[injected.row.name].end(self.stage, injected)
