"""How far a wall clock is off that runs wrong or wanders. Pure, for both modes."""

from ucmlab.cluster.faults.ledger import Injected
from ucmlab.node.instant import MINUTE

STEP = MINUTE
"""A clock that runs wrong is corrected by what it gained, this often: its reader sees no difference."""


def gained(injected: Injected) -> int:
    """What such a clock gains in a step, microseconds."""
    return round((injected.share("rate") - 1) * STEP)


def wanders_every(injected: Injected) -> int:
    """How often a clock that wanders is set."""
    return max(1, _period(injected) // 16)


def wandered(injected: Injected, lab: int) -> int:
    """How far it is off at a lab instant: back and forth between the two ends, in straight lines."""
    reach, period = injected.number("reach"), _period(injected)
    phase = lab % period
    along = min(phase, period - phase)
    return reach * (4 * along - period) // period


def _period(injected: Injected) -> int:
    return max(4, injected.number("period"))
