"""Wall clocks that are wrong, run wrong, or wander."""

from ucmlab.cluster.faults.clocks import STEP, gained, wandered, wanders_every
from ucmlab.cluster.faults.ledger import Injected
from ucmlab.cluster.sim.faults.stage import Stage, Way


def _set(stage: Stage, injected: Injected, offset: int) -> None:
    stage.node(injected).clock_offset = offset
    stage.took_effect(injected)


def _step(stage: Stage, injected: Injected) -> None:
    _set(stage, injected, injected.number("offset"))


def _set_right(stage: Stage, injected: Injected) -> None:
    stage.node(injected).clock_offset = 0


def _drift(stage: Stage, injected: Injected) -> None:
    if not injected.over:
        _set(stage, injected, stage.node(injected).clock_offset + gained(injected))
        stage.world.at(stage.world.now + STEP, _drift, stage, injected)


def _wander(stage: Stage, injected: Injected) -> None:
    if not injected.over:
        _set(stage, injected, wandered(injected, stage.world.now))
        stage.world.at(stage.world.now + wanders_every(injected), _wander, stage, injected)


ROWS = {
    "clock": Way(_step, _set_right),
    "drift": Way(_drift, _set_right),
    "wander": Way(_wander, _set_right),
}
