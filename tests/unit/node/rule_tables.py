"""What the transcriptions of the rule tables share: how they are read, and what rows say otherwise.

They stand in `test_tables_*.py`, written from the documents and not from `node/rules`, so a cell that changes there
alone is a test that fails; `make table-mutants` changes each one to see it. To be run by it, in its own process and a
thousand times, these tests take no arguments and see the tables through `RuleBook` alone.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import TypeVar

from ucmlab.node.rulebook import Role, RuleBook

RELEASES = ("10.5", "11.0", "11.5", "12.0", "12.5", "14", "14SU1", "14SU2", "14SU3", "15")
PROFILES = ("seed", "english", "tac")
_ROLES: dict[str, Role] = {"P": "pub", "S": "sub", "T": "tftp", "I": "imp"}
_APART = re.compile(r" {2,}")
Key = TypeVar("Key")


def books() -> Iterator[tuple[str, str, RuleBook]]:
    """Every rule book there is, with its release and its profile."""
    for release, profile in product(RELEASES, PROFILES):
        yield release, profile, RuleBook.load(release, profile)


def read(table: str, columns: str) -> list[dict[str, str]]:
    """The rows of a table: cells are two blanks apart, `-` is an empty one, `#` begins a remark on where it is from."""
    lines = [line.partition("#")[0].strip() for line in table.splitlines()]
    return [_row(line, columns.split()) for line in lines if line]


def _row(line: str, columns: list[str]) -> dict[str, str]:
    cells = ["" if cell == "-" else cell for cell in _APART.split(line)]
    return dict(zip(columns, cells, strict=True))


def in_release(release: str, span: str) -> bool:
    """Whether a release is in `14..` (that one and later), `..14` (before it), or in an empty span, which has all."""
    first, _, end = span.partition("..")
    at = RELEASES.index(release)
    return (not first or at >= RELEASES.index(first)) and (not end or at < RELEASES.index(end))


def roles(letters: str) -> tuple[Role, ...]:
    """P publisher, S subscriber, T TFTP node, I IM and Presence."""
    return tuple(_ROLES[letter] for letter in letters)


def differences(rows: Mapping[Key, object], expected: Mapping[Key, Mapping[str, object]]) -> list[str]:
    """What rows say otherwise than expected, a line each; what nothing is expected of may say what it likes."""
    told = [f"{key} is missing" for key in expected if key not in rows]
    told += [f"{key} is there besides" for key in rows if key not in expected]
    told += [
        f"{key}: {field} is {getattr(rows[key], field)!r}, not {value!r}"
        for key, fields in expected.items()
        if key in rows
        for field, value in fields.items()
        if getattr(rows[key], field) != value
    ]
    return told
