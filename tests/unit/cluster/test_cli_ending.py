"""However a command ends: one line, a status, and never a stack trace."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tests.unit.cluster.cli_lab import run
from ucmlab.cluster.cli.lazy import Entry, LazyGroup
from ucmlab.cluster.cli.root import COMMANDS, Root, root

WRONG = {
    "no command": ["no-such-command"],
    "no subcommand": ["cert", "regenerate", "pub", "tomcat"],
    "not built: csr": ["cert", "csr", "pub", "tomcat"],
    "not built: tls": ["tls", "pub", "443"],
    "an option that there is not": ["dump", "--nonsense"],
    "an argument too many": ["version", "twice"],
    "an argument missing": ["cert", "upload", "pub"],
    "a choice that there is not": ["cert", "list", "pub", "--key", "dsa"],
    "no lab": ["dump", "--dir", "/nonexistent/lab"],
    "phones": ["init", "--phones", "6"],
    "a broker that there is not": ["init", "--broker", "pigeon"],
    "an address for somebody's broker": ["init", "--broker", "mqtt://192.0.2.1", "--listen", "127.0.0.1"],
    "a certificate for no TLS": ["init", "--broker", "mqtt://192.0.2.1", "--broker-ca", "ca.pem"],
    "a certificate that is not there": ["init", "--broker", "mqtts://192.0.2.1", "--broker-ca", "/nowhere/ca.pem"],
    "no URL of a broker": ["doctor", "broker", "embedded"],
    "no such release": ["init", "--release", "3.1", "--dir", "/nonexistent/lab"],
    "no publisher": ["init", "--nodes", "sub1,sub2", "--dir", "/nonexistent/lab"],
    "an unreadable configuration": ["init", "--config", "/nonexistent/lab.toml"],
    "no address": ["broker", "--anonymous", "--listen", "nowhere"],
    "anonymous for everybody": ["broker", "--anonymous", "--listen", "192.0.2.1:1883"],
    "a node of no lab": ["node", "--config", "/nonexistent/lab.json", "--name", "pub"],
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG)
def test_what_cannot_be_done_as_asked_ends_with_2_and_one_line(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("ucmlab: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [["nonsense", "--json"], ["dump", "--json", "--dir", "/nonexistent/lab"]])
def test_with_json_the_error_is_an_object_too(arguments: list[str]) -> None:
    result = run(*arguments)
    told = json.loads(result.stdout)
    assert (result.exit_code, told["schema"], told["outcome"]) == (2, 1, "unusable")
    assert result.stderr == f"ucmlab: {told['text']}\n"


def group(function: click.Command) -> Root:
    """A root with one command more."""
    made = Root(name="ucmlab", entries={}, help="")
    made.add_command(function)
    return made


def test_a_bug_of_ours_leaves_its_trace_in_the_labs_logs(tmp_path: Path) -> None:
    @click.command()
    @click.option("--dir", "directory")
    def buggy(directory: str) -> None:
        raise ZeroDivisionError(directory)

    (tmp_path / "logs").mkdir()
    result = CliRunner().invoke(group(buggy), ["buggy", "--dir", str(tmp_path)])
    [trace] = (tmp_path / "logs").iterdir()
    assert result.exit_code == 70
    assert result.stderr.count("\n") == 1
    assert str(trace) in result.stderr
    assert "Traceback" not in result.output
    assert "ZeroDivisionError" in trace.read_text()


def test_a_bug_without_a_lab_leaves_its_trace_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    @click.option("--json", "as_json", is_flag=True)
    def buggy(*, as_json: bool) -> None:
        raise ZeroDivisionError(as_json)

    monkeypatch.setenv("UCMLAB_DIR", str(tmp_path / "none"))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    result = CliRunner().invoke(group(buggy), ["buggy", "--json"])
    assert json.loads(result.stdout)["outcome"] == "crashed"
    assert len(list(tmp_path.glob("ucmlab-crash-*"))) == 1


def test_ctrl_c_ends_quietly_with_130() -> None:
    @click.command()
    def interrupted() -> None:
        raise KeyboardInterrupt

    result = CliRunner().invoke(group(interrupted), ["interrupted"])
    assert (result.exit_code, result.output.strip()) == (130, "")


def test_a_reader_that_went_away_is_no_error() -> None:
    command = [sys.executable, "-m", "ucmlab.scenarios", "--help"]
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as output:
        ended = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, check=False)
    assert (ended.returncode, ended.stderr) == (141, b"")


def test_the_root_alone_shows_its_help_as_an_error() -> None:
    result = run()
    assert result.exit_code == 2
    assert "Commands:" in result.stderr


def test_help_lists_every_command_and_imports_none() -> None:
    code = (
        "import sys\n"
        "from ucmlab.scenarios.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    status = end.code\n"
        "heavy = {'cryptography', 'aiohttp', 'aiomqtt', 'rich', 'msgspec', 'structlog', 'asyncio'} & set(sys.modules)\n"
        "print(status, sorted(heavy))\n"
    )
    for option in ("--help", "version"):
        command = [sys.executable, "-c", code, option]
        ended = subprocess.run(command, capture_output=True, text=True, check=True)
        assert ended.stdout.splitlines()[-1] == "0 []"


def test_every_command_of_the_table_is_one() -> None:
    context = click.Context(root())
    for name in COMMANDS.keys() - {"bench"}:
        assert root().get_command(context, name) is not None


def test_a_table_that_names_no_command_is_a_bug() -> None:
    wrong = LazyGroup(name="x", entries={"y": Entry("ucmlab.cluster.cli.root:HELP", "")}, help="")
    with pytest.raises(TypeError, match="is no command"):
        wrong.get_command(click.Context(wrong), "y")


def test_version_is_told_in_both_ways() -> None:
    assert run("version").stdout.startswith("ucmlab ")
    assert run("--version").stdout == run("version").stdout
    assert json.loads(run("version", "--json").stdout)["schema"] == 1
