"""Which command a line means, and what can follow the beginning of one (`commands.toml`). No I/O."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from os.path import commonprefix

import msgspec

from ucmlab.cluster.admin.terminal.machine import Advice


class CommandRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of `commands.toml`."""

    rule: str
    syntax: str
    privilege: int
    help: str
    does: str
    choices: Mapping[str, str] = {}
    """What `?` says of a word of `{a|b}` instead."""
    of_publisher: str = ""
    """What the command changes that only the publisher may; empty: each node may."""


class _Word(msgspec.Struct, frozen=True):
    """One word of a syntax."""

    name: str
    """Under which what was typed is given to the command."""
    choices: tuple[str, ...] = ()
    """What may stand there; empty: anything."""
    optional: bool = False
    rest: bool = False

    def fits(self, typed: str) -> bool:
        return not self.choices or typed in self.choices


class Command(msgspec.Struct, frozen=True):
    """A command that a line means."""

    row: CommandRow
    given: Mapping[str, str]
    """What was typed for choices and free words, by name: the choices of `{a|b}` joined, or the word in lower case."""


class Grammar:
    """The commands that an account may use."""

    def __init__(self, rows: Iterable[CommandRow], privilege: int) -> None:
        """Take those that need no more than this privilege."""
        self._all = [(row, _words(row.syntax)) for row in rows]
        self._privilege = privilege

    def read(self, line: str) -> Command | None:
        """The command of a line, permitted or not; None: it means none."""
        typed = line.split()
        for row, words in self._all:
            given = _fit(words, typed)
            if given is not None:
                return Command(row, given)
        return None

    def permits(self, command: Command) -> bool:
        """Whether the account may use it."""
        return command.row.privilege <= self._privilege

    def complete(self, line: str) -> Advice:
        """What Tab does: go on as far as there is one way only, else tell the ways."""
        *before, begun = _split(line)
        ways = sorted({word for word in self._followers(before) if word.startswith(begun)})
        if not ways:
            return Advice()
        more = commonprefix(ways)[len(begun) :] + (" " if len(ways) == 1 else "")  # noqa: RUF071  of characters
        return Advice(more) if more else Advice(lines=tuple(ways))

    def explain(self, line: str) -> Advice:
        """What `?` tells: the words that can follow, with the help of commands that end there."""
        *before, begun = _split(line)
        told: dict[str, str] = {}
        for row, words in self._permitted():
            for word, last in _after(words, before):
                for name in word.choices or (word.name.upper(),):
                    if name.startswith(begun) or not word.choices:
                        told.setdefault(name, row.choices.get(name, row.help if last else ""))
        width = max(map(len, told), default=0)
        lines = (f"    {name:<{width}}  {text}".rstrip() for name, text in sorted(told.items()))
        return Advice(lines=tuple(lines))

    def _followers(self, before: list[str]) -> Iterator[str]:
        for _, words in self._permitted():
            for word, _ in _after(words, before):
                yield from word.choices

    def _permitted(self) -> Iterator[tuple[CommandRow, tuple[_Word, ...]]]:
        return ((row, words) for row, words in self._all if row.privilege <= self._privilege)


@lru_cache(maxsize=1)
def rows() -> tuple[CommandRow, ...]:
    """The table."""
    text = files("ucmlab.cluster.admin.terminal").joinpath("commands.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text)["command"], tuple[CommandRow, ...])


def _words(syntax: str) -> tuple[_Word, ...]:
    return tuple(map(_word, syntax.split()))


def _word(text: str) -> _Word:
    if text.startswith("["):
        return msgspec.structs.replace(_word(text[1:-1]), optional=True)
    if text.startswith("{"):
        return _Word(text[1:-1], choices=tuple(text[1:-1].split("|")))
    if not text.isupper():
        return _Word("", choices=(text,))
    return _Word(text.removesuffix("...").lower(), rest=text.endswith("..."))


def _fit(words: tuple[_Word, ...], typed: list[str]) -> dict[str, str] | None:
    """What was typed for each word, by name; None: the line is another command, or not all of this one."""
    if not words:
        return None if typed else {}
    first, others = words[0], words[1:]
    if first.rest and typed:
        return {first.name: " ".join(typed)}
    if typed and first.fits(typed[0]):
        found = _fit(others, typed[1:])
        if found is not None:
            return {first.name: typed[0], **found} if first.name else found
    return _fit(others, typed) if first.optional else None


def _after(words: tuple[_Word, ...], before: list[str]) -> Iterator[tuple[_Word, bool]]:
    """The words of a syntax that can follow those that were typed, and whether the command may end with them."""
    if not words:
        return
    first, others = words[0], words[1:]
    if not before:
        yield first, all(word.optional for word in others)
    elif first.fits(before[0]) and not first.rest:
        yield from _after(others, before[1:])
    elif first.rest:
        yield first, True
    if first.optional:
        yield from _after(others, before)


def _split(line: str) -> list[str]:
    """The words of the beginning of a line; the last is the one that is being typed, empty after a blank."""
    return [*line.split(), ""] if not line or line[-1].isspace() else line.split()
