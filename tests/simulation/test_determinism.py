"""The same seed tells the same journal, byte for byte: in one process, and in processes with other hash seeds."""

import os
import subprocess
import sys

import pytest

from tests.simulation.replaying import FAILING, failing_seeds, told_elsewhere
from tests.simulation.replaying import traces as traces_of
from ucmlab.cluster.search.campaign import Campaign, run_one

CAMPAIGN = Campaign(seeds=1, nodes=("pub", "sub1", "sub2", "imp1"))
SEEDS = (3, 4, 8)
SCRIPT = """
from tests.simulation.test_determinism import CAMPAIGN, SEEDS
from ucmlab.cluster.search.campaign import run_one
print(*(run_one(CAMPAIGN, seed).trace() for seed in SEEDS))
"""


def traces() -> list[str]:
    return [run_one(CAMPAIGN, seed).trace() for seed in SEEDS]


@pytest.mark.rule("S17")
def test_in_one_process_a_seed_told_twice_is_told_the_same() -> None:
    assert traces() == traces()


def test_two_seeds_are_two_stories() -> None:
    assert len(set(traces())) == len(SEEDS)


@pytest.mark.slow
@pytest.mark.rule("S17")
def test_processes_with_other_hash_seeds_tell_it_the_same() -> None:
    told = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout.split()
        for hash_seed in ("1", "4242")
    ]
    assert told == [traces(), traces()]


@pytest.mark.slow
@pytest.mark.rule("S17")
def test_failing_seeds_have_one_trace_each_whatever_the_hash_seed() -> None:
    seeds = failing_seeds(5)
    assert [told_elsewhere(seeds, hash_seed) for hash_seed in (7, 99)] == [[*traces_of(FAILING, seeds)]] * 2
