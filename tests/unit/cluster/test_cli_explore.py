"""`ucmlab explore`: exit status, --json, the list of plants, and the command that plays a seed again."""

import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ucmlab.cluster.cli.root import root
from ucmlab.cluster.search.plants import PLANTS

SMALL = ("--nodes", "pub,sub1,sub2", "--operations", "20")


@pytest.fixture(autouse=True)
def _somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is kept in the working directory."""
    monkeypatch.chdir(tmp_path)


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
    beginnings = ["again: ", "shrunk: ", "  ucmlab replay ucmlab-findings/", "kept in ucmlab-findings: ", "failed: "]
    assert [line.startswith(begins) for line, begins in zip(lines[1:], beginnings, strict=True)] == [True] * 5
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
        ("--keep", f"{__file__}/findings", *SMALL),
        ("--findings", "/dev/null", *SMALL),
    ],
    ids=["seeds", "plant", "release", "nodes", "journal", "keep", "findings"],
)
def test_what_cannot_be_asked_ends_2_with_one_line(arguments: tuple[str, ...]) -> None:
    result = explore(*arguments)
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1


def test_what_a_policy_does_not_promise_is_found_and_said_to_be_so() -> None:
    result = explore("--seeds", "1", "--replication", "legacy", *SMALL)
    assert result.exit_code == 1
    assert "legacy does not promise S3: R-078 (C-01" in result.stdout
    promised = explore("--seeds", "1", "--replication", "legacy", "--judge", "promised", *SMALL)
    assert (promised.exit_code, "does not promise" in promised.stdout) == (0, False)


def test_the_invariants_are_listed_with_the_policies_that_promise_them() -> None:
    listed = json.loads(explore("--list-invariants", "--json").stdout)["invariants"]
    assert listed["S3"]["broken_by"].keys() == {"faithful", "legacy"}
    assert "S14" in explore("--list-invariants").stdout


def test_auto_is_the_policy_of_the_release() -> None:
    result = explore("--seeds", "1", "--replication", "auto", "--release", "10.5", "--judge", "promised", *SMALL)
    assert (result.exit_code, "in legacy" in result.stdout) == (0, True)


def test_what_failed_is_kept_and_the_first_seed_of_a_finding_told_as_a_story(tmp_path: Path) -> None:
    result = explore("--seeds", "3", "--replication", "legacy", "--keep", "found", *SMALL)
    lines = result.stdout.splitlines()
    assert "  ucmlab replay found/s3_legacy_0.py" in lines
    assert "kept in found: 3 failing seeds of 1 finding" in lines
    names = ["s3_legacy_0.json", "s3_legacy_0.py", "s3_legacy_1.json", "s3_legacy_2.json"]
    assert sorted(path.name for path in (tmp_path / "found").iterdir()) == names


def test_without_shrinking_or_keeping_less_is_written(tmp_path: Path) -> None:
    explore("--seeds", "1", "--replication", "legacy", "--no-shrink", *SMALL)
    assert [path.name for path in (tmp_path / "ucmlab-findings").iterdir()] == ["s3_legacy_0.json"]
    explore("--seeds", "1", "--replication", "legacy", "--no-shrink", "--no-keep", *SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["ucmlab-findings"]


def test_a_file_of_findings_tells_what_is_new_and_what_is_still_there() -> None:
    legacy = ("--seeds", "1", "--replication", "legacy", "--no-keep", "--findings", "findings.json", *SMALL)
    assert "new: legacy: S3 " in explore(*legacy).stdout
    assert "still: legacy: S3 " in explore(*legacy).stdout
    unbroken = explore("--seeds", "1", "--findings", "findings.json", *SMALL)
    assert (unbroken.exit_code, "still: legacy: S3 " in unbroken.stdout) == (0, True)
    changes = json.loads(explore(*legacy, "--json").stdout)["findings"]
    assert [change["finding"]["status"] for change in changes] == ["still"]
