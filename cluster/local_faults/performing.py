"""Injecting and ending faults on real processes, by name."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.faults.ledger import Injected
from ucmlab.cluster.local_faults import brokers, clocks, clones, disks, links, network, nodes, people, rogues
from ucmlab.cluster.local_faults.stage import LocalStage, Way

if TYPE_CHECKING:
    from ucmlab.cluster.local import LocalLab

_MODULES = (links, network, brokers, clones, rogues, nodes, disks, clocks, people)
WAYS: dict[str, Way] = {name: way for module in _MODULES for name, way in module.ROWS.items()}
"""Every row of the catalogue that real processes suffer."""


class LocalFaults:
    """What breaks one lab of real processes, and mends it."""

    def __init__(self, lab: "LocalLab") -> None:
        """Nothing is broken."""
        self.stage = LocalStage(lab)
        self.stage.on_over = self._expire
        self.ledger = self.stage.ledger

    async def inject(
        self, name: str, target: str, given: Mapping[str, str], *, count: int | None, until: int | None
    ) -> None:
        """Break something; what stood of the same name at the same target ends first.

        Raises:
            Unusable: there is no such fault or target, or it takes no such parameters.
        """
        ledger, stage = self.ledger, self.stage
        injected = ledger.declare(name, target, given, count=count, until=until)
        former = ledger.standing(name, target)
        if former is not None:
            await self._end(former)
        stage.lab.note(
            "fault", fault=name, target=target, phase="injected", count=count, parameters=injected.parameters
        )
        ledger.begin(injected)
        try:
            await WAYS[name].begin(stage, injected)
        except Unusable:
            ledger.withdraw(injected)
            raise
        if until is not None:
            stage.clock.at(max(until, stage.clock.now), self._expire, injected)

    async def end(self, name: str, target: str) -> None:
        """End a fault that stands.

        Raises:
            Unusable: none does.
        """
        await self._end(self.ledger.take(name, target))

    def mended(self, *names: str, target: str | None = None) -> None:
        """Somebody undid by hand what these faults had broken (at one target, or everywhere): they stand no more."""
        for injected in self.ledger.all_standing():
            if injected.row.name in names and target in (None, injected.target):
                self.ledger.forget(injected)

    def unfired(self) -> list[str]:
        """What was declared and never took effect."""
        return self.ledger.unfired()

    async def _expire(self, injected: Injected) -> None:
        if self.ledger.standing(injected.row.name, injected.target) is injected:
            await self._end(injected)

    async def _end(self, injected: Injected) -> None:
        self.ledger.forget(injected)
        self.stage.lab.note("fault", fault=injected.row.name, target=injected.target, phase="ended")
        await WAYS[injected.row.name].end(self.stage, injected)
