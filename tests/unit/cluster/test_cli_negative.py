"""Negative values on the command line: -48h is what it looks like, and -h is a call for help, at every command."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tests.unit.cluster.cli_lab import Bench, FakeLink, make_home, run
from ucmlab.cluster.cli.root import root
from ucmlab.cluster.cli.signed import SignedCommand


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    home = make_home(tmp_path / "lab")
    return Bench(home, FakeLink(home), monkeypatch)


def commands(group: click.Group, *path: str) -> Iterator[tuple[str, ...]]:
    """The words of every command that does something."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield (*path, name)


@pytest.mark.parametrize("asked", ["-h", "--help"])
def test_every_command_gives_help_when_asked_for_it(asked: str) -> None:
    for words in commands(root()):
        result = run(*words, asked)
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout.startswith(f"Usage: ucmlab {' '.join(words)} ")
        assert "-h, --help" in result.stdout
        assert "\\b" not in result.stdout, "a mark for click, whose docstring must not be raw"


def test_a_list_of_help_keeps_its_lines() -> None:
    assert "\n  memory      what a further node needs\n  upload " in run("bench", "--help").stdout


def test_help_is_given_behind_arguments_too() -> None:
    assert run("fault", "clock", "sub1", "-48h", "-h").stdout.startswith("Usage: ucmlab fault clock ")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("time advance -48h", "'-48h' is no duration"),
        ("time speed -2", "-2"),
        ("time speed -.5", "-0.5"),
        ("fault clock sub1 -48", "offset=-48 of clock is no offset"),
        ("fault inject clock sub1 -48h", "'-48h' is no parameter"),
        ("fault lose sub1 -48h", "'-48h' is no parameter"),
        ("fault lose sub1 --until -48h", "'-48h' is no duration"),
        ("age sub1 tomcat --expires-in -48h", "'-48h' is no duration"),
        ("fault clock sub1 -48h -1h", "unexpected extra argument (-1h)"),
        ("fault clock sub1 --jsn -48h", "No such option '--jsn'"),
        ("fault clock sub1 -x -48h", "No such option '-x'"),
        ("fault clock sub1", "Missing argument"),
    ],
)
def test_a_negative_value_is_judged_as_a_value(lab: Bench, words: str, why: str) -> None:
    result = lab.run(*words.split())
    assert (result.exit_code, result.stdout, lab.link.ledger.declared) == (2, "", [])
    assert why in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_option_without_its_value_is_named() -> None:
    result = run("fault", "clock", "sub1", "-48h", "--dir")
    assert result.exit_code == 2
    assert "'--dir' requires an argument" in result.stderr


def test_an_option_takes_what_follows_it_whatever_it_is() -> None:
    seen: list[object] = []

    @click.command(cls=SignedCommand)
    @click.argument("words", nargs=-1)
    @click.option("--span", "-s", type=(str, str))
    @click.option("-v", count=True)
    @click.option("--on/--off")
    def command(**given: object) -> None:
        seen.append(given)

    command.main(["-1", "-s", "-2", "--on", "-v", "x", "-v", "--off", "-", "-.3", "--", "--on"], standalone_mode=False)
    assert seen == [{"words": ("-1", "x", "-", "-.3", "--on"), "span": ("-2", "--on"), "v": 2, "on": False}]
