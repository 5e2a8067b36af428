"""Services that do not come up, take for ever, or go down again."""

from collections.abc import Mapping
from typing import Literal

from ucmlab.cluster.faults.ledger import Injected
from ucmlab.cluster.faults.services import TROUBLES, felt_trouble, trouble_of
from ucmlab.cluster.sim.faults.stage import Stage, Way
from ucmlab.node.events import OrderService, ServiceTroubled
from ucmlab.node.services import CHANGE_NOTIFICATION


def _begin(stage: Stage, injected: Injected) -> None:
    node, trouble = stage.node(injected), trouble_of(injected)
    node.troubles[trouble.service] = trouble
    seen = len(stage.world.journal)

    def alarms() -> list[Mapping[str, object]]:
        lines = stage.world.journal[seen:]
        return [each.record.fields for each in lines if (each.node, each.record.name) == (node.name, "alarm")]

    injected.evidence = lambda: felt_trouble(injected, alarms())
    stage.world.deliver(node, trouble)


def _cure(stage: Stage, injected: Injected) -> None:
    node, service = stage.node(injected), injected.text("service")
    node.troubles.pop(service, None)
    stage.world.deliver(node, ServiceTroubled(service, ""))


def order(stage: Stage, node_name: str, service: str, action: Literal["start", "stop", "restart"]) -> None:
    """Order a service about, from the node's own Control Center."""
    node = stage.world.nodes[node_name]
    op_id = stage.operation_id()
    cause = stage.world.act("operation", op_id, kind="service", target=node_name, service=service)
    stage.asked(op_id, "service", node_name, service, "")
    stage.world.deliver(node, OrderService(op_id, node_name, service, action, cause))


def _stop_change_notification(stage: Stage, injected: Injected) -> None:
    node = stage.node(injected)
    if node.life != "up":
        return
    order(stage, node.name, CHANGE_NOTIFICATION, "stop")
    if node.core is not None and not node.core.change_notification.running:
        stage.took_effect(injected)


def _start_change_notification(stage: Stage, injected: Injected) -> None:
    if stage.node(injected).life == "up":
        order(stage, injected.target, CHANGE_NOTIFICATION, "start")


ROWS = {
    **dict.fromkeys(TROUBLES, Way(_begin, _cure)),
    "certcn-stopped": Way(_stop_change_notification, _start_change_notification),
}
