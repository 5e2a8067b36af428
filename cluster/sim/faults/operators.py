"""Operators in the simulation; `ucmlab.cluster.faults.operators` says what they ask."""

from collections.abc import Sequence
from random import Random

import msgspec

from ucmlab.broker.messages import Row
from ucmlab.cluster.faults.ledger import Injected
from ucmlab.cluster.faults.operators import OPERATORS, Asked, asked_by_operators
from ucmlab.cluster.sim.faults.stage import Stage, Way
from ucmlab.node.events import Delete


class SimSight:
    """What an operator sees of a simulated lab; see `Sight`."""

    def __init__(self, stage: Stage) -> None:
        """As it is now."""
        self._world = stage.world
        self.chance: Random = stage.chance
        self.names = list(stage.world.nodes)

    def is_up(self, node: str) -> bool:
        """See `Sight`."""
        return self._world.nodes[node].life == "up"

    def rows(self, node: str) -> Sequence[Row]:
        """See `Sight`."""
        core = self._world.nodes[node].core
        return () if core is None else tuple(core.replica.rows.values())

    def identity(self, node: str, unit: str) -> bytes | None:
        """See `Sight`."""
        return self._world.nodes[node].disk.identities.get(unit)

    def wall(self, node: str) -> int:
        """See `Sight`."""
        return self._world.wall_start + self._world.now + self._world.nodes[node].clock_offset


def _ask(stage: Stage, injected: Injected) -> None:
    for asked in _decided(stage, injected):
        _deliver(stage, asked)


def _decided(stage: Stage, injected: Injected) -> list[Asked]:
    found = asked_by_operators(injected, SimSight(stage))
    if found:
        stage.took_effect(injected)
    return found


def _deliver(stage: Stage, asked: Asked) -> None:
    op_id, operation = stage.operation_id(), asked.operation
    kind = "delete" if isinstance(operation, Delete) else "upload"
    unit = operation.unit if isinstance(operation, Delete) else operation.purpose
    which = operation.fingerprint if isinstance(operation, Delete) else next(iter(asked.brought), "")
    cause = stage.world.act("operation", op_id, kind=kind, target=asked.node, unit=unit, fingerprint=which)
    for fingerprint in asked.brought or ("",):
        stage.asked(op_id, kind, asked.node, unit, fingerprint)
    node = stage.world.nodes[asked.node]
    stage.world.deliver(node, msgspec.structs.replace(operation, op_id=op_id, cause=cause))


def _delete_while_down(stage: Stage, injected: Injected) -> None:
    decided = _decided(stage, injected)
    if decided:
        stage.world.stop_node(injected.target)
    for asked in decided:
        _deliver(stage, asked)


def _come_back(stage: Stage, injected: Injected) -> None:
    if stage.node(injected).life == "down":
        stage.world.start_node(injected.target)


ROWS = {**dict.fromkeys(OPERATORS, Way(_ask)), "delete-while-down": Way(_delete_while_down, _come_back)}
