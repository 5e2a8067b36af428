"""Figure `search`: how many seeds a minute one core tries in virtual time, everything on.

Judged by processor time of this process, which neighbours on the machine disturb less; the wall clock stands beside it.
"""

import time

from ucmlab.cluster.bench.measuring import Aim, Figure, Say, median
from ucmlab.cluster.search.campaign import Campaign, Summary, run_campaign
from ucmlab.node.instant import SECOND

AIM = 10_000
"""Seeds a minute."""
WARMING = 10
"""Seeds before the first measured one: they make the cluster image, the key pool and the memory of access rules."""


def measure_search(say: Say, *, seeds: int = 500, rounds: int = 3) -> Figure:
    """Play `rounds` campaigns of `seeds` seeds each, of the default cluster and workload.

    Raises:
        AssertionError: a seed failed. A figure of a search that finds bugs means nothing; mend them first.
    """
    run_campaign(Campaign(WARMING))
    minute: list[float] = []
    wall: list[float] = []
    events: list[float] = []
    cost: list[float] = []
    for number in range(rounds):
        say(f"search: {seeds} seeds, round {number + 1} of {rounds}")
        began = time.process_time()
        summary = run_campaign(Campaign(seeds, first=number * seeds))
        took = time.process_time() - began
        _must_hold(summary)
        minute.append(summary.seeds / took * 60)
        wall.append(summary.per_minute)
        events.append(summary.events / summary.seeds)
        cost.append(took * SECOND / summary.events)
    campaign = Campaign(seeds)
    measured: dict[str, object] = {
        "nodes": len(campaign.nodes),
        "operations": campaign.operations,
        "replication": campaign.replication,
        "seeds": seeds * rounds,
        "seeds_a_minute": round(median(minute)),
        "seeds_a_minute_by_the_wall": round(median(wall)),
        "rounds": [round(each) for each in minute],
        "events_a_seed": round(median(events), 1),
        "us_an_event": round(median(cost), 2),
    }
    return Figure("search", measured, (Aim("seeds a minute on one core", median(minute), AIM, "", at_most=False),))


def _must_hold(summary: Summary) -> None:
    if summary.failed:
        seeds = ", ".join(str(result.seed) for result in summary.failed[:5])
        raise AssertionError(f"{len(summary.failed)} seeds failed, among them {seeds}")
