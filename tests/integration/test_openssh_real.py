"""OpenSSH's own programs at a real node, from shell scripts and through pexpect's pxssh (wire-interfaces 3.1, 3.3)."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pexpect import pxssh

from tests.integration.command_line import CommandLine, Forked, running
from tests.integration.interfaces import OF_PUB, PATIENCE_S, Api, Door, presented

pytestmark = [
    pytest.mark.slow,
    pytest.mark.library,
    pytest.mark.skipif(shutil.which("ssh") is None, reason="OpenSSH's ssh is not installed"),
]
NOWHERE = {"StrictHostKeyChecking": "no", "UserKnownHostsFile": "/dev/null", "GlobalKnownHostsFile": "/dev/null"}
LINES = b"set cli pagination off\nshow cert list own\n"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with running(tmp_path_factory.mktemp("openssh"), Forked, nodes="pub,sub1") as made:
        yield made


def run(lab: CommandLine, folder: Path, program: str, *arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
    """Run one that asks a program for the password, as scripts have it that know no sshpass."""
    door, answers = Door(lab, "pub"), folder / "answers"
    answers.write_text(f"#!/bin/sh\necho '{door.password}'\n")
    answers.chmod(0o700)
    given = {**os.environ, "SSH_ASKPASS": str(answers), "SSH_ASKPASS_REQUIRE": "force"}
    options = [word for name, said in {**NOWHERE, "Port": door.port}.items() for word in ("-o", f"{name}={said}")]
    command = [program, "-F", "/dev/null", *options, *arguments]
    done = subprocess.run(command, env=given, input=stdin, capture_output=True, check=False, timeout=PATIENCE_S)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def place(lab: CommandLine) -> str:
    door = Door(lab, "pub")
    return f"{door.user}@{door.host}"


@pytest.mark.parametrize("last", [b"exit\n", b""], ids=["exit", "the end of the input"])
@pytest.mark.parametrize("terminal", ["-tt", "-T"])
def test_commands_on_standard_input(lab: CommandLine, tmp_path: Path, terminal: str, last: bytes) -> None:
    """With a terminal what is typed is seen; without one only what is answered. Either way the session ends itself."""
    status, said, _ = run(lab, tmp_path, "ssh", terminal, place(lab), stdin=LINES + last)
    lines = said.replace("\r", "").split("\n")
    listed = [line.removeprefix("admin:").partition("/")[0] for line in lines if ".pem: " in line]
    assert (status, listed) == (0, OF_PUB)
    assert ("admin:show cert list own" in lines) == (terminal == "-tt")


@pytest.mark.parametrize(
    ("program", "arguments", "words"),
    [
        ("ssh", ("{place}", "set cert regen tomcat"), "exec request failed on channel 0"),
        ("ssh", ("-s", "{place}", "sftp"), "subsystem request failed on channel 0"),
        ("scp", ("/etc/hostname", "{place}:"), "request failed on channel 0"),  # of which kind depends on its age
    ],
    ids=["a command", "sftp", "scp"],
)
def test_what_is_no_shell_is_refused_at_once(
    lab: CommandLine, tmp_path: Path, program: str, arguments: tuple[str, ...], words: str
) -> None:
    before = presented(Api(lab, "pub"))
    status, said, why = run(lab, tmp_path, program, *(each.format(place=place(lab)) for each in arguments))
    assert status != 0
    assert said == ""
    assert words in why
    assert presented(Api(lab, "pub")) == before


def test_the_web_server_is_restarted_by_pxssh(lab: CommandLine) -> None:
    """It nudges with empty lines until two answers are alike, and takes each prompt for the end of an answer."""
    door, api = Door(lab, "pub"), Api(lab, "pub")
    before = presented(api)
    door.spoken("set cert regen tomcat", "yes")
    session = pxssh.pxssh(timeout=PATIENCE_S, encoding="utf-8", options=NOWHERE)
    account = (door.host, door.user, door.password)
    assert session.login(*account, port=door.port, auto_prompt_reset=False, original_prompt="admin:")
    session.PROMPT = "admin:"
    for line, end in (
        ("utils service restart Cisco Tomcat", "Cisco Tomcat[STARTED]  "),
        ("show version active", "No Installed Software Options Found."),
    ):
        session.sendline(line)
        assert session.prompt(timeout=PATIENCE_S)
        lines = session.before.split("\r\n")
        assert (lines[0], lines[-2]) == (line, end), "each answer is its command's"
    session.sendline("exit")
    session.close()
    assert presented(api) == lab.json("dump")["nodes"]["pub"]["identities"]["tomcat"]["fingerprint"] != before
