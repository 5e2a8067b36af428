"""What `make table-mutants` changes, and who is there to notice."""

import inspect

import pytest

from tests.table_changes import changes
from tests.table_mutants import Laboratory, all_checks, all_tables
from ucmlab.node.rulebook import RuleBook

TABLE = {
    "unit": [
        {"rule": "B.1", "name": "ab", "roles": ["pub", "imp"], "since": "14", "can": True},
        {"rule": "B.2", "name": "cd", "roles": ["pub", "sub"], "cells": "Y .", "start_s": [3]},
    ]
}
WORDS = [
    "unit dropped",
    "unit 1 (ab) dropped",
    "unit 1 (ab) name dropped",
    "unit 1 (ab) name 'ab' is 'ax'",
    "unit 1 (ab) name 'ab' is 'cd'",
    "unit 1 (ab) roles dropped",
    "unit 1 (ab) roles 'pub' dropped",
    "unit 1 (ab) roles 'pub' 'pub' is 'pxb'",
    "unit 1 (ab) roles 'pub' 'pub' is 'imp'",
    "unit 1 (ab) roles 'pub' 'pub' is 'sub'",
    "unit 1 (ab) roles 'imp' dropped",
    "unit 1 (ab) roles 'imp' 'imp' is 'ixp'",
    "unit 1 (ab) roles 'imp' 'imp' is 'pub'",
    "unit 1 (ab) roles 'imp' 'imp' is 'sub'",
    "unit 1 (ab) roles has 'sub' besides",
    "unit 1 (ab) since dropped",
    "unit 1 (ab) since '14' is '1x'",
    "unit 1 (ab) since '14' is '12.5'",
    "unit 1 (ab) since '14' is '14SU1'",
    "unit 1 (ab) can dropped",
    "unit 1 (ab) can is False",
    "unit 1 (ab) cells is 'Y .'",
    "unit 1 (ab) start_s is [3]",
    "unit 2 (cd) dropped",
    "unit 2 (cd) name dropped",
    "unit 2 (cd) name 'cd' is 'cx'",
    "unit 2 (cd) name 'cd' is 'ab'",
    "unit 2 (cd) roles dropped",
    "unit 2 (cd) roles 'pub' dropped",
    "unit 2 (cd) roles 'pub' 'pub' is 'pxb'",
    "unit 2 (cd) roles 'pub' 'pub' is 'sub'",
    "unit 2 (cd) roles 'pub' 'pub' is 'imp'",
    "unit 2 (cd) roles 'sub' dropped",
    "unit 2 (cd) roles 'sub' 'sub' is 'sxb'",
    "unit 2 (cd) roles 'sub' 'sub' is 'pub'",
    "unit 2 (cd) roles 'sub' 'sub' is 'imp'",
    "unit 2 (cd) roles has 'imp' besides",
    "unit 2 (cd) cells dropped",
    "unit 2 (cd) cells 'Y .': mark 1 is N",
    "unit 2 (cd) cells 'Y .': mark 1 is .",
    "unit 2 (cd) cells 'Y .': mark 2 is Y",
    "unit 2 (cd) cells 'Y .': mark 2 is N",
    "unit 2 (cd) start_s dropped",
    "unit 2 (cd) start_s 3 dropped",
    "unit 2 (cd) start_s 3 3 is 4",
    "unit 2 (cd) since is '14'",
    "unit 2 (cd) can is True",
]


def test_every_cell_is_changed_in_every_way_and_one_at_a_time() -> None:
    before = repr(TABLE)
    made = list(changes(TABLE))
    assert [what for what, _ in made] == WORDS
    assert len({repr(table) for _, table in made} | {before}) == len(made) + 1
    assert repr(TABLE) == before


def test_a_change_is_noticed_or_missed_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def check() -> None:
        assert RuleBook.load("15").units["tomcat"].folder.endswith("/tomcat")

    tables = all_tables()
    laboratory = Laboratory(tables, [check], monkeypatch)
    units = [*tables["units"]["unit"]]
    tomcat, late = units[0], next(unit for unit in units if unit.get("until") == "14")
    assert (tomcat["name"], late["name"]) == ("tomcat", "CAPF")

    def judged(unit: dict[str, object], **cells: object) -> str:
        return laboratory.judge("units", {"unit": [each | (cells if each is unit else {}) for each in units]})

    assert judged(tomcat, folder="elsewhere") == "noticed"
    assert judged(tomcat, name="tomcut") == "noticed"
    assert judged(tomcat, roles=["pub"]) == "missed"
    assert judged(late, until="") == "no change"  # the row of the later releases comes after it
    assert judged(tomcat, rule="ours") == "no change"
    assert RuleBook.load("15").units["tomcat"].folder == tomcat["folder"]


def test_a_table_that_nobody_reads_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match=r"reads no table forgotten$"):
        Laboratory({**all_tables(), "forgotten": {}}, [], monkeypatch)


def test_tests_that_fail_already_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def check() -> None:
        raise AssertionError

    with pytest.raises(RuntimeError, match=r"^check fails with the tables as they are"):
        Laboratory(all_tables(), [check], monkeypatch)


def test_the_tests_of_the_tables_take_no_arguments() -> None:
    checks = all_checks()
    assert len(checks) >= 9
    assert [check for check in checks if inspect.signature(check).parameters] == []
