"""The rule book's identifiers, so that a test can name what it proves and a report can say what nobody proves.

The rule book lies beside the checkout (`../shared/docs`), not in it. Where it is absent, only the form of a name can be
checked.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
RULE_BOOK = ROOT.parent / "shared" / "docs" / "domain.md"
INVARIANTS = RULE_BOOK.with_name("anchors.md")
UNPROVED = Path(__file__).with_name("unproved_rules.toml")

NAME = re.compile(r"R-\d{3}|X-\d{2}|C-\d{2}|[AB]\.\d{1,2}|[SL]\d{1,2}")
"""Rules and rulings of the seed, failure scenarios, sections of tables and facts, invariants."""

_RULE = re.compile(r"^(R-\d{3}) \[[^\]]*\] (.*?)(?: SHOW[:/].*)?$", re.MULTILINE)
_DEFINITION = re.compile(r"^(?:#+ )?(R-\d{3}|X-\d{2}|C-\d{2}|[AB]\.\d{1,2})\b", re.MULTILINE)
_INVARIANT = re.compile(r"^\| ([SL]\d{1,2})\b|\*\*([SL]\d{1,2})\*\*", re.MULTILINE)


def known_names() -> frozenset[str] | None:
    """Every name that the rule book gives; None where it is absent."""
    if not RULE_BOOK.exists() or not INVARIANTS.exists():
        return None
    rules = _DEFINITION.findall(RULE_BOOK.read_text(encoding="utf-8"))
    invariants = [row or said for row, said in _INVARIANT.findall(INVARIANTS.read_text(encoding="utf-8"))]
    return frozenset(rules + invariants)


def numbered_rules() -> Mapping[str, str] | None:
    """Rule to its text, for each rule of the seed; None where the rule book is absent."""
    return dict(_RULE.findall(RULE_BOOK.read_text(encoding="utf-8"))) if RULE_BOOK.exists() else None


def unproved_rules(file: Path = UNPROVED) -> Mapping[str, str]:
    """Rule to the reason why no test proves it.

    Raises:
        ValueError: a rule has two reasons.
    """
    reasons: dict[str, str] = {}
    for group in tomllib.loads(file.read_text(encoding="utf-8")).values():
        for rule in group["rules"]:
            if rule in reasons:
                raise ValueError(f"{file.name} gives two reasons for {rule}")
            reasons[rule] = group["why"]
    return reasons


def why_unknown(name: object, known: frozenset[str] | None) -> str | None:
    """What is wrong with a name; None when it is one of the rule book's."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        return f"{name!r} is no rule's name; they look like R-022, X-04, C-04, B.5, S1"
    if known is not None and name not in known:
        return f"the rule book has no {name}"
    return None
