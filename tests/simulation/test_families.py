"""Families of faults in the search: each is drawn, felt and survived, and a search that saw nothing says so."""

import pytest

from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.faults.catalogue import fault_named
from ucmlab.cluster.search.campaign import Campaign, Summary, run_campaign
from ucmlab.cluster.search.families import FAMILIES, draw_faults
from ucmlab.cluster.search.image import DEFAULT_NODES, cluster_image
from ucmlab.cluster.search.sights import ENOUGH, SIGHTS, missing
from ucmlab.cluster.search.workload import SPAN, Act, draw_schedule

FEW = 5
SEEDS = range(400)


def test_every_kind_of_fault_of_every_family_is_drawn_and_is_performed_in_the_simulation() -> None:
    found = {(each.family, each.fault) for seed in SEEDS for each in draw_faults(DEFAULT_NODES, seed, span=SPAN)}
    wanted = {(family, each.fault) for family, kinds in FAMILIES.items() for each in kinds}
    assert found == wanted
    assert {fault_named(fault, "sim").name for _, fault in found} == {fault for _, fault in found}


def test_what_is_drawn_can_be_injected_as_it_is() -> None:
    for seed in SEEDS:
        for each in draw_faults(DEFAULT_NODES, seed, span=SPAN):
            row = fault_named(each.fault, "sim")
            row.values(dict(text.split("=", 1) for text in each.parameters))
            assert row.lasts or not each.lasts


def drawn(act: Act) -> bool:
    """Whether it comes from a family; a renewal is the operators' work."""
    return act.kind == "inject" and act.text != "renew"


def test_leaving_families_out_changes_nothing_in_the_others_nor_in_the_operators_work() -> None:
    configs = cluster_image().configs
    for seed in range(50):
        whole = draw_schedule(configs, seed)
        part = draw_schedule(configs, seed, families=("kill", "clock"))
        assert [act for act in part if not drawn(act)] == [act for act in whole if not drawn(act)]
        assert {act.unit for act in part if drawn(act)} <= {"kill", "clock"}
        in_whole = [act for act in whole if act.unit in ("kill", "clock") and act.kind == "inject"]
        assert all(act in part for act in in_whole)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_cluster_lives_with_every_family(family: str) -> None:
    summary = run_campaign(Campaign(seeds=FEW, first=100, families=(family,)))
    assert summary.failed == ()
    assert set(summary.felt) <= {"renew", *(each.fault for each in FAMILIES[family])}


def test_a_family_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(Unusable, match="there is no family 'gremlins' of faults; there are kill, power,"):
        run_campaign(Campaign(seeds=1, families=("gremlins",)))


def test_what_never_came_is_named() -> None:
    assert missing({}, {}, families=("clock",), policy="modern") == ("no fault of the family clock was felt",)
    assert missing({"drift": 1}, {}, families=("clock",), policy="modern") == ()
    felt = {kinds[0].fault: 1 for kinds in FAMILIES.values()}
    reached = dict.fromkeys(SIGHTS, 1)
    assert missing(felt, reached, families=(), policy="modern") == ()
    assert missing(felt, {**reached, "epoch_begun": 0}, families=(), policy="modern") == ("never: the epoch changed",)
    assert missing(felt, {**reached, "zombie_refused": 0}, families=(), policy="faithful") == ()


@pytest.mark.parametrize(
    ("seeds", "never", "verdict"),
    [(ENOUGH, (), "held"), (ENOUGH, ("never: it rained",), "unknown"), (ENOUGH - 1, ("never: it rained",), "held")],
)
def test_a_long_search_that_never_saw_what_it_must_is_unknown(seeds: int, never: tuple[str, ...], verdict: str) -> None:
    assert Summary(seeds, 0, 1.0, (), missing=never).verdict == verdict


def test_a_seed_tells_what_was_felt_and_seen() -> None:
    summary = run_campaign(Campaign(seeds=20))
    assert len(summary.felt) > 10
    assert {"gap_closed", "snapshot_installed", "zombie_refused"} <= set(summary.sights)
