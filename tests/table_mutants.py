"""What `make table-mutants` runs: every cell of `node/rules`, changed one at a time; a test must notice each change.

`python -m tests.table_mutants [TABLE…]`. The tests are those of `tests/unit/node/test_tables_*.py`, called here with a
changed table in its file's place. Rules that cannot be loaded are noticed too. What leaves every rule book as it was (a
gate that admits the same releases, a row that a later one replaces) is no change. Exit status 1 when one is missed.
"""

import argparse
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module, resources
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from tests.table_changes import Table, changes
from tests.unit.node.rule_tables import books
from ucmlab.node import rulebook

TESTS = Path(__file__).parent / "unit" / "node"
Check = Callable[[], None]
Verdict = Literal["noticed", "no change", "missed"]
_GATES = ("rule", "since", "until", "profiles")
"""Cells that say where a row is from and where it holds: the books show the latter, without them."""
_SEEN = {"CsrProfile": ("cells", "offers_multi_server")}
"""By kind of row: what is asked of it, where its cells are only the way to say that."""


class Laboratory:
    """Rule books made of tables in memory, and the tests that look at them."""

    def __init__(self, tables: Mapping[str, Table], checks: Sequence[Check], patch: pytest.MonkeyPatch) -> None:
        """Put the tables in the place of their files.

        Raises:
            RuntimeError: nobody reads one of them, or a test fails as it is.
        """
        self._tables = dict(tables)
        self._checks = list(checks)
        self._read: set[str] = set()
        patch.setattr(rulebook, "_table", self._table)
        _forget()
        self._books = observed()
        if unread := tables.keys() - self._read:
            raise RuntimeError(f"ucmlab.node.rulebook reads no table {', '.join(sorted(unread))}")
        if self._noticed():
            raise RuntimeError(f"{self._checks[0].__name__} fails with the tables as they are; say make test")

    def judge(self, name: str, changed: Table) -> Verdict:
        """Whether a test notices that a table is another."""
        whole = self._tables[name]
        self._tables[name] = changed
        _forget()
        try:
            if self._noticed():
                return "noticed"
            return "no change" if observed() == self._books else "missed"
        finally:
            self._tables[name] = whole
            _forget()

    def _table(self, name: str) -> Table:
        self._read.add(name)
        return self._tables[name]

    def _noticed(self) -> bool:
        for check in self._checks:
            try:
                check()
            except Exception:  # noqa: BLE001  # however a test fails, it has noticed
                # The next change is of the same table, most of the time: who noticed this one looks first.
                self._checks.remove(check)
                self._checks.insert(0, check)
                return True
        return False


def observed() -> list[object]:
    """What every rule book says, without what is only the way to say it."""
    return [_plain(book) for _, _, book in books()]


def _plain(value: object) -> object:
    match value:
        case msgspec.Struct():
            seen = _SEEN.get(type(value).__name__, value.__struct_fields__)
            return {name: _plain(getattr(value, name)) for name in seen if name not in _GATES}
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case tuple():
            return tuple(map(_plain, value))
        case _:
            return value


def _forget() -> None:
    """Have the rules read anew."""
    for kept in vars(rulebook).values():
        if hasattr(kept, "cache_clear"):
            kept.cache_clear()


def all_tables() -> dict[str, Table]:
    """The tables by the names of their files."""
    files = [each for each in resources.files("ucmlab.node.rules").iterdir() if each.name.endswith(".toml")]
    return {each.name.removesuffix(".toml"): tomllib.loads(each.read_text(encoding="utf-8")) for each in files}


def all_checks() -> list[Check]:
    """The tests that hold the tables against the documents; they take no arguments."""
    modules = [import_module(f"tests.unit.node.{path.stem}") for path in sorted(TESTS.glob("test_tables_*.py"))]
    return [each for module in modules for name, each in vars(module).items() if name.startswith("test_")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Change, judge and print; returns the exit status."""
    tables = all_tables()
    parser = argparse.ArgumentParser(prog="python -m tests.table_mutants", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="TABLE", help=f"of {', '.join(sorted(tables))}")
    chosen = parser.parse_args(arguments).names or sorted(tables)
    unknown = [name for name in chosen if name not in tables]
    if unknown:
        parser.error(f"there is no table {unknown[0]!r}; there are {', '.join(sorted(tables))}")
    missed = 0
    with pytest.MonkeyPatch.context() as patch:
        laboratory = Laboratory(tables, all_checks(), patch)
        for name in chosen:
            missed += _judge_table(laboratory, name, tables[name])
    print(f"{missed} changes of rules that no test notices")  # noqa: T201  # its purpose
    return min(missed, 1)


def _judge_table(laboratory: Laboratory, name: str, table: Table) -> int:
    """How many changes of a table were missed, after telling each."""
    began = time.monotonic()
    count: Counter[Verdict] = Counter()
    for what, changed in changes(table):
        verdict = laboratory.judge(name, changed)
        count[verdict] += 1
        if verdict == "missed":
            print(f"MISSED  {name}.toml: {what}")  # noqa: T201
    told = ", ".join(f"{count[verdict]:,} {verdict}" for verdict in ("noticed", "no change", "missed"))
    print(f"{name:<12}{count.total():6,} changes: {told}; {time.monotonic() - began:.1f} s", flush=True)  # noqa: T201
    return count["missed"]


if __name__ == "__main__":
    raise SystemExit(main())
