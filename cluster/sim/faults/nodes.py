"""Nodes that die, stop, freeze, stutter, meet themselves, or lose what the publisher replicates to them."""

from ucmlab.cluster.faults.ledger import Injected
from ucmlab.cluster.sim.disk import SimDisk
from ucmlab.cluster.sim.faults.stage import Stage, Way
from ucmlab.cluster.sim.world import SimNode


def _kill(stage: Stage, injected: Injected) -> None:
    node, at = stage.node(injected), injected.text("at")
    if node.life == "down":
        return
    if at:
        node.armed = at
        node.on_fall.append(lambda: stage.took_effect(injected))
    else:
        stage.world.kill_node(node.name)
        stage.took_effect(injected)


def start(stage: Stage, injected: Injected) -> None:
    """Start the node if it is down; no death waits for it any more."""
    node = stage.node(injected)
    node.armed = node.commands_to_live = None
    node.on_fall.clear()
    if node.life == "down":
        stage.world.start_node(node.name)


def _stop(stage: Stage, injected: Injected) -> None:
    if stage.node(injected).life == "up":
        stage.world.stop_node(injected.target)
        stage.took_effect(injected)


def _pause(stage: Stage, injected: Injected) -> None:
    if stage.node(injected).life == "up":
        stage.world.pause_node(injected.target)
        stage.took_effect(injected)


def _resume(stage: Stage, injected: Injected) -> None:
    if stage.node(injected).life == "paused":
        stage.world.resume_node(injected.target)


def _stutter(stage: Stage, injected: Injected) -> None:
    """Stand still for a part of every period."""
    if injected.over:
        return
    _pause(stage, injected)
    stage.world.at(stage.world.now + injected.number("stands"), _resume, stage, injected)
    period = max(injected.number("every"), injected.number("stands") + 1)
    stage.world.at(stage.world.now + period, _stutter, stage, injected)


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


def _clear_trap(stage: Stage, injected: Injected) -> None:
    stage.relieve(injected)
    start(stage, injected)


def _clone(stage: Stage, injected: Injected) -> None:
    node = stage.node(injected)
    if node.life != "up" or node.bus is None or node.bus.link is None:
        return
    clone = SimNode(stage.world, node.config, SimDisk(node.disk.image()))
    stage.clones[node.name] = clone
    stage.world.start(clone)
    seen = len(stage.world.journal)
    injected.evidence = lambda: any(
        line.node == node.name and line.record.fields.get("alarm") == "duplicate_node"
        for line in stage.world.journal[seen:]
    )


def _end_clone(stage: Stage, injected: Injected) -> None:
    """The clone goes, and the node begins a new life: the one that it had ended when its place was taken."""
    node, clone = stage.node(injected), stage.clones.pop(injected.target, None)
    if clone is None:
        return
    stage.world.end(clone)
    if node.life != "down":
        stage.world.kill_node(node.name)
    node.disk.boot = max(node.disk.boot, clone.disk.boot)
    stage.world.start_node(node.name)


ROWS = {
    "kill": Way(_kill, start),
    "stop": Way(_stop, start),
    "pause": Way(_pause, _resume),
    "slow": Way(_stutter, _resume),
    "replication": Way(_break_replication, _repair_replication),
    "power-cut": Way(_cut_power, start),
    "torn": Way(_tear, start),
    "failpoint": Way(Stage.endanger, _clear_trap),
    "clone": Way(_clone, _end_clone),
    "second-publisher": Way(_clone, _end_clone),
}
