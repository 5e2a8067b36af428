"""What holds for every test: a `rule` marker names rules that there are."""

import pytest

from tests.rules import known_names, why_unknown


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a whole run in which a test claims to prove a rule that does not exist."""
    known = known_names()
    wrong = {
        f"{item.nodeid}: {problem}"
        for item in items
        for marker in item.iter_markers("rule")
        for problem in (why_unknown(name, known) for name in marker.args)
        if problem is not None
    }
    if wrong:
        raise pytest.UsageError("\n".join(sorted(wrong)))
