"""The failure search: the cores hold, and what is planted is found by whom it should be."""

import pytest

from tests.mutants import measure
from ucmlab.cluster.search.campaign import Campaign, run_campaign, run_one
from ucmlab.cluster.search.image import cluster_image
from ucmlab.cluster.search.invariants import INVARIANTS
from ucmlab.cluster.search.mutants.following import HoardingReplica
from ucmlab.cluster.search.plants import PLANTS, Plant
from ucmlab.cluster.search.run import SeedRun
from ucmlab.cluster.search.workload import draw_schedule
from ucmlab.node.config import Policy
from ucmlab.node.core import NodeCore


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
    summary = run_campaign(Campaign(seeds=seeds, replication=policy, judge="promised"))
    assert (summary.seeds, summary.failed) == (seeds, ())


SOON = (
    "applied-twice",
    "ack-before-sync",
    "zombie",
    "two-contents",
    "unsigned",
    "ack-before-append",
    "digest-too-wide",
    "filter-too-wide",
    "hot-reload",
    "orders-late",
    "topic-believed",
    "replies-twice",
    "never-asks",
    "files-believed",
    "never-gives-up",
    "gives-up",
    "no-backoff",
    "divergence-untold",
    "settings-stick",
    "change-unnoticed",
    "undone-pending",
)
"""One bug for each invariant, found within few seeds. `make mutants` and the soak plant them all."""


@pytest.mark.slow
@pytest.mark.rule("S7", "S8", "S10", "S11", "S14", "S15", "L2", "L3", "L4", "L5", "L6")
@pytest.mark.parametrize("plant", SOON)
def test_a_planted_bug_is_found_by_the_invariant_that_is_there_for_it(plant: str) -> None:
    assert measure(plant, seeds=60, jobs=1, stop_when_found=True).first is not None


@pytest.mark.slow
@pytest.mark.rule("L6")
def test_rows_that_differ_are_told_of_by_who_compares_them(monkeypatch: pytest.MonkeyPatch) -> None:
    hoarding = type("HoardingNode", (NodeCore,), {"replica_class": HoardingReplica})
    monkeypatch.setitem(PLANTS, "divergence-told", Plant("rows differ, and it is noticed", "L4", node=hoarding))
    measured = measure("divergence-told", seeds=20, jobs=1)
    assert (measured.failed, measured.by.keys() & {"L1", "L4"} != set(), measured.by.get("L6")) == (20, True, None)


def test_every_plant_is_there_for_an_invariant() -> None:
    assert {plant.invariant for plant in PLANTS.values()} <= INVARIANTS.keys()


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
