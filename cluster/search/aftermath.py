"""What is done about a campaign's failing seeds: sorted by what failed, they are kept, and the first ones shrunk."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.faults.catalogue import catalogue
from ucmlab.cluster.search.campaign import Campaign
from ucmlab.cluster.search.case import case_of, signature
from ucmlab.cluster.search.invariants import Violation
from ucmlab.cluster.search.kept import Kept, keep, write
from ucmlab.cluster.search.run import SeedResult
from ucmlab.cluster.search.shrinking import Shrinker, Shrunk
from ucmlab.cluster.search.telling.script import script

SHRUNK = 3
"""So many different findings of a campaign are shrunk, a seed of each."""
TRIED = 3
"""So many seeds of a finding are shrunk, for the plainest story."""
PLAIN = (0, 3)
"""A story that is plain enough: it has no fault that the simulation alone performs, and no more steps than this."""
KEPT = 10
"""So many seeds of one finding are kept: more of them say nothing more."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Failing seeds of one campaign that failed in the same way."""

    signature: str
    violation: Violation
    """The first seed's; the shrunk one's, if one is shrunk."""
    seeds: tuple[int, ...]
    kept: tuple[str, ...] = ()
    """Files, the shrunk seed's first."""
    shrunk: Shrunk | None = None
    story: str | None = None
    """The file of the script."""


def check_place(path: Path, option: str) -> None:
    """See that something can be written there, before a long search ends in vain.

    Raises:
        Unusable: it cannot.
    """
    there = next(each for each in (path.absolute(), *path.absolute().parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise Unusable(f"cannot write {path}; name another place with {option}")


def sort_out(campaign: Campaign, failed: Iterable[SeedResult]) -> list[tuple[str, list[SeedResult]]]:
    """Failing seeds by how they failed first, in the order in which that came."""
    found: dict[str, list[SeedResult]] = {}
    for result in failed:
        found.setdefault(signature(result.violations[0], campaign.nodes), []).append(result)
    return list(found.items())


def take_down(
    campaign: Campaign,
    failed: Iterable[SeedResult],
    folder: Path | None,
    *,
    shrink: bool = True,
    progress: Callable[[str], None] = lambda text: None,
) -> list[Found]:
    """Shrink a seed of each of the first findings, and keep what failed.

    Args:
        campaign: what was searched.
        failed: its failing seeds.
        folder: where to keep them; None: nowhere.
        shrink: whether to shrink at all, which takes some seconds a finding.
        progress: hears what comes next.

    Raises:
        Unusable: the folder cannot be written.
    """
    taken: list[Found] = []
    for number, (how, results) in enumerate(sort_out(campaign, failed)):
        seeds, shrunk = tuple(result.seed for result in results), None
        if shrink and number < SHRUNK:
            progress(f"shrinking: {how}")
            shrunk = _plainest(campaign, results[:TRIED])
        shown = results[0] if shrunk is None else next(each for each in results if each.seed == shrunk.case.seed)
        found = Found(signature=how, violation=shown.violations[0], seeds=seeds, shrunk=shrunk)
        order = [shown, *(each for each in results if each is not shown)]
        taken.append(found if folder is None else _kept(campaign, found, order, folder))
    return taken


def _plainest(campaign: Campaign, results: list[SeedResult]) -> Shrunk | None:
    """Shrink one seed after the other until one has become plain; the plainest of them."""
    best: Shrunk | None = None
    for result in results:
        shrunk = Shrinker(case_of(campaign, result.seed), result.violations[0]).shrink()
        if shrunk is not None and (best is None or _plainness(shrunk) < _plainness(best)):
            best = shrunk
        if best is not None and _plainness(best) <= PLAIN:
            break
    return best


def _plainness(shrunk: Shrunk) -> tuple[int, int]:
    faults = [act.text for act in shrunk.case.acts if act.kind == "inject"]
    return sum("local" not in catalogue()[fault].where for fault in faults), len(shrunk.case.acts)


def _kept(campaign: Campaign, found: Found, results: list[SeedResult], folder: Path) -> Found:
    first = keep(campaign, results[0], found.shrunk)
    files = [write(folder, first), *(write(folder, keep(campaign, each)) for each in results[1:KEPT])]
    script = _write_story(first, found.shrunk, files[0]) if found.shrunk is not None else None
    return msgspec.structs.replace(found, kept=tuple(map(str, files)), story=script)


def _write_story(kept: Kept, shrunk: Shrunk, beside: Path) -> str:
    path = beside.with_suffix(".py")
    try:
        path.write_text(script(kept, shrunk), encoding="utf-8")
    except OSError as error:
        raise Unusable(f"cannot write {path}: {error.strerror}; name another folder with --keep") from error
    return str(path)
