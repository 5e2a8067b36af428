"""Many seeds, in one process or several, and what they found: order and outcome depend on no timing."""

import gc
import multiprocessing
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import msgspec

from ucmlab.cluster.search.families import check_families
from ucmlab.cluster.search.image import DEFAULT_NODES, cluster_image
from ucmlab.cluster.search.invariants import Judge
from ucmlab.cluster.search.run import SeedResult, SeedRun
from ucmlab.cluster.search.sights import ENOUGH, missing
from ucmlab.cluster.search.workload import OPERATIONS, draw_schedule
from ucmlab.node.config import Policy

CHUNK = 20
"""Seeds handed out at once."""
COLLECT_EVERY = 100
"""Garbage is collected after each seed whose number divides by this. A world that is over is taken apart at once, so
little is left."""


class Campaign(msgspec.Struct, frozen=True):
    """What to search: `seeds` seeds from `first` on."""

    seeds: int
    first: int = 0
    nodes: tuple[str, ...] = DEFAULT_NODES
    release: str = "14SU2"
    replication: Policy = "modern"
    operations: int = OPERATIONS
    plant: str | None = None
    families: tuple[str, ...] = ()
    """Of faults; all of them when none is named."""
    judge: Judge = "all"
    """Which invariants: all, or those that the replication policy promises."""


class Summary(msgspec.Struct, frozen=True):
    """What a campaign found. `seconds` is machine time; `events` counts over all seeds."""

    seeds: int
    events: int
    seconds: float
    failed: tuple[SeedResult, ...]
    felt: dict[str, int] = {}
    """In how many seeds each fault took effect."""
    sights: dict[str, int] = {}
    """In how many seeds each sight came."""
    missing: tuple[str, ...] = ()
    """What never came, and must for the verdict to mean anything."""

    @property
    def verdict(self) -> Literal["held", "failed", "unknown"]:
        """Whether every invariant held; unknown when the search was long, and never saw what it is there to see."""
        if self.failed:
            return "failed"
        return "unknown" if self.missing and self.seeds >= ENOUGH else "held"

    @property
    def per_minute(self) -> float:
        """Seeds a minute."""
        return self.seeds / self.seconds * 60 if self.seconds else 0.0


def run_campaign(
    campaign: Campaign,
    *,
    jobs: int = 1,
    stop_after: int | None = None,
    stop_when: Callable[[SeedResult], bool] = lambda result: False,
    progress: Callable[[int, int], None] = lambda done, failed: None,
) -> Summary:
    """Run a campaign; `progress` hears how many seeds are done and how many failed.

    It ends early after `stop_after` failures, or with a result of which `stop_when` is true.
    """
    check_families(campaign.families)
    started = time.perf_counter()
    done, events = 0, 0
    felt, sights = Counter[str](), Counter[str]()
    failed: list[SeedResult] = []
    for result in _results(campaign, jobs):
        done += 1
        events += result.events
        felt.update(result.felt)
        sights.update(result.sights)
        if result.violations:
            failed.append(result)
        if result.violations or not done % CHUNK:
            progress(done, len(failed))
        if (stop_after is not None and len(failed) >= stop_after) or stop_when(result):
            break
    never = missing(felt, sights, families=campaign.families, policy=campaign.replication)
    return Summary(done, events, time.perf_counter() - started, tuple(failed), dict(felt), dict(sights), never)


def run_one(campaign: Campaign, seed: int) -> SeedRun:
    """Run one seed and return it whole, journal included."""
    image = cluster_image(campaign.nodes, campaign.release, campaign.replication)
    run = SeedRun(image, seed, plant=campaign.plant, judge=campaign.judge)
    run.play(draw_schedule(image.configs, seed, operations=campaign.operations, families=campaign.families))
    return run


def _results(campaign: Campaign, jobs: int) -> Iterator[SeedResult]:
    seeds = range(campaign.first, campaign.first + campaign.seeds)
    cluster_image(campaign.nodes, campaign.release, campaign.replication)
    if jobs <= 1:
        with _rare_collections():
            yield from _play(campaign, seeds)
        return
    chunks = [(campaign, seeds[at : at + CHUNK]) for at in range(0, len(seeds), CHUNK)]
    # Forked where that is safe, so that nobody makes the cluster image again; not beside threads of the caller's.
    method = "fork" if threading.active_count() == 1 and sys.platform == "linux" else "spawn"
    with multiprocessing.get_context(method).Pool(jobs, initializer=_set_out, initargs=(campaign,)) as pool:
        for results in pool.imap(_chunk, chunks):
            yield from results


def _set_out(campaign: Campaign) -> None:
    """Begin a worker's life: as in `_rare_collections`, and for good."""
    cluster_image(campaign.nodes, campaign.release, campaign.replication)
    gc.collect()
    gc.disable()
    gc.freeze()


def _chunk(work: tuple[Campaign, range]) -> list[SeedResult]:
    return list(_play(*work))


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Collect by our own count, and without looking at what was there before: that stays, and is most of it."""
    gc.collect()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.enable()


def _play(campaign: Campaign, seeds: range) -> Iterator[SeedResult]:
    for seed in seeds:
        yield _seed(campaign, seed)
        if not seed % COLLECT_EVERY:
            gc.collect()


def _seed(campaign: Campaign, seed: int) -> SeedResult:
    run = run_one(campaign, seed)
    result = run.result
    run.dismantle()
    return result
