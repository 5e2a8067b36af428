"""Stories told by real processes end as in virtual time: the same checks, the same digest.

`make test` plays two; CI plays the whole library (marker `library`).
"""

import os
from pathlib import Path

import psutil
import pytest

from ucmlab.scenarios.labs import run_story
from ucmlab.scenarios.loading import library_names, library_story
from ucmlab.scenarios.result import Mode, Options, Result
from ucmlab.scenarios.telling import Check

CHOSEN = (
    "demo",
    "publisher_killed_after_append",
)


def told(name: str, mode: Mode, *, keep: bool = False, broker: str = "embedded") -> Result:
    options = Options(mode=mode, keep=keep, broker=broker)
    return run_story(library_story(name), options, lambda _entry, _began: None)


def judged(result: Result) -> list[tuple[str, bool]]:
    return [(entry.text, entry.held) for entry in result.entries if isinstance(entry, Check)]


def ends_alike(name: str) -> None:
    virtual, real = told(name, "sim"), told(name, "local")
    assert (real.verdict, real.trouble) == ("held", None), judged(real)
    assert judged(real) == judged(virtual)
    # Compared one by one first, so that a difference can be read.
    assert real.outcomes == virtual.outcomes
    assert real.stores == virtual.stores
    assert real.rows == virtual.rows
    assert real.loaded == virtual.loaded
    assert real.digest == virtual.digest


@pytest.mark.slow
@pytest.mark.parametrize("name", CHOSEN)
def test_a_story_ends_in_real_processes_as_in_virtual_time(name: str) -> None:
    ends_alike(name)


@pytest.mark.slow
@pytest.mark.library
@pytest.mark.parametrize("name", [name for name in library_names() if name not in CHOSEN])
def test_every_other_story_of_the_library_does_so_too(name: str) -> None:
    ends_alike(name)


@pytest.mark.slow
def test_a_story_leaves_no_process_and_no_folder_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = psutil.Process(os.getpid()).children(recursive=True)
    assert told("ipsec_trust_is_local", "local").verdict == "held"
    assert [path for path in tmp_path.iterdir() if path.name != f"ucmlab-{os.getuid()}"] == []  # that is address locks
    assert psutil.Process(os.getpid()).children(recursive=True) == before


@pytest.mark.library
@pytest.mark.slow
def test_the_homes_are_kept_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = told("ipsec_trust_is_local", "local", keep=True)
    assert (Path(result.kept) / "nodes" / "sub1").is_dir()
