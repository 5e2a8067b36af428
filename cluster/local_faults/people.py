"""Operators and services: what is asked of nodes that should not be, and services that do not come up."""

from collections.abc import Sequence
from random import Random

from ucmlab.broker.messages import Row
from ucmlab.cluster.control_messages import act
from ucmlab.cluster.faults.ledger import Injected
from ucmlab.cluster.faults.operators import OPERATORS, Asked, asked_by_operators
from ucmlab.cluster.faults.services import TROUBLES, felt_trouble, trouble_of
from ucmlab.cluster.local_faults.stage import LocalStage, Way
from ucmlab.node.events import OrderService, ServiceTroubled
from ucmlab.node.services import CHANGE_NOTIFICATION


class LocalSight:
    """What an operator sees of real processes; see `Sight`."""

    def __init__(self, stage: LocalStage) -> None:
        """As it is now."""
        self._stage = stage
        self.chance: Random = stage.chance
        self.names = list(stage.lab.names)

    def is_up(self, node: str) -> bool:
        """See `Sight`."""
        return self._stage.roster.nodes[node].running

    def rows(self, node: str) -> Sequence[Row]:
        """See `Sight`."""
        return self._stage.lab.view(node).rows if self._stage.roster.nodes[node].alive else ()

    def identity(self, node: str, unit: str) -> bytes | None:
        """See `Sight`."""
        return self._stage.lab.view(node).identities.get(unit)

    def wall(self, node: str) -> int:
        """See `Sight`."""
        return self._stage.lab.wall() + self._stage.roster.nodes[node].clock_offset


def _decided(stage: LocalStage, injected: Injected) -> list[Asked]:
    found = asked_by_operators(injected, LocalSight(stage))
    if found:
        stage.took_effect(injected)
    return found


async def _ask(stage: LocalStage, injected: Injected) -> None:
    for asked in _decided(stage, injected):
        stage.ask(asked.node, asked.operation)


async def _delete_while_down(stage: LocalStage, injected: Injected) -> None:
    decided = _decided(stage, injected)
    if decided:
        await stage.stop(injected.target)
    for asked in decided:
        stage.ask(asked.node, asked.operation)


async def _come_back(stage: LocalStage, injected: Injected) -> None:
    await stage.start(injected.target)


async def _trouble(stage: LocalStage, injected: Injected) -> None:
    node, trouble = stage.node(injected), trouble_of(injected)
    node.troubles[trouble.service] = act(trouble)
    seen = len(stage.lab.events("alarm", node.name))
    injected.evidence = lambda: felt_trouble(injected, stage.lab.events("alarm", node.name)[seen:])
    stage.deliver(node.name, trouble)


async def _cure(stage: LocalStage, injected: Injected) -> None:
    node, service = stage.node(injected), injected.text("service")
    node.troubles.pop(service, None)
    stage.deliver(node.name, ServiceTroubled(service, ""))


async def _stop_change_notification(stage: LocalStage, injected: Injected) -> None:
    node = stage.node(injected)
    if not node.running:
        return
    stage.ask(node.name, OrderService("", node.name, CHANGE_NOTIFICATION, "stop"))
    await stage.lab.settle()
    status = node.read_status()
    if status is not None and not status.change_notification:
        stage.took_effect(injected)


async def _start_change_notification(stage: LocalStage, injected: Injected) -> None:
    stage.ask(injected.target, OrderService("", injected.target, CHANGE_NOTIFICATION, "start"))


ROWS = {
    **dict.fromkeys(OPERATORS, Way(_ask)),
    "delete-while-down": Way(_delete_while_down, _come_back),
    **dict.fromkeys(TROUBLES, Way(_trouble, _cure)),
    "certcn-stopped": Way(_stop_change_notification, _start_change_notification),
}
