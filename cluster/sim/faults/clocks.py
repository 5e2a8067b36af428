"""Wall clocks that are wrong, run wrong, or wander."""

from ucmlab.cluster.faults.ledger import Injected
from ucmlab.cluster.sim.faults.stage import Stage, Way
from ucmlab.node.instant import MINUTE

STEP = MINUTE
"""A clock that runs wrong is corrected by what it gained, this often: its reader sees no difference."""


def _set(stage: Stage, injected: Injected, offset: int) -> None:
    stage.node(injected).clock_offset = offset
    stage.took_effect(injected)


def _step(stage: Stage, injected: Injected) -> None:
    _set(stage, injected, injected.number("offset"))


def _set_right(stage: Stage, injected: Injected) -> None:
    stage.node(injected).clock_offset = 0


def _drift(stage: Stage, injected: Injected) -> None:
    if not injected.over:
        gained = round((injected.share("rate") - 1) * STEP)
        _set(stage, injected, stage.node(injected).clock_offset + gained)
        stage.world.at(stage.world.now + STEP, _drift, stage, injected)


def _wander(stage: Stage, injected: Injected) -> None:
    """Back and forth between the two ends, in straight lines."""
    if not injected.over:
        reach, period = injected.number("reach"), max(4, injected.number("period"))
        phase = stage.world.now % period
        along = min(phase, period - phase)
        _set(stage, injected, reach * (4 * along - period) // period)
        stage.world.at(stage.world.now + max(1, period // 16), _wander, stage, injected)


ROWS = {
    "clock": Way(_step, _set_right),
    "drift": Way(_drift, _set_right),
    "wander": Way(_wander, _set_right),
}
