"""`ucmlab run --step` at a terminal, as a class sees it, in both modes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.terminal import Terminal, terminal

STORY = '''
from ucmlab.scenarios import Lab, scenario


@scenario(nodes="pub sub1", timing="instant", budget="20s")
async def {name}(lab: Lab) -> None:
    """Two steps."""
    pub, sub1 = lab.nodes
    root = await lab.ca("Corp Root CA")
    async with lab.step("The root is uploaded", expect="it is on both nodes"):
        (await pub.upload("tomcat-trust", root.pem)).must_be("done")
        await lab.converged(within="31m")
        lab.check(root.fingerprint in sub1.files("tomcat-trust"), "sub1 has it")
    async with lab.step("sub1 dies", expect="the publisher does not mind"):
        await sub1.kill()
        lab.check(sub1.state == "down", "sub1 is down")
'''
COMMAND = [sys.executable, "-m", "ucmlab.scenarios", "run"]
ENDED = "ended by a key before the step 'sub1 dies'"

pytestmark = pytest.mark.slow


def write(folder: Path, name: str = "lesson") -> str:
    file = folder / f"{name}.py"
    file.write_text(STORY.format(name=name), encoding="utf-8")
    return str(file)


def play_first_step(shown: Terminal) -> None:
    shown.until("The root is uploaded")
    shown.until("expect: it is on both nodes")
    shown.until("any key: go on")
    shown.press(" ")
    shown.until("held +sub1 has it")
    shown.until(r"tomcat-trust +ca:Corp Root CA#1 +-→both +-→both")
    shown.until("sub1 dies")
    shown.until("any key: go on")


@pytest.mark.parametrize("mode", ["sim", "local"])
def test_a_class_predicts_and_then_sees(tmp_path: Path, mode: str) -> None:
    with terminal([*COMMAND, write(tmp_path), "--step", "--mode", mode], os.environ) as shown:
        play_first_step(shown)
        shown.press("\r")
        shown.until("held +sub1 is down")
        shown.until("sub1: up → down")
        shown.until("HELD +lesson: 4 checks")
        assert shown.end() == 0
        assert shown.modes == shown.modes_now


def test_a_key_ends_all_stories_and_nothing_is_judged_by_that(tmp_path: Path) -> None:
    files = [write(tmp_path), write(tmp_path, "other")]
    with terminal([*COMMAND, *files, "--step"], os.environ) as shown:
        play_first_step(shown)
        shown.press("q")
        shown.until("UNKNOWN +lesson")
        assert re.sub(r"\s+", " ", shown.until(r"ended by[^']*'[^']*'")) == ENDED
        shown.until("not told: other")
        assert shown.end() == 3
        assert shown.modes == shown.modes_now


@pytest.mark.library
def test_the_interrupt_key_ends_it_while_it_waits_and_puts_the_terminal_back(tmp_path: Path) -> None:
    for mode in ("sim", "local"):
        with terminal([*COMMAND, write(tmp_path), "--step", "--mode", mode], os.environ) as shown:
            shown.until("any key: go on")
            shown.interrupt()
            assert shown.end() == 130
            assert shown.modes == shown.modes_now


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "--step waits for keys and needs a terminal; without one, leave it out"),
        (["--jobs", "2"], "--step tells one story after the other; leave out --jobs"),
    ],
)
def test_without_a_terminal_or_in_several_processes_it_is_refused(
    tmp_path: Path, arguments: list[str], why: str
) -> None:
    done = subprocess.run(
        [*COMMAND, write(tmp_path), "--step", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"ucmlab: {why}\n")
