"""What is found, at length (`make soak`): failing seeds replayed in many processes, and how small they become."""

import time
from collections.abc import Callable
from statistics import median

import pytest

from tests.simulation.replaying import FAILING, failing_seeds, told_elsewhere, traces
from tests.soak_sizes import FOUND_WITHIN, REPLAYED_SEEDS, REPLAYS, SHRUNK_SEEDS
from ucmlab.cluster.search.campaign import Campaign, run_campaign
from ucmlab.cluster.search.case import case_of
from ucmlab.cluster.search.plants import PLANTS
from ucmlab.cluster.search.run import SeedResult
from ucmlab.cluster.search.shrinking import Shrinker

Tell = Callable[[str, object], None]
STEPS, SECONDS = 5, 10
"""What the median story may have, of steps, and of processor time that it took."""
CAMPAIGNS = {
    **{plant: Campaign(seeds=FOUND_WITHIN * SHRUNK_SEEDS, plant=plant) for plant in PLANTS},
    **{policy: Campaign(seeds=FOUND_WITHIN, replication=policy) for policy in ("legacy", "faithful")},
}

pytestmark = pytest.mark.soak


@pytest.mark.rule("S17")
def test_failing_seeds_have_one_trace_in_every_process(record_property: Tell) -> None:
    seeds = failing_seeds(REPLAYED_SEEDS)
    here = [*traces(FAILING, seeds)]
    for hash_seed in range(1, REPLAYS + 1):
        assert told_elsewhere(seeds, hash_seed) == here
    record_property("failing seeds", len(seeds))
    record_property("processes", REPLAYS)
    assert len(set(here)) == len(seeds) == REPLAYED_SEEDS


def test_the_median_story_is_short_and_quickly_shrunk(record_property: Tell) -> None:
    steps, seconds = [], []
    for name, campaign in sorted(CAMPAIGNS.items()):
        shrunk = [shrunk_story(campaign, failed) for failed in run_campaign(campaign, stop_after=SHRUNK_SEEDS).failed]
        record_property(f"steps of {name}", ", ".join(str(each) for each, _ in shrunk))
        steps += [each for each, _ in shrunk]
        seconds += [each for _, each in shrunk]
    record_property("median and most steps", f"{median(steps):g}, {max(steps)}")
    record_property("median and most seconds", f"{median(seconds):.1f}, {max(seconds):.1f}")
    assert len(steps) == len(CAMPAIGNS) * SHRUNK_SEEDS
    assert median(steps) <= STEPS
    assert median(seconds) < SECONDS


def shrunk_story(campaign: Campaign, failed: SeedResult) -> tuple[int, float]:
    """Its steps, and the processor time that shrinking took."""
    began = time.process_time()
    shrunk = Shrinker(case_of(campaign, failed.seed), failed.violations[0]).shrink()
    assert shrunk is not None, f"seed {failed.seed} does not fail when it is played again"
    return len(shrunk.case.acts), time.process_time() - began
