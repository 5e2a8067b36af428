"""Nodes that die, stop, freeze, or lose what the publisher replicates to them."""

from ucmlab.cluster.faults.ledger import Injected
from ucmlab.cluster.sim.faults.stage import Stage, Way
from ucmlab.node.events import OrderService
from ucmlab.node.services import CHANGE_NOTIFICATION


def _kill(stage: Stage, injected: Injected) -> None:
    node, at = stage.node(injected), injected.text("at")
    if at:
        arm(stage, injected, at)
    elif node.life != "down":
        stage.world.kill_node(node.name)
        stage.took_effect(injected)


def arm(stage: Stage, injected: Injected, at: str) -> None:
    """Have the process die right after its next command of a name."""
    node = stage.node(injected)
    if node.life != "down":
        node.armed = at
        node.on_fall.append(lambda: stage.took_effect(injected))


def _start(stage: Stage, injected: Injected) -> None:
    node = stage.node(injected)
    node.armed = node.commands_to_live = None
    if node.life == "down":
        stage.world.start_node(node.name)


def _stop(stage: Stage, injected: Injected) -> None:
    if stage.node(injected).life != "down":
        stage.world.stop_node(injected.target)
        stage.took_effect(injected)


def _pause(stage: Stage, injected: Injected) -> None:
    if stage.node(injected).life == "up":
        stage.world.pause_node(injected.target)
        stage.took_effect(injected)


def _resume(stage: Stage, injected: Injected) -> None:
    if stage.node(injected).life == "paused":
        stage.world.resume_node(injected.target)


def _break_replication(stage: Stage, injected: Injected) -> None:
    stage.world.set_replication(injected.target, broken=True)
    stage.took_effect(injected)


def _repair_replication(stage: Stage, injected: Injected) -> None:
    stage.world.set_replication(injected.target, broken=False)


def _cut_power(stage: Stage, injected: Injected) -> None:
    if stage.node(injected).life != "down":
        stage.world.cut_power(injected.target)
        stage.took_effect(injected)


def _tear(stage: Stage, injected: Injected) -> None:
    node = stage.node(injected)
    if node.life != "down":
        node.commands_to_live = injected.number("after")
        node.on_fall.append(lambda: stage.took_effect(injected))


def _order_change_notification(stage: Stage, injected: Injected, action: str) -> None:
    node = stage.node(injected)
    if node.life != "up":
        return
    op_id = stage.operation_id()
    cause = stage.world.act("operation", op_id, kind="service", target=node.name, service=CHANGE_NOTIFICATION)
    order = OrderService(op_id, node.name, CHANGE_NOTIFICATION, action, cause)  # type: ignore[arg-type]  # start or stop
    stage.world.deliver(node, order)


def _stop_change_notification(stage: Stage, injected: Injected) -> None:
    _order_change_notification(stage, injected, "stop")
    core = stage.node(injected).core
    if core is not None and not core.change_notification.running:
        stage.took_effect(injected)


def _start_change_notification(stage: Stage, injected: Injected) -> None:
    _order_change_notification(stage, injected, "start")


ROWS = {
    "kill": Way(_kill, _start),
    "stop": Way(_stop, _start),
    "pause": Way(_pause, _resume),
    "replication": Way(_break_replication, _repair_replication),
    "power-cut": Way(_cut_power, _start),
    "torn": Way(_tear, _start),
    "certcn-stopped": Way(_stop_change_notification, _start_change_notification),
}
