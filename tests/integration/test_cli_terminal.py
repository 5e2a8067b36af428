"""`ucmlab cli`: the command line of a real node without a client of one's own, at a terminal and in pipes."""

import subprocess
from collections.abc import Iterator

import pexpect
import pytest

from tests.integration.authority import Authority
from tests.integration.command_line import CommandLine, Forked, running
from tests.integration.interfaces import FAILED, PATIENCE_S, Door

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with running(tmp_path_factory.mktemp("cli"), Forked, nodes="pub,sub1") as made:
        yield made


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "Cli")


@pytest.mark.library
def test_the_command_line_without_a_client_of_ones_own(lab: CommandLine) -> None:
    """`ucmlab cli`: one command, what standard input says, and what fails."""
    version = lab.must("cli", "pub", "show", "version", "active").splitlines()
    assert version[0].startswith("Active Master Version: 14.0.1.")
    assert len(version) == 3, "neither banner nor prompt"
    done = lab.run("cli", "pub", "set", "cert", "regen", "TVS", stdin=b"yes\n")
    assert (done.returncode, b"Successfully Regenerated Certificate for TVS.\n" in done.stdout) == (0, True)
    refused = lab.run("cli", "pub", "set", "cert", "regen", "TVS", stdin=b"no\n")
    assert (refused.returncode, b"Successfully" in refused.stdout, b"admin:" in refused.stdout) == (1, False, False)
    assert refused.stderr == b""
    several = lab.run("cli", "sub1", stdin=b"show version active\nshow cert list own\n")
    assert several.stdout.decode().splitlines() == [
        *version,
        *Door(lab, "sub1").spoken("show cert list own")[0].split("\r\n")[:-1],
    ]
    failed = lab.run("cli", "pub", "frobnicate")
    assert (failed.returncode, failed.stdout.decode().splitlines()) == (1, [FAILED, "No valid command entered"])
    absent = lab.run("cli", "nope", "show", "status")
    assert (absent.returncode, absent.stderr.count(b"\n")) == (2, 1)


@pytest.mark.parametrize(
    ("command", "how"),
    [
        ("set cert regen TVS", "`echo yes | ucmlab cli pub set cert regen TVS`"),
        ("set csr gen TVS", "`echo yes | ucmlab cli pub set csr gen TVS`"),
        ("utils fips enable", "`echo yes | ucmlab cli pub utils fips enable`"),
        (
            "set cert default-ca-list enable common-name",
            "`echo NAME | ucmlab cli pub set cert default-ca-list enable common-name`",
        ),
        ("set cert import trust tomcat", "`ucmlab cli pub set cert import trust tomcat < FILE`"),
    ],
)
def test_a_question_that_nobody_answers_is_told_with_what_would_answer_it(
    lab: CommandLine, command: str, how: str
) -> None:
    done = lab.run("cli", "pub", *command.split())
    line = f"ucmlab: it asked, and nobody answered; {how}, or `ucmlab cli pub` at a terminal\n"
    assert (done.returncode, done.stderr.decode()) == (2, line)
    assert b"Successfully" not in done.stdout


def test_standard_input_is_read_when_a_command_asks_and_no_further(lab: CommandLine, authority: Authority) -> None:
    """So one in a loop leaves the loop's list alone, and a pipe that nobody closes is not waited for."""
    loop = 'while read -r node; do "$@" cli "$node" show version active | head -n 1; done'
    command = ["sh", "-c", loop, "sh", *lab.command()]
    listed = subprocess.run(command, input=b"pub\nsub1\n", capture_output=True, env=lab.environment, check=True)
    assert listed.stdout.count(b"Active Master Version") == 2
    with subprocess.Popen(
        lab.command("cli", "pub", "set", "cert", "regen", "TVS"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=lab.environment,
    ) as child:
        assert child.stdin is not None is not child.stdout
        said = b""
        while not said.endswith(b"(yes|no)? "):
            said += child.stdout.read(1)
        child.stdin.write(b"yes\n")
        child.stdin.flush()
        assert child.stdout.read().startswith(b"Successfully Regenerated Certificate for TVS.\n")
        assert child.wait(PATIENCE_S) == 0, "its input is still open"
    pasted = lab.run("cli", "sub1", "set", "cert", "import", "trust", "ipsec", stdin=authority.root.read_bytes())
    assert (pasted.returncode, b"Successfully imported" in pasted.stdout) == (0, True), "its end ends the text"


@pytest.mark.parametrize(("command", "first"), [("?", b"    exit"), ("show cert ?", b"    default-ca-list")])
def test_a_question_mark_at_the_end_of_a_command_tells_how_it_may_go_on(
    lab: CommandLine, command: str, first: bytes
) -> None:
    told = lab.run("cli", "pub", *command.split())
    assert (told.returncode, told.stdout.startswith(first), b"admin:" in told.stdout) == (0, True, False)
    assert FAILED.encode() not in told.stdout


def test_at_a_terminal_one_command_asks_whoever_sits_there(lab: CommandLine) -> None:
    command = lab.command("cli", "pub", "set", "cert", "regen", "TVS")
    child = pexpect.spawn(command[0], command[1:], env=lab.environment, timeout=PATIENCE_S)
    child.expect_exact("(yes|no)? ")
    child.sendline("yes")
    child.expect_exact("Successfully Regenerated Certificate for TVS.")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_at_a_terminal_the_node_sees_each_key(lab: CommandLine) -> None:
    command = lab.command("cli", "pub")
    child = pexpect.spawn(command[0], command[1:], env=lab.environment, timeout=PATIENCE_S)
    child.expect_exact("\r\nadmin:")
    child.send("show ver\t")
    child.expect_exact("show version ")
    child.send("?")
    child.expect_exact("active")
    child.sendline("active")
    child.expect_exact("Active Master Version: ")
    child.expect_exact("\r\nadmin:")
    child.send("\x1b[A")
    child.expect_exact("show version active")
    child.send("\x1b[D\x7f\x1b[C\x7fve\x1b[H\x0b\x1b[Aexit\x01\x0bexit\r")  # and much else that comes to nothing
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
