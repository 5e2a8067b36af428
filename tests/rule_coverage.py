"""Which rule of the rule book is proved by which test: `make rules`, or `python -m tests.rule_coverage`.

A test proves a rule when it carries `@pytest.mark.rule("R-022")`; a story proves what `test_library.py` says. Why a
rule has no test stands in `unproved_rules.toml`. `rules.json` has a row for each rule; what has neither is printed.
Exit status 1 when a reason is given for a rule that a test proves, or that there is not.
"""

import contextlib
import io
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec
import pytest

from tests.rules import ROOT, RULE_BOOK, UNPROVED, known_names, numbered_rules, unproved_rules, why_unknown

WIDTH = 76
RESULT = ROOT / "rules.json"


class Row(msgspec.Struct, frozen=True):
    """What is known about a rule."""

    tests: list[str]
    why_none: str | None = None

    @property
    def covered(self) -> bool:
        """Whether it has tests, or a reason for having none."""
        return bool(self.tests) or self.why_none is not None


class Proofs:
    """Collects which tests carry which rules."""

    def __init__(self) -> None:
        """Nothing collected yet."""
        self.tests: dict[str, set[str]] = defaultdict(set)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """See every test that was collected, whatever its markers select later."""
        for item in session.items:
            of_case = getattr(getattr(item, "callspec", None), "marks", ())
            for marker in item.iter_markers("rule"):
                # A rule that only one case of a test proves, a story of the library's, is proved by that case.
                test = item.nodeid if marker in of_case else item.nodeid.partition("[")[0]
                for rule in marker.args:
                    self.tests[rule].add(test)


def proofs() -> Mapping[str, set[str]]:
    """Rule to tests.

    Raises:
        RuntimeError: the tests cannot be collected; the text is pytest's.
    """
    plugin, said = Proofs(), io.StringIO()
    with contextlib.redirect_stdout(said):
        status = pytest.main(["--collect-only", "-qq"], plugins=[plugin])
    if status != pytest.ExitCode.OK:
        raise RuntimeError(said.getvalue())
    return plugin.tests


def rows(rules: Iterable[str], proved: Mapping[str, set[str]], reasons: Mapping[str, str]) -> dict[str, Row]:
    """A row for each rule, in the order of their numbers."""
    return {rule: Row(sorted(proved.get(rule, ())), reasons.get(rule)) for rule in sorted(rules)}


def mistakes(reasons: Mapping[str, str], proved: Mapping[str, set[str]], known: frozenset[str] | None) -> list[str]:
    """What is wrong with the reasons; empty when nothing is."""
    unknown = [f"{UNPROVED.name}: {wrong}" for wrong in (why_unknown(rule, known) for rule in reasons) if wrong]
    idle = [rule for rule in reasons if proved.get(rule)]
    return unknown + [f"{UNPROVED.name}: {rule} needs no reason, {min(proved[rule])} proves it" for rule in idle]


def report(table: Mapping[str, Row], texts: Mapping[str, str]) -> Iterable[str]:
    """How many rules have tests or reasons, then those that have neither."""
    proved = sum(bool(row.tests) for row in table.values())
    uncovered = [rule for rule, row in table.items() if not row.covered]
    excused = len(table) - proved - len(uncovered)
    yield f"{len(table)} rules: {proved} proved, {excused} with a reason why not, {len(uncovered)} uncovered"
    yield from (f"{rule}  {_short(texts.get(rule, ''))}".rstrip() for rule in uncovered)


def main() -> int:
    """Write the rows and print what is uncovered; returns the exit status."""
    texts, proved, reasons = numbered_rules(), proofs(), unproved_rules()
    # Without the rule book every rule still has a row that has a test or a reason.
    named = {rule for rule in proved.keys() | reasons.keys() if rule.startswith("R-")}
    known = named if texts is None else set(texts)
    table = rows(known, proved, reasons)
    RESULT.write_bytes(msgspec.json.format(msgspec.json.encode(table), indent=2) + b"\n")
    lines = list(report(table, texts or {}))
    if texts is None:
        lines.append(f"The rule book is not here ({RULE_BOOK}): rules that nobody names do not show.")
    lines.append(f"Beyond them: {', '.join(sorted(proved.keys() - known))}")
    wrong = mistakes(reasons, proved, known_names())
    sys.stdout.writelines(f"{line}\n" for line in [*lines, f"{RESULT.name} has the tests of each."])
    sys.stderr.writelines(f"{line}\n" for line in wrong)
    return min(len(wrong), 1)


def _short(text: str) -> str:
    return text if len(text) <= WIDTH else text[: WIDTH - 1].rstrip() + "…"


if __name__ == "__main__":
    sys.exit(main())
