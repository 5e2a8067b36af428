"""What a `rule` marker may name, and what the rule report makes of it."""

import pytest

from tests.rule_coverage import report
from tests.rules import RULE_BOOK, checked_rules, known_names, why_unknown

here = pytest.mark.skipif(not RULE_BOOK.exists(), reason=f"the rule book is not here ({RULE_BOOK})")


@pytest.mark.parametrize("name", ["R-022", "X-04", "C-04", "A.19", "B.5", "S1", "S16", "L1", "L4"])
def test_a_rule_is_named_as_the_rule_book_names_it(name: str) -> None:
    assert why_unknown(name, known_names()) is None


@pytest.mark.parametrize("name", ["R-22", "r-022", "B5", "", "R-022 ", 22, None])
def test_what_is_no_name_is_refused(name: object) -> None:
    assert why_unknown(name, None) == f"{name!r} is no rule's name; they look like R-022, X-04, C-04, B.5, S1"


@here
@pytest.mark.parametrize("name", ["R-999", "X-99", "B.99"])
def test_a_rule_that_there_is_not_is_refused(name: str) -> None:
    assert why_unknown(name, known_names()) == f"the rule book has no {name}"


@here
def test_rules_without_a_check_need_no_proof() -> None:
    rules = checked_rules()
    assert rules["R-022"].startswith("tomcat-trust, CallManager-trust and Phone-SAST-trust are replicated")
    assert "R-003" not in rules  # "CHECK: none."
    assert "R-093" not in rules  # "CHECK: n/a."


def test_the_report_tells_proofs_from_gaps() -> None:
    lines = list(report({"R-001": "one", "R-002": "two"}, {"R-001": {"test_a"}, "B.5": {"test_b"}}, {}))
    assert lines == [
        "R-001  one",
        "       test_a",
        "",
        "Not proved yet:",
        "R-002  two",
        "",
        "1 of 2 rules with a check are proved or shown.",
        "Beyond them: B.5",
    ]
