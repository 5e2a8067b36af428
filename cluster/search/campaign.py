"""Many seeds, in one process or several, and what they found: order and outcome depend on no timing."""

import gc
import multiprocessing
import time
from collections.abc import Callable, Iterator

import msgspec

from ucmlab.cluster.search.image import DEFAULT_NODES, cluster_image
from ucmlab.cluster.search.run import SeedResult, SeedRun
from ucmlab.cluster.search.workload import OPERATIONS, draw_schedule
from ucmlab.node.config import Policy

CHUNK = 25
"""Seeds handed out at once."""
COLLECT_EVERY = 200
"""Seeds between two collections of garbage: worlds are cyclic, and collecting all the time took a fifth of the time."""


class Campaign(msgspec.Struct, frozen=True):
    """What to search: `seeds` seeds from `first` on."""

    seeds: int
    first: int = 0
    nodes: tuple[str, ...] = DEFAULT_NODES
    release: str = "14SU2"
    replication: Policy = "modern"
    operations: int = OPERATIONS
    plant: str | None = None


class Summary(msgspec.Struct, frozen=True):
    """What a campaign found. `seconds` is machine time; `events` counts over all seeds."""

    seeds: int
    events: int
    seconds: float
    failed: tuple[SeedResult, ...]

    @property
    def per_minute(self) -> float:
        """Seeds a minute."""
        return self.seeds / self.seconds * 60 if self.seconds else 0.0


def run_campaign(
    campaign: Campaign,
    *,
    jobs: int = 1,
    stop_after: int | None = None,
    progress: Callable[[int, int], None] = lambda done, failed: None,
) -> Summary:
    """Run a campaign; `stop_after` failures end it early; `progress` hears how many are done and how many failed."""
    started = time.perf_counter()
    done, events = 0, 0
    failed: list[SeedResult] = []
    for result in _results(campaign, jobs):
        done += 1
        events += result.events
        if result.violations:
            failed.append(result)
        if result.violations or not done % CHUNK:
            progress(done, len(failed))
        if stop_after is not None and len(failed) >= stop_after:
            break
    return Summary(done, events, time.perf_counter() - started, tuple(failed))


def run_one(campaign: Campaign, seed: int) -> SeedRun:
    """Run one seed and return it whole, journal included."""
    image = cluster_image(campaign.nodes, campaign.release, campaign.replication)
    run = SeedRun(image, seed, plant=campaign.plant)
    run.play(draw_schedule(image.configs, seed, operations=campaign.operations))
    return run


def _results(campaign: Campaign, jobs: int) -> Iterator[SeedResult]:
    seeds = range(campaign.first, campaign.first + campaign.seeds)
    if jobs <= 1:
        gc.collect()
        gc.disable()
        try:
            for seed in seeds:
                yield _seed(campaign, seed)
                if not seed % COLLECT_EVERY:
                    gc.collect()
        finally:
            gc.enable()
        return
    chunks = [(campaign, seeds[at : at + CHUNK]) for at in range(0, len(seeds), CHUNK)]
    # Spawned, not forked: the caller may have threads or an event loop.
    with multiprocessing.get_context("spawn").Pool(jobs, initializer=gc.disable) as pool:
        for results in pool.imap(_chunk, chunks):
            yield from results


def _chunk(work: tuple[Campaign, range]) -> list[SeedResult]:
    campaign, seeds = work
    results = [_seed(campaign, seed) for seed in seeds]
    gc.collect()
    return results


def _seed(campaign: Campaign, seed: int) -> SeedResult:
    return run_one(campaign, seed).result
