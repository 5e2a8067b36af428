"""Every way to change one cell of a table: what `make table-mutants` tries.

A mark becomes each other mark, a truth its contrary, a number the next, a word a misspelt one and others of its column.
A list loses each item and gets a strange one; a row loses each cell and gets what others have; a table loses each row;
a gate moves by a release. The numbers of rules are no cells: they say where a row is from.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from tests.unit.node.rule_tables import RELEASES

Table = dict[str, Any]
Change = tuple[str, Any]
"""What is changed, and what there is then."""
_MARKS = re.compile(r"[YN.]( [YN.])+")
_GATES = ("since", "until")
_NAMES = ("name", "unit", "units")
_OTHERS = 2
"""So many other words of its column are tried in a cell."""


def changes(table: Table) -> Iterator[tuple[str, Table]]:
    """Each change of one cell, in words, and the table with it; nothing is changed in place."""
    yield from _row(table, ())


def _row(row: Table, peers: Sequence[object]) -> Iterator[Change]:
    """Of a row with named cells; peers are rows of the same kind."""
    rows = [peer for peer in peers if isinstance(peer, dict)]
    for key, cell in row.items():
        if key == "rule":
            continue
        yield f"{key} dropped", {name: other for name, other in row.items() if name != key}
        for what, changed in _cell(cell, _column(key, row, rows)):
            yield f"{key} {what}", row | {key: changed}
    for key in dict.fromkeys(name for peer in rows for name in peer if name not in row and name != "rule"):
        given = next(peer[key] for peer in rows if key in peer)
        yield f"{key} is {given!r}", row | {key: given}


def _column(key: str, row: Table, rows: Sequence[Table]) -> Sequence[object]:
    """What stands in the same cell elsewhere: in rows of the same kind, or in other cells of a row that has no like."""
    if key in _GATES and row[key] in RELEASES:
        at = RELEASES.index(row[key])
        return RELEASES[max(at - 1, 0) : at + 2]
    if not rows:
        return [row[name] for name in row if name != key]
    return [peer[key] for peer in rows if key in peer]


def _cell(cell: object, peers: Sequence[object]) -> Iterator[Change]:
    match cell:
        case bool():
            yield f"is {not cell}", not cell
        case int() | float():
            yield f"{cell} is {cell + 1}", cell + 1
        case str():
            yield from _text(cell, peers)
        case list():
            yield from _list(cell, peers)
        case dict():
            yield from _row(cell, peers)
        case _:
            raise TypeError(f"nothing is known to change in {cell!r}")


def _text(text: str, peers: Sequence[object]) -> Iterator[Change]:
    if _MARKS.fullmatch(text):
        for at in range(0, len(text), 2):
            for mark in "YN.".replace(text[at], ""):
                yield f"{text!r}: mark {at // 2 + 1} is {mark}", text[:at] + mark + text[at + 1 :]
        return
    at = len(text) // 2
    misspelt = text[:at] + ("x" if text[at : at + 1] != "x" else "y") + text[at + 1 :]
    others = dict.fromkeys(peer for peer in peers if isinstance(peer, str) and peer != text)
    for other in (misspelt, *islice(others, _OTHERS)):
        yield f"{text!r} is {other!r}", other


def _list(items: list[Any], peers: Sequence[object]) -> Iterator[Change]:
    strange = [item for peer in peers if isinstance(peer, list) for item in peer]
    for at, item in enumerate(items):
        before, after = items[:at], items[at + 1 :]
        called = _called(item, at)
        yield f"{called} dropped", before + after
        for what, changed in _cell(item, [*before, *after, *strange]):
            yield f"{called} {what}", [*before, changed, *after]
    for item in islice((item for item in strange if item not in items), 1):
        yield f"has {item!r} besides", [*items, item]


def _called(item: object, at: int) -> str:
    """How an item is told from the others: a row by its place and its name, anything else by itself."""
    if not isinstance(item, dict):
        return repr(item)
    return f"{at + 1} ({next((item[name] for name in _NAMES if name in item), '')})"
