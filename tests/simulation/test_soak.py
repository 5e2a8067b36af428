"""The long search (`make soak`): thousands of schedules hold, and each planted bug is found soon."""

import os

import pytest

from ucmlab.cluster.search.campaign import Campaign, run_campaign
from ucmlab.cluster.search.plants import PLANTS
from ucmlab.node.config import Policy

SEEDS = 2_000
FOUND_WITHIN = 1_000
JOBS = min(4, os.cpu_count() or 1)

pytestmark = pytest.mark.soak


@pytest.mark.parametrize("policy", ["modern", "faithful"])
def test_two_thousand_schedules_hold(policy: Policy) -> None:
    summary = run_campaign(Campaign(seeds=SEEDS, replication=policy), jobs=JOBS)
    assert (summary.seeds, [result.seed for result in summary.failed]) == (SEEDS, [])


@pytest.mark.parametrize("plant", sorted(PLANTS))
def test_a_planted_bug_is_found_within_a_thousand_seeds(plant: str) -> None:
    summary = run_campaign(Campaign(seeds=FOUND_WITHIN, plant=plant), jobs=JOBS, stop_after=1)
    assert len(summary.failed) == 1
