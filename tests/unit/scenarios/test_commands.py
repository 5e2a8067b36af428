"""`ucmlab list` and `ucmlab run`, as a shell sees them."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from ucmlab.cluster.cli.ending import ending_well
from ucmlab.scenarios.commands import list_stories, run_stories
from ucmlab.scenarios.loading import library_names

FILE = '''
from ucmlab.scenarios import Lab, scenario

@scenario(nodes="pub sub1")
async def right(lab: Lab) -> None:
    """It holds."""
    lab.check(True, "one is one")

@scenario(nodes="pub sub1")
async def wrong(lab: Lab) -> None:
    """It fails."""
    lab.check(False, "one is two")

@scenario(nodes="pub sub1")
async def idle(lab: Lab) -> None:
    """It judges nothing."""

@scenario(nodes="pub sub1")
async def asking(lab: Lab) -> None:
    """It asks for what is not built."""
    await lab.teleport()
'''


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A user's file with one story of each verdict."""
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return str(path)


def run(*arguments: str) -> Result:
    """Run the command as the root group runs it."""

    @click.command(context_settings={"ignore_unknown_options": True})
    @click.argument("given", nargs=-1, type=click.UNPROCESSED)
    def ucmlab(given: tuple[str, ...]) -> None:
        with ending_well(given):
            run_stories.main(list(given), standalone_mode=False)

    return CliRunner().invoke(ucmlab, ["--", *arguments], catch_exceptions=False)


def one(tmp_path: Path, name: str) -> str:
    """A file with only that story."""
    head, *stories = FILE.split("\n@scenario")
    [story] = [story for story in stories if f"def {name}(" in story]
    path = tmp_path / f"{name}.py"
    path.write_text(f"{head}\n@scenario{story}")
    return str(path)


def test_the_library_is_listed_with_titles() -> None:
    listed = CliRunner().invoke(list_stories, []).output.splitlines()
    assert [line.split("  ")[0].strip() for line in listed] == library_names()


def test_the_list_is_narrowed_by_tag_and_printed_as_json() -> None:
    listed = json.loads(CliRunner().invoke(list_stories, ["--tag", "CAPF", "--json"]).output)
    assert listed["schema"] == 1
    assert {story["name"] for story in listed["stories"]} == {
        "capf_trust_stays_local",
        "capf_trust_delete_reaches_publisher",
        "mic_roots_leave_callmanager_trust",
    }


@pytest.mark.parametrize(("name", "status"), [("right", 0), ("wrong", 1), ("asking", 2), ("idle", 3)])
def test_the_exit_status_is_the_verdict(tmp_path: Path, name: str, status: int) -> None:
    assert run(one(tmp_path, name)).exit_code == status


def test_of_several_stories_the_worst_decides(file: str) -> None:
    result = run(file)
    assert result.exit_code == 2
    assert "4 stories: 1 held, 1 unknown, 1 failed, 1 unusable" in result.output
    assert "ucmlab: asking: the story asks for Lab.teleport, which is not built in this version" in result.stderr


def test_results_are_printed_as_json_and_nothing_else(file: str) -> None:
    printed = json.loads(run(file, "--json", "--seed", "7").stdout)
    assert printed["verdict"] == "unusable"
    assert [(each["story"], each["verdict"], each["seed"]) for each in printed["results"]] == [
        ("right", "held", 7),
        ("wrong", "failed", 7),
        ("idle", "unknown", 7),
    ]
    assert list(printed["unusable"]) == ["asking"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "ucmlab: name stories, or say --all"),
        (("demo", "--all"), "ucmlab: name stories, or say --all"),
        (("nonesuch",), "ucmlab: no story is named 'nonesuch'"),
        (("/nonesuch.py",), "ucmlab: no such file: /nonesuch.py"),
        (("demo", "--release", "3.14"), "ucmlab: demo: "),
        (("demo", "--replication", "wishful"), "ucmlab: Invalid value for '--replication': 'wishful' is not one of"),
        (("demo", "--broker", "pigeon"), "ucmlab: demo: "),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(arguments: tuple[str, ...], why: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(why)
    assert result.stderr.count("\n") == 1


def test_reports_and_junit_are_written(file: str, tmp_path: Path) -> None:
    run(file, "--report", str(tmp_path / "reports"), "--junit", str(tmp_path / "junit.xml"))
    assert sorted(path.name for path in (tmp_path / "reports").iterdir()) == ["idle", "right", "wrong"]
    assert sorted(path.name for path in (tmp_path / "reports" / "right").iterdir()) == [
        "journal.jsonl",
        "report.txt",
        "result.json",
    ]
    assert "<testsuite" in (tmp_path / "junit.xml").read_text()


@pytest.mark.slow
def test_several_jobs_come_to_the_same_results(file: str) -> None:
    serial, parallel = (json.loads(run(file, "--json", "--jobs", jobs).stdout) for jobs in ("1", "2"))
    assert serial["results"] == parallel["results"]


def test_what_nodes_accept_in_an_upload_can_be_asked_for(file: str) -> None:
    told = json.loads(run(file, "--accept-der-pkcs7", "--strict-uploads", "--json").stdout)
    assert {result["again"].partition("--seed 1 ")[2] for result in told["results"]} == {
        "--accept-der-pkcs7 --strict-uploads"
    }
