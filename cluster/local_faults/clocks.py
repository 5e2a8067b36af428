"""Wall clocks that are wrong, run wrong, or wander."""

from ucmlab.cluster.faults.clocks import STEP, gained, wandered, wanders_every
from ucmlab.cluster.faults.ledger import Injected
from ucmlab.cluster.local_faults.stage import LocalStage, Way


def _set(stage: LocalStage, injected: Injected, offset: int) -> None:
    stage.roster.set_offset(stage.node(injected), offset)
    stage.took_effect(injected)


async def _step(stage: LocalStage, injected: Injected) -> None:
    _set(stage, injected, injected.number("offset"))


async def _set_right(stage: LocalStage, injected: Injected) -> None:
    stage.roster.set_offset(stage.node(injected), 0)


async def _drift(stage: LocalStage, injected: Injected) -> None:
    if not injected.over:
        _set(stage, injected, stage.node(injected).clock_offset + gained(injected))
        stage.clock.at(stage.clock.now + STEP, _drift, stage, injected)


async def _wander(stage: LocalStage, injected: Injected) -> None:
    if not injected.over:
        _set(stage, injected, wandered(injected, stage.clock.now))
        stage.clock.at(stage.clock.now + wanders_every(injected), _wander, stage, injected)


ROWS = {
    "clock": Way(_step, _set_right),
    "drift": Way(_drift, _set_right),
    "wander": Way(_wander, _set_right),
}
