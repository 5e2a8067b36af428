"""`ucmlab watch` beside a lab of real processes: at a terminal, and in a pipe."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.command_line import CommandLine, Forked, new_root, openssl_fingerprint, running
from tests.integration.terminal import ALTERNATE, MAIN, Terminal, terminal

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with running(tmp_path_factory.mktemp("watched"), Forked) as made:
        yield made


@contextmanager
def piped(lab: CommandLine, *arguments: str) -> Iterator[Iterator[Any]]:
    """`ucmlab watch` in a pipe: its lines as JSON, until it is told to end."""
    with subprocess.Popen(lab.command("watch", *arguments), env=lab.environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield map(json.loads, process.stdout)
        process.terminate()


def restored(shown: Terminal) -> bool:
    return shown.raw.count(ALTERNATE) == shown.raw.count(MAIN) == 1 and shown.modes == shown.modes_now


def test_a_certificate_is_seen_to_arrive_and_a_node_to_be_missed(lab: CommandLine, tmp_path: Path) -> None:
    root = new_root(tmp_path)
    with terminal(lab.command("watch", "tomcat-trust"), lab.environment) as shown:
        shown.until(r"3 nodes, \d+ certificates")
        lab.must("fault", "pause", "sub2")
        shown.until("sub2 paused")
        lab.must("cert", "upload", "pub", "tomcat-trust", root)
        shown.until(r"tomcat-trust +Corp Root CA +both +both +due")
        lab.must("fault", "resume", "sub2")
        shown.until(r"tomcat-trust +Corp Root CA +both +both +both")
        shown.until(openssl_fingerprint(str(root))[:40])
        shown.press("q")
        assert shown.end() == 0
        assert restored(shown)


@pytest.mark.library
def test_a_killed_node_and_a_killed_broker_are_told_and_the_picture_goes_on(lab: CommandLine) -> None:
    with terminal(lab.command("watch", "tomcat"), lab.environment, columns=100) as shown:
        shown.until(r"tomcat +sub1\.lab\.test +- +both \+\d +-")
        lab.must("fault", "kill", "broker")
        shown.until("the broker is down")
        lab.must("fault", "kill", "sub1")
        shown.until(r"the broker is down, sub1 down")
        shown.until(r"tomcat +sub1\.lab\.test +- +both +-")
        lab.must("fault", "start", "broker")
        lab.must("fault", "start", "sub1")
        shown.until(r"tomcat +sub1\.lab\.test +- +both \+\d +-")
        shown.press("q")
        assert shown.end() == 0


def test_the_interrupt_key_ends_it_and_puts_the_terminal_back(lab: CommandLine) -> None:
    with terminal(lab.command("watch"), lab.environment) as shown:
        shown.until("certificates")
        shown.resize(60, 12)
        shown.until("certificates")
        shown.interrupt()
        assert shown.end() == 130
        assert restored(shown)


@pytest.mark.library
def test_in_a_pipe_each_change_is_a_line(lab: CommandLine, tmp_path: Path) -> None:
    root = new_root(tmp_path)
    fingerprint = openssl_fingerprint(str(root))
    with piped(lab, "tomcat-trust", "--node", "sub1", "--json") as told:
        first = next(told)
        assert (first["schema"], first["nodes"]) == (1, ["sub1"])
        lab.must("cert", "upload", "pub", "tomcat-trust", root)
        last = next(each for each in told if each.get("file") and each.get("database"))
    assert (last["fingerprint"], last["node"], last["name"]) == (fingerprint, "sub1", "Corp Root CA")


@pytest.mark.library
def test_it_ends_with_the_lab_and_says_why(lab: CommandLine) -> None:
    """The last of this file: it takes the lab away."""
    command = lab.command("watch")
    with subprocess.Popen(command, env=lab.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as watching:
        assert watching.stdout is not None
        watching.stdout.readline()
        lab.must("down")
        _, said = watching.communicate(timeout=60)
    assert (watching.returncode, said.decode().count("\n")) == (3, 1)
    done = lab.run("watch")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"does not run; start it with" in done.stderr
