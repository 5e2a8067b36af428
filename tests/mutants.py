"""What `make mutants` runs: every planted bug, for how soon and how often the search finds it, and by which invariant.

`python -m tests.mutants [--seeds N] [--jobs J] [NAME…]`. Exit status 1 when one is not found by who is there for it.
"""

import argparse
from collections import Counter
from collections.abc import Sequence

import msgspec

from tests.soak_sizes import FOUND_WITHIN, JOBS
from ucmlab.cluster.search.campaign import Campaign, run_campaign
from ucmlab.cluster.search.plants import PLANTS
from ucmlab.cluster.search.run import SeedResult


class Measured(msgspec.Struct, frozen=True):
    """How a planted bug is found."""

    plant: str
    seeds: int
    first: int | None
    """The first seed in which the invariant that is there for it fails."""
    failed: int
    by: dict[str, int]
    """In how many seeds each invariant failed, the most frequent first."""

    @property
    def density(self) -> float:
        """Failing seeds in a thousand."""
        return self.failed / self.seeds * 1000

    @property
    def line(self) -> str:
        """For people."""
        by = ", ".join(f"{invariant} {count}" for invariant, count in self.by.items())
        first = "NOT FOUND" if self.first is None else f"seed {self.first}"
        return f"{self.plant:<28}{PLANTS[self.plant].invariant:<9}{first:<12}{self.density:7.1f} in 1,000   {by}"


def measure(plant: str, *, seeds: int, jobs: int, stop_when_found: bool = False) -> Measured:
    """Search with one bug planted; to the end, for how often it is found, or until it is found by who should."""

    def enough(result: SeedResult) -> bool:
        return stop_when_found and PLANTS[plant].invariant in {each.invariant for each in result.violations}

    summary = run_campaign(Campaign(seeds=seeds, plant=plant), jobs=jobs, stop_when=enough)
    broken = [(result.seed, {each.invariant for each in result.violations}) for result in summary.failed]
    first = next((seed for seed, invariants in broken if PLANTS[plant].invariant in invariants), None)
    by = Counter(invariant for _, invariants in broken for invariant in sorted(invariants))
    return Measured(plant, summary.seeds, first, len(broken), dict(by.most_common()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=FOUND_WITHIN)
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PLANTS)}")
    chosen = parser.parse_args(arguments)
    unknown = [name for name in chosen.names if name not in PLANTS]
    if unknown:
        parser.error(f"there is no bug {unknown[0]!r} to plant; there are {', '.join(PLANTS)}")
    missed = 0
    for plant in chosen.names or PLANTS:
        measured = measure(plant, seeds=chosen.seeds, jobs=chosen.jobs)
        missed += measured.first is None
        print(measured.line, flush=True)  # noqa: T201  # its purpose
    print(f"{missed} not found by who is there for it, in {chosen.seeds} seeds each")  # noqa: T201
    return min(missed, 1)


if __name__ == "__main__":
    raise SystemExit(main())
