"""What a `rule` marker may name, and what the rule report makes of it."""

from pathlib import Path

import pytest

from tests.rule_coverage import Proofs, Row, mistakes, report, rows
from tests.rules import RULE_BOOK, known_names, numbered_rules, unproved_rules, why_unknown

SUITE = """
    import pytest

    @pytest.mark.rule("R-001")
    @pytest.mark.parametrize("story", ["one", pytest.param("two", marks=pytest.mark.rule("R-002"))])
    def test_holds(story):
        pass
"""
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
def test_every_rule_of_the_seed_is_a_row() -> None:
    rules = numbered_rules()
    assert rules is not None
    assert sorted(rules) == [f"R-{number:03}" for number in range(1, 207)]
    assert rules["R-022"].startswith("tomcat-trust, CallManager-trust and Phone-SAST-trust are replicated")
    assert [rule for rule, text in rules.items() if not text or "SHOW" in text or "CHECK" in text] == []


def test_reasons_are_for_rules_and_one_each() -> None:
    reasons = unproved_rules()
    assert [rule for rule in reasons if why_unknown(rule, known_names())] == []
    assert [rule for rule in reasons if not rule.startswith("R-")] == []
    assert all(reasons.values())


def test_two_reasons_for_a_rule_are_one_too_many(tmp_path: Path) -> None:
    file = tmp_path / "reasons.toml"
    file.write_text('[a]\nwhy = "x"\nrules = ["R-001", "R-002"]\n[b]\nwhy = "y"\nrules = ["R-002"]\n')
    with pytest.raises(ValueError, match=r"^reasons.toml gives two reasons for R-002$"):
        unproved_rules(file)


def test_the_report_tells_proofs_and_reasons_from_gaps() -> None:
    texts = {"R-001": "one", "R-002": "two", "R-003": "three " * 20}
    table = rows(texts, {"R-001": {"test_b", "test_a"}, "B.5": {"test_c"}}, {"R-002": "not built"})
    assert table == {"R-001": Row(["test_a", "test_b"]), "R-002": Row([], "not built"), "R-003": Row([])}
    assert list(report(table, texts)) == [
        "3 rules: 1 proved, 1 with a reason why not, 1 uncovered",
        "R-003  three three three three three three three three three three three three thr…",
    ]


def test_reasons_that_nobody_needs_are_mistakes() -> None:
    reasons = {"R-001": "not built", "R-002": "not built", "R-999": "not built", "R9": "not built"}
    assert mistakes(reasons, {"R-001": {"test_b", "test_a"}}, frozenset({"R-001", "R-002"})) == [
        "unproved_rules.toml: the rule book has no R-999",
        "unproved_rules.toml: 'R9' is no rule's name; they look like R-022, X-04, C-04, B.5, S1",
        "unproved_rules.toml: R-001 needs no reason, test_a proves it",
    ]


def test_a_rule_that_one_case_of_a_test_proves_is_that_cases(tmp_path: Path) -> None:
    suite = tmp_path / "test_named_rules.py"
    suite.write_text("\n".join(line[4:] for line in SUITE.splitlines()))
    collected = Proofs()
    plain = ["-p", "no:terminal", "-p", "no:cacheprovider", "-p", "no:asyncio", "-c", "/dev/null", "-W", "ignore"]
    assert pytest.main([*plain, "--collect-only", "--rootdir", str(tmp_path), str(suite)], [collected]) == 0
    assert collected.tests == {
        "R-001": {"test_named_rules.py::test_holds"},
        "R-002": {"test_named_rules.py::test_holds[two]"},
    }
