"""When the acts of a case happen: the same order with round times and short waits between."""

from collections.abc import Iterator

from msgspec.structs import replace

from ucmlab.cluster.search.case import Case
from ucmlab.cluster.search.workload import Act
from ucmlab.node.instant import MINUTE, SECOND

WAITS = (MINUTE, 5 * MINUTE, 31 * MINUTE)
"""What a story waits, the plainest first: for replication, for whoever gives up, for a comparison."""


def all_short(case: Case) -> Case:
    """A minute from each instant at which something begins or ends to the next."""
    return _with_gaps(case, [MINUTE for _ in _instants(case)])


def gaps(case: Case) -> int:
    """How many waits there are; the last is until everything is mended."""
    return len(_instants(case))


def rounder(case: Case, number: int) -> Iterator[Case]:
    """The case with one wait rounder or shorter than it is, the plainest first."""
    now = _gaps(case)
    gap = now[number]
    last = number == len(now) - 1 and case.span > max([_end(act, 0) for act in case.acts], default=0)
    none = [0] if number and (last or gap < SECOND) else []
    for wait in (*none, *WAITS, _rounded(gap, MINUTE), _rounded(gap, SECOND)):
        if _rank(wait) < _rank(gap):
            yield _with_gaps(case, [*now[:number], wait, *now[number + 1 :]])


def _rank(gap: int) -> tuple[int, int]:
    """How plain a wait is."""
    if gap in (0, *WAITS):
        return 0, gap
    return (1, gap) if not gap % MINUTE else (2, gap) if not gap % SECOND else (3, gap)


def _rounded(gap: int, unit: int) -> int:
    return max(unit, (gap + unit // 2) // unit * unit)


def _end(act: Act, span: int) -> int:
    """When a fault ends that lasts; the end of an act that happens once is its beginning."""
    return max(act.at, min(act.at + act.number, span)) if act.kind == "inject" else act.at


def _instants(case: Case) -> list[int]:
    ends = (_end(act, case.span) for act in case.acts)
    return sorted({*(act.at for act in case.acts), *ends, max([case.span, *(act.at for act in case.acts)])})


def _gaps(case: Case) -> list[int]:
    instants = _instants(case)
    return [later - earlier for earlier, later in zip([0, *instants], instants, strict=False)]


def _with_gaps(case: Case, lengths: list[int]) -> Case:
    new: dict[int, int] = {}
    at = 0
    for instant, length in zip(_instants(case), lengths, strict=True):
        at += length
        new[instant] = at
    acts = tuple(_moved(act, new, case.span) for act in case.acts)
    return replace(case, acts=acts, span=at)


def _moved(act: Act, new: dict[int, int], span: int) -> Act:
    at = new[act.at]
    if act.kind != "inject" or not act.number:
        return replace(act, at=at)
    # A fault that lasts lasts at least a moment: none at all would mean for ever.
    return replace(act, at=at, number=max(1, new[_end(act, span)] - at))
