"""Services that do not come up, take for ever, or go down again."""

from typing import Literal

from ucmlab.cluster.faults.ledger import Injected
from ucmlab.cluster.sim.faults.stage import Stage, Way
from ucmlab.node.commands import Record
from ucmlab.node.events import OrderService, ServiceTroubled
from ucmlab.node.services import CHANGE_NOTIFICATION

Trouble = Literal["", "fails", "hangs", "slow", "crashes"]
ALARMS = ("service_trouble", "service_crashed")
"""By which the node tells that it felt one."""


def _trouble(kind: Trouble) -> Way:
    def begin(stage: Stage, injected: Injected) -> None:
        node, service = stage.node(injected), injected.text("service")
        delay = injected.number("takes") if "takes" in injected.values else 0
        trouble = ServiceTroubled(service, kind, injected.left or 0, delay)
        node.troubles[service] = trouble
        seen = len(stage.world.journal)
        injected.evidence = lambda: any(
            line.node == node.name and _tells_of(line.record, service) for line in stage.world.journal[seen:]
        )
        stage.world.deliver(node, trouble)

    return Way(begin, _cure)


def _tells_of(record: Record, service: str) -> bool:
    return record.name == "alarm" and record.fields["alarm"] in ALARMS and record.fields["service"] == service


def _cure(stage: Stage, injected: Injected) -> None:
    node, service = stage.node(injected), injected.text("service")
    node.troubles.pop(service, None)
    stage.world.deliver(node, ServiceTroubled(service, ""))


def order(stage: Stage, node_name: str, service: str, action: Literal["start", "stop", "restart"]) -> None:
    """Order a service about, from the node's own Control Center."""
    node = stage.world.nodes[node_name]
    op_id = stage.operation_id()
    cause = stage.world.act("operation", op_id, kind="service", target=node_name, service=service)
    stage.asked(op_id, "service", node_name, "")
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
    "service-start-fails": _trouble("fails"),
    "service-hangs": _trouble("hangs"),
    "service-slow": _trouble("slow"),
    "service-crashes": _trouble("crashes"),
    "certcn-stopped": Way(_stop_change_notification, _start_change_notification),
}
