"""What a campaign must have seen for its verdict to mean anything ("sometimes", anchors.md iv).

A search that finds nothing proves nothing where nothing happened: each family of faults must have been felt, and the
cluster's ways of getting well must have been walked, at least once.
"""

from collections.abc import Iterable, Mapping, Sequence

from ucmlab.cluster.search.families import FAMILIES
from ucmlab.cluster.sim.world import Journaled
from ucmlab.node.config import Policy

ENOUGH = 1000
"""Seeds from which on a sight that never came makes the verdict `unknown`."""
SIGHTS: dict[str, str] = {
    "gap_closed": "a gap in the log was repaired",
    "snapshot_installed": "a snapshot took the place of a replica",
    "epoch_begun": "the epoch changed",
    "bus_refused": "a duplicate or a stranger's message was refused",
    "zombie_refused": "a deleted certificate was kept from coming back",
    "alarm": "an alarm was raised",
}
"""Names of journal lines, and what each of them shows."""
ONLY_MODERN = ("zombie_refused",)


def seen(journal: Iterable[Journaled]) -> tuple[str, ...]:
    """The sights of one seed."""
    names = {line.record.name for line in journal}
    return tuple(sight for sight in SIGHTS if sight in names)


def missing(
    felt: Mapping[str, int], reached: Mapping[str, int], *, families: Sequence[str], policy: Policy
) -> tuple[str, ...]:
    """What never came, one phrase each. Of a search among some families only, the sights are not asked for."""
    asked = families or tuple(FAMILIES)
    unfelt = [each for each in asked if not any(felt.get(drawn.fault) for drawn in FAMILIES[each])]
    sights = [] if families else [each for each in SIGHTS if policy == "modern" or each not in ONLY_MODERN]
    unseen = [SIGHTS[each] for each in sights if not reached.get(each)]
    return (*(f"no fault of the family {each} was felt" for each in unfelt), *(f"never: {text}" for text in unseen))
