"""`ucmlab explore`: exit status, --json, the list of plants, and the command that plays a seed again."""

import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ucmlab.cluster.cli.root import root
from ucmlab.cluster.search.plants import PLANTS

SMALL = ("--nodes", "pub,sub1,sub2", "--operations", "20")


def explore(*arguments: str) -> Result:
    return CliRunner().invoke(root(), ["explore", *arguments])


def test_what_holds_ends_0_and_says_so() -> None:
    result = explore("--seeds", "3", *SMALL)
    assert result.exit_code == 0
    assert result.stdout.startswith("held: 3 seeds of 3 nodes in modern, 0 failed;")


def test_what_fails_ends_1_and_names_the_command_that_plays_it_again() -> None:
    result = explore("--seeds", "5", "--plant", "replies-twice", "--stop-after", "1", *SMALL)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert [line.split(":")[0] for line in lines[1:]] == ["again", "failed"]
    again = shlex.split(lines[1].removeprefix("again: "))
    assert again[:2] == ["ucmlab", "explore"]


@pytest.mark.rule("S17")
def test_the_command_named_again_plays_the_same_violation(tmp_path: Path) -> None:
    first = explore("--seeds", "5", "--plant", "replies-twice", "--stop-after", "1", "--json", *SMALL)
    (failed,) = json.loads(first.stdout)["failed"]
    journal = tmp_path / "journal.jsonl"
    again = explore(*shlex.split(failed["again"])[2:], "--json", "--journal", str(journal))
    assert again.exit_code == 1
    assert json.loads(again.stdout)["failed"] == [failed]
    assert len(journal.read_text().splitlines()) > 50


@pytest.mark.parametrize("json_too", [False, True])
def test_the_plants_are_listed_with_who_notices_them(json_too: bool) -> None:  # noqa: FBT001
    result = explore("--list-plants", *(["--json"] if json_too else []))
    assert result.exit_code == 0
    if json_too:
        assert json.loads(result.stdout)["plants"] == {
            name: {"text": plant.text, "invariant": plant.invariant} for name, plant in PLANTS.items()
        }
    else:
        assert all(name in result.stdout and plant.invariant in result.stdout for name, plant in PLANTS.items())


@pytest.mark.parametrize(
    "arguments",
    [
        ("--seeds", "0"),
        ("--plant", "no-such-bug"),
        ("--replication", "auto", "--release", "9.9"),
        ("--nodes", "sub1,sub2"),
        ("--journal", "/no/such/folder/journal", *SMALL),
    ],
    ids=["seeds", "plant", "release", "nodes", "journal"],
)
def test_what_cannot_be_asked_ends_2_with_one_line(arguments: tuple[str, ...]) -> None:
    result = explore(*arguments)
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1


def test_auto_is_the_policy_of_the_release() -> None:
    result = explore("--seeds", "1", "--replication", "auto", "--release", "10.5", *SMALL)
    assert (result.exit_code, "in legacy" in result.stdout) == (0, True)
