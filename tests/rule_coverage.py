"""Which rule of the rule book is proved by which test: `make rules`, or `python -m tests.rule_coverage`.

A test proves a rule when it carries `@pytest.mark.rule("R-022")`. A story shows a rule when its docstring names it.
"""

import contextlib
import io
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping

import pytest

from tests.rules import NAME, RULE_BOOK, checked_rules
from ucmlab.scenarios.loading import library_names, library_story

WIDTH = 76


class Proofs:
    """Collects which tests carry which rules."""

    def __init__(self) -> None:
        """Nothing collected yet."""
        self.tests: dict[str, set[str]] = defaultdict(set)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """See every test that was collected, whatever its markers select later."""
        for item in session.items:
            for marker in item.iter_markers("rule"):
                for rule in marker.args:
                    self.tests[rule].add(item.nodeid.partition("[")[0])


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


def stories() -> Mapping[str, set[str]]:
    """Rule to stories."""
    named: dict[str, set[str]] = defaultdict(set)
    for story in map(library_story, library_names()):
        for rule in NAME.findall(story.text):
            named[rule].add(f"story {story.name}")
    return named


def report(rules: Mapping[str, str], proved: Mapping[str, set[str]], shown: Mapping[str, set[str]]) -> Iterable[str]:
    """The rules with a check, each with what proves it, then the open ones."""
    witnesses = {rule: sorted(proved.get(rule, ())) + sorted(shown.get(rule, ())) for rule in rules}
    for rule, named in witnesses.items():
        if named:
            yield f"{rule}  {_short(rules[rule])}"
            yield from (f"       {witness}" for witness in named)
    yield ""
    yield "Not proved yet:"
    yield from (f"{rule}  {_short(rules[rule])}" for rule, named in witnesses.items() if not named)
    beyond = sorted(proved.keys() - rules.keys())
    yield ""
    yield f"{sum(map(bool, witnesses.values()))} of {len(rules)} rules with a check are proved or shown."
    yield f"Beyond them: {', '.join(beyond)}"


def main() -> int:
    """Print the report."""
    if not RULE_BOOK.exists():
        sys.stdout.write(f"skipped: the rule book is not here ({RULE_BOOK})\n")
        return 0
    sys.stdout.writelines(f"{line}\n" for line in report(checked_rules(), proofs(), stories()))
    return 0


def _short(text: str) -> str:
    return text if len(text) <= WIDTH else text[: WIDTH - 1].rstrip() + "…"


if __name__ == "__main__":
    sys.exit(main())
