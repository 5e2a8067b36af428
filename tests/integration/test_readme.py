"""The README says what is: its terminal session is run, its example is told, its table is the library."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rules import ROOT
from ucmlab.cluster.cli.root import COMMANDS as LAB_COMMANDS
from ucmlab.cluster.labtoml import KEYS, read_lab_toml
from ucmlab.scenarios.__main__ import COMMANDS as STORY_COMMANDS
from ucmlab.scenarios.labs import run_story
from ucmlab.scenarios.loading import library_names, library_story, load
from ucmlab.scenarios.result import Options

README = (ROOT / "README.md").read_text(encoding="utf-8")
MACHINE_TIME = re.compile(r"(?<= in )\d+\.\d s$", re.MULTILINE)


def unheard(*_: object) -> None:
    """Nobody listens to the story."""


def block(language: str) -> str:
    """The first code block of a language."""
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found[1]


def shell(command: str) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        ["bash", "-c", command], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout + done.stderr


@pytest.mark.slow
def test_the_terminal_session_happens_as_it_is_shown() -> None:
    session = block("console")
    turns = [turn.partition("\n") for turn in session.split("$ ")[1:]]
    assert len(session.splitlines()) <= 12
    for command, _, shown in turns:
        assert MACHINE_TIME.sub("…", shell(command)) == MACHINE_TIME.sub("…", shown)


def test_the_example_story_holds(tmp_path: Path) -> None:
    file = tmp_path / "example.py"
    file.write_text(block("python"), encoding="utf-8")
    (story,) = load(str(file))
    assert run_story(story, Options(), unheard).verdict == "held"


def test_the_example_configuration_says_all_there_is_to_say() -> None:
    said = read_lab_toml(block("toml").encode()).values
    assert KEYS.keys() - said.keys() == {"broker_ca"}


def test_the_table_of_stories_is_the_library() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", README, re.MULTILINE)
    library = [(name, library_story(name).title) for name in library_names()]
    assert [row for row in rows if row in library] == library


def test_every_command_that_is_named_exists() -> None:
    named = set(re.findall(r"(?:^    |`)(?:\.venv/bin/)?ucmlab (\w+)", README, re.MULTILINE))
    assert named >= {"run", "up", "down"}
    assert named - LAB_COMMANDS.keys() - STORY_COMMANDS.keys() == set()


def test_every_make_target_and_folder_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"`?make (\w+)", README)) - {"and"}
    assert {target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)} == set()
    assert all((ROOT / folder).is_dir() for folder in re.findall(r"^- `(\w+)/`", README, re.MULTILINE))
