"""Mutated files, requests and orders: each ends in a value or a refusal, at once, and a refusal changes nothing."""

from collections import Counter
from collections.abc import Callable

import pytest

from tests.fuzz.running import LIMIT_S, run, run_many
from tests.soak_sizes import JOBS, MUTATED_UPLOADS

SLICE = 960
SOAK_SEEDS = 1_000_000
"""Where the soak's seeds begin: none of them is in the slice."""
MUCH = ("upload accepted", "upload refused: format", "certificate accepted", "chain, signed anew: chain_incomplete")
SOME = ("request accepted", "node: done", "node: refused format", "identity: done", "order: done", "name read")
GENEROUS_S = 10 * LIMIT_S
"""For the slice, which is no measurement: machines are busy."""
GROWTH = 64 << 20
"""Bytes that a process may grow by once what is remembered of certificates has filled up."""


def test_a_slice_of_mutated_uploads_is_survived() -> None:
    ran = run(range(SLICE), limit_s=GENEROUS_S)
    assert ran.violations == ()
    # It is worth nothing unless much is refused and much goes through.
    assert min(ran.seen[what] for what in MUCH) > SLICE // 25
    assert min(ran.seen[what] for what in SOME) > 0


@pytest.mark.soak
def test_mutated_uploads_are_survived_at_once_and_in_bounded_memory(
    record_property: Callable[[str, object], None],
) -> None:
    seen, violations, slowest = Counter[str](), list[str](), (0.0, -1)
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    done = 0
    for ran in run_many(MUTATED_UPLOADS, first=SOAK_SEEDS, jobs=JOBS):
        done += ran.inputs
        seen.update(ran.seen)
        violations += [f"python -m tests.fuzz {each.seed}  # {each.text}" for each in ran.violations]
        slowest = max(slowest, ran.slowest)
        if done > MUTATED_UPLOADS // 5:
            first.setdefault(ran.process, ran.memory)
            last[ran.process] = ran.memory
    growth = max(last[process] - first[process] for process in first)
    record_property("mutated inputs", done)
    record_property("accepted uploads", seen["upload accepted"])
    record_property("through whole nodes", sum(count for what, count in seen.items() if what.startswith("node: ")))
    record_property("slowest, ms and seed", f"{slowest[0] * 1000:.0f}, {slowest[1]}")
    record_property("growth in KB", growth // 1024)
    assert violations == []
    assert done == MUTATED_UPLOADS
    assert growth < GROWTH
