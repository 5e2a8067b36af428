"""What `make soak` runs: every test marked `soak`, then a report of what was done, on what machine, of which commit.

`python -m tests.soak [--keep] [ARGUMENTS OF PYTEST]`; `--keep` writes the report to `bench/soak-DATE.txt` too. How much
is done is in `tests.soak_sizes`.
"""

import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import pytest

from tests import soak_sizes
from ucmlab.cluster.bench.measuring import commit, cores, today

ROOT = Path(__file__).parent.parent
IMPORTED = "ignore:Module already imported:pytest.PytestAssertRewriteWarning"
"""This file has imported what pytest would load as ucmlab's own plugin for users; its asserts need no rewriting."""
WORDS = {"passed": "held", "failed": "FAILED", "skipped": "skipped"}


class Told(msgspec.Struct, frozen=True):
    """One soak test that was run."""

    name: str
    outcome: str
    """A value of `WORDS`."""
    seconds: float
    figures: tuple[tuple[str, object], ...]
    """What it says that it did, in its order."""


class Origin(msgspec.Struct, frozen=True):
    """What was run, where and when; a `+` behind the commit says that files differ from it."""

    date: str
    commit: str
    machine: str


class Listener:
    """Hears pytest tell how each test ended."""

    def __init__(self) -> None:
        """Nothing was run yet."""
        self.told: list[Told] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that was run, or that did not get that far."""
        if report.when == "call" or report.outcome != "passed":
            outcome, figures = WORDS[report.outcome], tuple(report.user_properties)
            self.told.append(Told(report.nodeid.removeprefix("tests/"), outcome, report.duration, figures))


def lines(origin: Origin, sizes: Mapping[str, object], told: list[Told]) -> Iterator[str]:
    """The report: what it stands on, one block a test, a last line that sums up."""
    yield f"ucmlab soak, {soak_sizes.CHOSEN} sizes"
    yield f"date     {origin.date}"
    yield f"commit   {origin.commit}"
    yield f"machine  {origin.machine}"
    yield f"sizes    {', '.join(f'{name.lower()} {_figure(value)}' for name, value in sizes.items())}"
    yield ""
    for each in told:
        yield f"{each.outcome:<7} {each.seconds:8.1f} s  {each.name}"
        yield from (f"{'':20}{name}: {_figure(value)}" for name, value in each.figures)
    yield ""
    counts = {word: sum(each.outcome == word for each in told) for word in WORDS.values()}
    ended = ", ".join(f"{count} {word}" for word, count in counts.items())
    yield f"{ended}; {sum(each.seconds for each in told):.0f} s"


def sizes() -> dict[str, object]:
    """The table of sizes by name."""
    return {
        name: value for name, value in vars(soak_sizes).items() if name.isupper() and isinstance(value, (int, float))
    }


def origin() -> Origin:
    """This machine, this moment, this commit."""
    machine = f"{cores()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    return Origin(today(), commit() or "unknown", machine)


def main(arguments: list[str]) -> int:
    """Run, and tell; the exit status is pytest's."""
    keep = "--keep" in arguments
    begun, listener = origin(), Listener()
    chosen = [each for each in arguments if each != "--keep"]
    status = pytest.main(["-m", "soak", "-q", "--no-header", "-W", IMPORTED, *chosen], [listener])
    report = [f"{line}\n" for line in lines(begun, sizes(), listener.told)]
    sys.stdout.writelines(["\n", *report])
    if keep:
        path = ROOT / "bench" / f"soak-{begun.date[:10]}.txt"
        path.write_text("".join(report))
        sys.stdout.write(f"\nwritten to {path.relative_to(ROOT)}\n")
    return int(status)


def _figure(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
