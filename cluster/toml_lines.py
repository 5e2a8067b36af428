"""On which line of a TOML text each key stands, and each element of its list: what `tomllib` reads and does not tell.

`tomllib` names a line for wrong syntax only, and what people get wrong is mostly values. Weighed in November 2026:
tomlkit, which everybody uses, tells no positions (it was asked to in 2019, and is still); tomlkit-extras, which adds
them, had its last release in February 2025, spanned-toml, a fork of tomli, in December 2022; tree-sitter-toml
(December 2024) tells every position, but is two compiled packages and another grammar than the one that reads the
values. What `tomllib` has accepted needs no grammar any more: to cut it into words is enough, and a property test
holds the result to what `tomllib` reads.
"""

import re
import tomllib
from collections.abc import Iterator, Sequence

import msgspec

Word = tuple[str, int]
"""A string, a name, a number or a punctuation mark as it is written, and the line on which it begins."""

_WORD = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'  # a string may end in two quotation marks of its own
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'"
    r"|#[^\n]*"
    r"|\n"
    r"|[\[\]{}=,]"
    r"|[^\[\]{}=,\s\"'#]+",
    re.DOTALL,
)
_DEEPER = {"[": 1, "{": 1, "]": -1, "}": -1}


class Lines(msgspec.Struct, frozen=True):
    """Lines, from 1: of top-level keys (of a table, its first line), and of each element where the value is a list."""

    keys: dict[str, int]
    elements: dict[str, tuple[int, ...]]


def line_numbers(text: str) -> Lines:
    """Find the lines of a text that `tomllib` accepts; of any other the result means nothing."""
    lines = Lines({}, {})
    in_table = False
    for statement in _statements(text):
        first, line = statement[0]
        if first == "[":
            in_table = True
            name = next(word for word, _ in statement if word != "[")
            lines.keys.setdefault(_first_part(name), line)
        elif not in_table:
            key = _first_part(first)
            lines.keys.setdefault(key, line)
            if [word for word, _ in statement[1:3]] == ["=", "["]:
                lines.elements[key] = tuple(_element_lines(statement[3:-1]))
    return lines


def _words(text: str) -> Iterator[Word]:
    line = 1
    for found in _WORD.finditer(text):
        word = found[0]
        if not word.startswith("#"):
            yield word, line
        line += word.count("\n")


def _statements(text: str) -> Iterator[Sequence[Word]]:
    """The words of each `key = value` and each `[table]`, over as many lines as its brackets need."""
    statement: list[Word] = []
    depth = 0
    for word, line in _words(text):
        depth += _DEEPER.get(word, 0)
        if word != "\n":
            statement.append((word, line))
        elif depth == 0 and statement:
            yield statement
            statement = []
    if statement:
        yield statement


def _element_lines(words: Sequence[Word]) -> Iterator[int]:
    depth, between = 0, True
    for word, line in words:
        if word == "," and depth == 0:
            between = True
            continue
        if between:
            yield line
            between = False
        depth += _DEEPER.get(word, 0)


def _first_part(name: str) -> str:
    """The first part of a dotted name, without quotation marks."""
    if name.startswith(('"', "'")):
        return next(iter(tomllib.loads(f"{name} = 0")))
    return name.partition(".")[0]
