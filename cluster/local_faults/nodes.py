"""Nodes that die, stop, freeze, stutter, or lose what the publisher replicates to them."""

from ucmlab.cluster.control_messages import act
from ucmlab.cluster.faults.ledger import Injected
from ucmlab.cluster.local_faults.stage import LocalStage, Way
from ucmlab.node.events import ReplicationSet


async def _kill(stage: LocalStage, injected: Injected) -> None:
    node = stage.node(injected)
    if not node.alive:
        return
    if injected.text("at"):
        stage.suffer(injected, restarts=False)
    else:
        await stage.roster.kill(node)
        stage.took_effect(injected)


async def _tear(stage: LocalStage, injected: Injected) -> None:
    if stage.node(injected).alive:
        stage.suffer(injected, restarts=False)


async def _trap(stage: LocalStage, injected: Injected) -> None:
    stage.suffer(injected)


async def revive(stage: LocalStage, injected: Injected) -> None:
    """Start the node if it is down; no death waits for it any more."""
    stage.recover(injected)
    await stage.start(injected.target)


async def _stop(stage: LocalStage, injected: Injected) -> None:
    if stage.node(injected).running:
        await stage.stop(injected.target)
        stage.took_effect(injected)


async def _pause(stage: LocalStage, injected: Injected) -> None:
    if stage.node(injected).running:
        await stage.roster.pause(stage.node(injected))
        stage.took_effect(injected)


async def _resume(stage: LocalStage, injected: Injected) -> None:
    if stage.node(injected).paused:
        stage.roster.resume(stage.node(injected))


async def _stutter(stage: LocalStage, injected: Injected) -> None:
    """Stand still for a part of every period."""
    if injected.over:
        return
    await _pause(stage, injected)
    now = stage.clock.now
    stage.clock.at(now + injected.number("stands"), _resume, stage, injected)
    period = max(injected.number("every"), injected.number("stands") + 1)
    stage.clock.at(now + period, _stutter, stage, injected)


def _replication(stage: LocalStage, injected: Injected, *, broken: bool) -> None:
    node = stage.node(injected)
    node.replication_broken = broken
    stage.roster.act(node, act(ReplicationSet(broken)))


async def _break_replication(stage: LocalStage, injected: Injected) -> None:
    _replication(stage, injected, broken=True)
    stage.took_effect(injected)


async def _repair_replication(stage: LocalStage, injected: Injected) -> None:
    _replication(stage, injected, broken=False)


ROWS = {
    "kill": Way(_kill, revive),
    "stop": Way(_stop, revive),
    "pause": Way(_pause, _resume),
    "slow": Way(_stutter, _resume),
    "replication": Way(_break_replication, _repair_replication),
    "torn": Way(_tear, revive),
    "failpoint": Way(_trap, revive),
}
