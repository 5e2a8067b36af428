"""`ucmlab replay`: a kept seed and its story, played again; exit status and what is said."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ucmlab.cluster.cli.root import root
from ucmlab.scenarios.__main__ import COMMANDS

SMALL = ("--nodes", "pub,sub1,sub2", "--operations", "20")


def ucmlab(*arguments: str) -> Result:
    group = root()
    group.add_entries(COMMANDS)
    return CliRunner().invoke(group, arguments)


@pytest.fixture(scope="module")
def zombie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a zombie of before 11.0."""
    folder = tmp_path_factory.mktemp("found")
    ucmlab("explore", "--seeds", "1", "--replication", "legacy", "--keep", str(folder), *SMALL)
    return folder


def test_a_kept_seed_still_fails_with_the_trace_that_it_had(zombie: Path) -> None:
    result = ucmlab("replay", str(zombie / "s3_legacy_0.json"))
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert [line.split(",")[0] for line in lines] == ["seed 0: still", "shrunk to 2 steps: still"]
    assert all(line.endswith("the same as when it was kept") for line in lines)


def test_a_story_is_played_before_the_judges_and_told(zombie: Path) -> None:
    result = ucmlab("replay", str(zombie / "s3_legacy_0.py"))
    assert result.exit_code == 1
    assert result.stdout.startswith("shrunk to 2 steps: still, S3 at")
    assert "FAILED  what was deleted has not come back on pub" in result.stdout


def test_what_is_mended_is_gone(zombie: Path, tmp_path: Path) -> None:
    kept = json.loads((zombie / "s3_legacy_0.json").read_text())
    for case in (kept["case"], kept["shrunk"]["case"]):
        case["replication"] = "modern"
    mended = tmp_path / "mended.json"
    mended.write_text(json.dumps(kept))
    result = ucmlab("replay", str(mended), "--json")
    assert result.exit_code == 0
    replayed = json.loads(result.stdout)["replayed"]
    assert {each["ended"] for each in replayed.values()} == {"gone"}


def test_as_json_a_script_tells_what_the_judges_saw_and_what_the_story_did(zombie: Path) -> None:
    result = ucmlab("replay", str(zombie / "s3_legacy_0.py"), "--json")
    told = json.loads(result.stdout)
    assert [each["ended"] for each in told["replayed"].values()] == ["still"]
    assert [each["verdict"] for each in told["told"]] == ["failed"]


def test_what_only_the_judges_see_is_said_to_be_so(tmp_path: Path) -> None:
    ucmlab("explore", "--seeds", "1", "--plant", "ack-before-append", "--keep", str(tmp_path), *SMALL)
    (story,) = tmp_path.glob("*.py")
    result = ucmlab("replay", str(story))
    assert (result.exit_code, "is judged inside the simulation" in result.stdout) == (1, True)
    local = ucmlab("replay", str(story), "--mode", "local")
    assert (local.exit_code, "the simulation alone can do" in local.stderr) == (2, True)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("no-such.json", None, "cannot read"),
        ("other.json", '{"schema": 1}', "is no failing seed"),
        ("broken.json", "{", "is no failing seed"),
        ("no-such.py", None, "no such file"),
    ],
)
def test_what_cannot_be_replayed_ends_2_with_one_line(tmp_path: Path, name: str, text: str | None, why: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    result = ucmlab("replay", str(tmp_path / name))
    assert result.exit_code == 2
    assert why in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_seed_without_a_story_is_not_played_with_processes(zombie: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.json"
    alone.write_bytes((zombie / "s3_legacy_0.json").read_bytes())
    result = ucmlab("replay", str(alone), "--mode", "local")
    assert (result.exit_code, "no story is beside it" in result.stderr) == (2, True)
