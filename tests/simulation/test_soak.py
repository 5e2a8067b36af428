"""The long search (`make soak`): thousands of schedules hold, and each planted bug is found soon."""

from collections.abc import Callable

import pytest

from tests.mutants import measure
from tests.soak_sizes import DENSITIES, FOUND_WITHIN, JOBS, SEEDS
from ucmlab.cluster.search.campaign import Campaign, run_campaign
from ucmlab.cluster.search.plants import PLANTS
from ucmlab.node.config import Policy

Tell = Callable[[str, object], None]

pytestmark = pytest.mark.soak


@pytest.mark.parametrize("policy", ["modern", "faithful"])
def test_thousands_of_schedules_hold(policy: Policy, record_property: Tell) -> None:
    summary = run_campaign(Campaign(seeds=SEEDS, replication=policy, judge="promised"), jobs=JOBS)
    record_property("seeds", summary.seeds)
    assert (summary.seeds, [result.seed for result in summary.failed]) == (SEEDS, [])


@pytest.mark.parametrize("plant", sorted(PLANTS))
def test_a_planted_bug_is_found_within_a_thousand_seeds(plant: str, record_property: Tell) -> None:
    measured = measure(plant, seeds=FOUND_WITHIN, jobs=JOBS, stop_when_found=not DENSITIES)
    record_property("found", measured.line)
    assert measured.first is not None
