"""The failure search: the cores hold, and what is planted is found by whom it should be."""

import pytest

from ucmlab.cluster.search.campaign import Campaign, run_campaign, run_one
from ucmlab.cluster.search.image import cluster_image
from ucmlab.cluster.search.plants import PLANTS
from ucmlab.cluster.search.run import SeedRun
from ucmlab.cluster.search.workload import draw_schedule
from ucmlab.node.config import Policy


@pytest.mark.slow
@pytest.mark.rule("S1")
@pytest.mark.rule("S2")
@pytest.mark.rule("S3")
@pytest.mark.rule("S4")
@pytest.mark.rule("S5")
@pytest.mark.rule("S6")
@pytest.mark.rule("L1")
@pytest.mark.parametrize(("policy", "seeds"), [("modern", 150), ("faithful", 100), ("legacy", 50)])
def test_random_schedules_hold(policy: Policy, seeds: int) -> None:
    summary = run_campaign(Campaign(seeds=seeds, replication=policy))
    assert (summary.seeds, summary.failed) == (seeds, ())


@pytest.mark.slow
@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_bug_is_found_by_the_invariant_that_is_there_for_it(plant: str) -> None:
    campaign = Campaign(seeds=1000, plant=plant)
    first = 0
    while first < campaign.seeds:
        left = Campaign(seeds=campaign.seeds - first, first=first, plant=plant)
        (failed,) = run_campaign(left, stop_after=1).failed
        if PLANTS[plant].invariant in {violation.invariant for violation in failed.violations}:
            return
        first = failed.seed + 1
    pytest.fail(f"{plant} was not noticed by {PLANTS[plant].invariant} in {campaign.seeds} seeds")


@pytest.mark.rule("S17")
def test_watching_changes_nothing() -> None:
    campaign, seed = Campaign(seeds=1), 11
    image = cluster_image(campaign.nodes, campaign.release, campaign.replication)
    schedule = draw_schedule(image.configs, seed)
    watched = SeedRun(image, seed)
    seen: list[object] = []
    watched.world.on_step.append(lambda node, event, wanted: seen.append((node.name, event, wanted)))
    watched.play(schedule)
    assert len(seen) > 100
    assert watched.trace() == run_one(campaign, seed).trace()
