"""Every word that says no is in a table, of refusals or of handshakes (design 7.1): the source itself is read."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from ucmlab.node.handshake_reasons import reasons
from ucmlab.node.rulebook import RuleBook

ROOT = Path(__file__).parents[2]
FOLDERS = ("node", "publisher", "cluster", "scenarios")
"""Not the broker: MQTT has reason codes of its own."""
OUTCOMES = frozenset({"refused", "partial", "indefinite"})
"""After which a reason comes, in replies and in what is handed on to them."""
FACTS = frozenset({"record"})
"""The journal's reasons are its own."""


def words_in(source: str) -> set[str]:
    """Reason words that a module says."""
    return {word for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) for word in _said(node)} - {""}


def _said(call: ast.Call) -> Iterator[str]:
    called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if called in FACTS:
        return
    if called == "Refusal":
        yield from _texts(call.args[:1])
    for before, argument in zip(call.args, call.args[1:], strict=False):
        if OUTCOMES.intersection(_texts([before])):
            yield from _texts([argument])
    yield from _texts([keyword.value for keyword in call.keywords if keyword.arg == "reason"])


def _texts(arguments: list[ast.expr]) -> Iterator[str]:
    """Strings that an argument may be: itself, or one of two."""
    for argument in arguments:
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            yield argument.value
        elif isinstance(argument, ast.IfExp):
            yield from _texts([argument.body, argument.orelse])


def test_every_reason_word_of_the_source_has_a_text() -> None:
    modules = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    said = {word: path.name for path in modules for word in words_in(path.read_text(encoding="utf-8"))}
    known = RuleBook.load("14SU2").refusals.keys() | reasons().keys()
    assert {word: module for word, module in said.items() if word not in known} == {}
    assert {"signature", "format", "chain_incomplete", "node_down", "already_present"} <= said.keys()


@pytest.mark.parametrize(
    "source",
    [
        "raise Refusal('word', text)",
        "raise errors.Refusal('word' if odd else '', text)",
        "self._end(operation, 'partial', reason='word')",
        "Reply(op_id, 'refused', 'word', text)",
        "Chain(reason='word')",
    ],
)
def test_a_word_is_found_however_it_is_said(source: str) -> None:
    assert words_in(source) == {"word"}


def test_what_the_journal_tells_is_no_reason_word() -> None:
    assert words_in("self._context.record('bus_refused', op_id, reason='topic')") == set()
