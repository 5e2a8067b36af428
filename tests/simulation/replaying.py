"""Replays of failing seeds in fresh processes: what must come out the same, and how to compare it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence

from ucmlab.cluster.search.campaign import Campaign, run_campaign, run_one

FAILING = Campaign(seeds=10_000, replication="faithful")
"""Where failing seeds are plenty: the policy does not promise what it is judged by."""
SCRIPT = """
import json, sys
from tests.simulation.replaying import FAILING, traces
print(json.dumps(list(traces(FAILING, json.load(sys.stdin)))))
"""


def failing_seeds(count: int) -> list[int]:
    """The first seeds that fail, that many."""
    return [result.seed for result in run_campaign(FAILING, stop_after=count).failed]


def traces(campaign: Campaign, seeds: Sequence[int]) -> Iterator[str]:
    """The hash of each seed's journal."""
    for seed in seeds:
        run = run_one(campaign, seed)
        yield run.trace()
        run.world.dismantle()


def told_elsewhere(seeds: Sequence[int], hash_seed: int) -> list[str]:
    """The same, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps(seeds),
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        check=True,
        text=True,
    )
    traces: list[str] = json.loads(done.stdout)
    return traces
