"""One input alone: `python -m tests.fuzz SEED…` says what it is and what comes of it; `--write FOLDER` keeps the bytes.

With `--many N [--jobs J]` the N inputs from the first seed on, and counts. Exit status 1 when something did not hold.
"""

import argparse
from collections import Counter
from pathlib import Path

from tests.fuzz.inputs import mutant
from tests.fuzz.running import Ran, Violation, run, run_many
from tests.soak_sizes import JOBS


def main() -> int:
    """Run and print; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("seeds", type=int, nargs="+", metavar="SEED")
    parser.add_argument("--many", type=int, metavar="N")
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--write", type=Path, metavar="FOLDER")
    chosen = parser.parse_args()
    if chosen.many:
        return told(list(run_many(chosen.many, first=chosen.seeds[0], jobs=chosen.jobs)))
    for seed in chosen.seeds:
        made = mutant(seed)
        print(f"{seed}: {made.kind} {made.purpose!r}, {len(made.data)} bytes, {made.data[:60]!r}")  # noqa: T201
        if made.kind == "order":
            print(made.order)  # noqa: T201
        if chosen.write:
            (chosen.write / f"{seed}.bin").write_bytes(made.data)
    return told([run(range(seed, seed + 1)) for seed in chosen.seeds])


def told(results: list[Ran]) -> int:
    """Print counts and violations; 1 when there are any."""
    seen = Counter[str]()
    violations: list[Violation] = []
    for each in results:
        seen.update(each.seen)
        violations += each.violations
    for what, count in sorted(seen.items()):
        print(f"{count:>10,}  {what}")  # noqa: T201
    seconds, seed = max(each.slowest for each in results)
    print(f"{sum(each.inputs for each in results):>10,}  inputs; the slowest {seconds:.2f} s, seed {seed}")  # noqa: T201
    for violation in violations:
        print(f"seed {violation.seed}: {violation.text}")  # noqa: T201
    return min(len(violations), 1)


if __name__ == "__main__":
    raise SystemExit(main())
