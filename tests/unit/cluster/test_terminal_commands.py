"""The commands of the platform's command line as data, and what they print where no node is needed (W3.2)."""

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
from msgspec.structs import replace

from tests.playbook import Playbook, config
from ucmlab.cluster.admin.accounts import make_admin
from ucmlab.cluster.admin.desk import Caller, Desk
from ucmlab.cluster.admin.terminal import session as sessions
from ucmlab.cluster.admin.terminal.banner import BANNER
from ucmlab.cluster.admin.terminal.grammar import Grammar, rows
from ucmlab.cluster.admin.terminal.idling import FILE, idle_minutes, keep_idle_minutes
from ucmlab.cluster.admin.terminal.machine import Advice
from ucmlab.cluster.admin.terminal.performing import PERFORMED
from ucmlab.cluster.admin.terminal.platform import runtime_state, uptime
from ucmlab.cluster.admin.terminal.services import list_lines
from ucmlab.cluster.admin.terminal.session import Session
from ucmlab.node.instant import DAY, HOUR, MINUTE
from ucmlab.node.layout import HomeLayout
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.status import ServiceStatus

ALL = Grammar(rows(), 4)


@pytest.mark.parametrize(
    ("line", "does", "given"),
    [
        ("show cert list own", "show_cert_list", {"own|trust": "own"}),
        ("show  cert list type trust", "show_cert_list", {"own|trust": "trust"}),
        ("show cert own tomcat/tomcat.pem", "show_cert_own", {"name": "tomcat/tomcat.pem"}),
        ("set cert import own tomcat", "set_cert_import_own", {"unit": "tomcat"}),
        ("set cert import own tomcat CA.pem", "set_cert_import_own", {"unit": "tomcat", "cacert": "CA.pem"}),
        (
            "utils service restart Cisco Tomcat ",
            "utils_service",
            {"start|stop|restart": "restart", "service": "Cisco Tomcat"},
        ),
        ("utils fips enable", "utils_fips", {"enable|disable": "enable"}),
        ("utils sipOAuth-mode enable", "utils_sip_oauth_mode", {}),
        ("quit", "leave", {}),
    ],
)
def test_a_line_means_a_command(line: str, does: str, given: dict[str, str]) -> None:
    command = ALL.read(line)
    assert command is not None
    assert (command.row.does, dict(command.given)) == (does, given)


@pytest.mark.parametrize(
    "line", ["", "show", "show cert", "show cert list", "show cert list mine", "exit now", "utils service restart", "x"]
)
def test_a_line_that_means_none(line: str) -> None:
    assert ALL.read(line) is None


@pytest.mark.parametrize(
    "line",
    [
        "show ctl",
        "show itl",
        "utils ctl update CTLFile",
        "utils ctl set-cluster mixed-mode",
        "utils itl reset localkey",
        "utils capf stale-lsc list",
        "set cert bulk export all",
        "file get tftp ITLRecovery.p12",
        "utils sipOAuth-mode disable",
        "utils dbreplication status",
        "utils dbreplication repair all",
        "show network eth0 detail",
        "show version",
    ],
)
def test_commands_without_a_subject_here_are_unknown_and_no_stubs(line: str) -> None:
    assert ALL.read(line) is None


def test_every_command_is_there_and_nothing_else() -> None:
    assert {row.does for row in rows()} == set(PERFORMED)
    assert all(row.privilege in (0, 1, 4) for row in rows())
    for row in rows():
        words = {word for each in re.findall(r"\{(.*?)\}", row.syntax) for word in each.split("|")}
        assert row.choices.keys() <= words


def test_an_account_that_reads_has_no_command_that_changes_a_node() -> None:
    reader = Grammar(rows(), 0)
    allowed = {row.syntax.split()[0] for row in rows() if row.privilege == 0}
    assert allowed == {"show", "set", "utils", "exit", "quit"}
    assert [row.syntax for row in rows() if row.privilege == 0 and row.syntax.startswith("set")] == [
        "set cli pagination {on|off}"
    ]
    for line, permitted in (("show status", True), ("show cert list own", False), ("set cert regen tomcat", False)):
        command = reader.read(line)
        assert command is not None
        assert reader.permits(command) is permitted
    assert reader.complete("set c").completion == "li "
    assert not any("authz" in line for line in reader.explain("show key ").lines)


def test_completion_and_help() -> None:
    assert ALL.complete("sh") == Advice("ow ")
    assert ALL.complete("show cert list o") == Advice("wn ")
    assert ALL.complete("show c") == Advice(lines=("cert", "cli", "csr"))
    assert ALL.complete("show cert own ") == ALL.complete("bogus ") == Advice()
    assert ALL.explain("utils service l").lines == ("    list  Lists the services of this node",)
    assert ALL.explain("set cert import own tomcat ").lines == ("    CACERT  Imports a certificate that a CA signed",)
    assert ALL.explain("set cert default-ca-list enable ").lines == (
        "    all          All of them",
        "    common-name  The one whose common name is asked for",
    )
    assert [line.split()[0] for line in ALL.explain("").lines] == ["exit", "quit", "set", "show", "utils"]


def test_services_of_the_system_have_a_blank_before_their_state() -> None:
    def status(state: str) -> ServiceStatus:
        return ServiceStatus(state, "network", True, 0, {}, ())  # type: ignore[arg-type]  # one of its words

    states = {
        "System SSH": status("started"),
        "Cisco Tftp": status("stopped"),
        "Cisco Tomcat": status("starting"),
        "Cisco X": status("not activated"),
    }
    assert list(list_lines(states, sorted(states))) == [
        "Requesting service status, please wait...",
        "System SSH [STARTED]",
        "Service Manager is running",
        "Getting list of all services",
        ">> Return code = 0",
        "Cisco Tftp[STOPPED]  Commanded Out of Service",
        "Cisco Tomcat[STARTING]",
        "Cisco X[STOPPED]  Service Not Activated",
    ]


@pytest.mark.parametrize(
    ("lab", "said"),
    [(0, "0 min"), (12 * MINUTE, "12 min"), (3 * HOUR + 7 * MINUTE, " 3:07"), (72 * DAY + 21 * HOUR, "72 days, 21:00")],
)
def test_how_long_a_node_is_up(lab: int, said: str) -> None:
    assert uptime(lab) == said


def test_replication_as_a_node_knows_it() -> None:
    sub = Playbook(config("sub1")).up()
    addresses = {member.name: "10.0.0.1" for member in sub.config.members}
    for broken, own in ((False, "(2) Setup Completed"), (True, "(4) Setup Failed")):
        status = replace(sub.core.status(), replication_broken=broken)
        lines = list(runtime_state(sub.config, status, datetime(2026, 1, 2, 16, 18, 22, tzinfo=UTC), addresses))
        assert lines[0] == "Server Time: Fri Jan  2 16:18:22 UTC 2026"
        named = {line.split()[0]: line for line in lines if line.endswith(("Completed", "Failed"))}
        assert named.keys() == {member.name for member in sub.config.members}
        assert named["sub1"].endswith(own)
        assert (
            named["pub"]
            == f"{'pub':<25}10.0.0.1          0.045     Y/Y/Y     0        (g_2)          (2) Setup Completed"
        )


# -- sessions, without SSH


class _Desk:
    """What a session of commands that ask no node needs of it."""

    rulebook = RuleBook.load("14SU2")

    def __init__(self, home: Path) -> None:
        self.layout = HomeLayout(home, self.rulebook)


def begun(written: list[str], home: Path) -> Session:
    caller = Caller(make_admin("a", "b", "platform", privilege=4), "ssh", "127.0.0.1", "127.0.0.1")
    desk = cast("Desk", _Desk(home))  # no command here does more
    return Session(desk, caller, PERFORMED, write=written.append, rows_shown=24)


async def spoken(home: Path, *lines: str) -> str:
    written: list[str] = []
    session = begun(written, home)
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(session.run(BANNER))
        await asyncio.sleep(0)
        session.typed("".join(f"{line}\n" for line in lines))
        session.end_of_input()
    assert running.result() in (0, 1)
    return "".join(written)


async def test_what_a_session_sets_for_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sessions, "SETTLE_S", 0.0)
    said = await spoken(
        tmp_path,
        "show cli pagination",
        "set cli pagination off",
        "show cli pagination",
        "show cli session timeout",
        "set cli session timeout 4",
        "set cli session timeout 100000",
        "set cli session timeout 000000060" + "9" * 400,
        "set cli session timeout 60",
        "y",
        "show cli session timeout",
    )
    for text in (
        "Automatic Pagination : On.\r\n",
        "Automatic pagination is turned off\r\n",
        "Automatic Pagination : Off.\r\n",
        "Executed command unsuccessfully\r\nThe session timeout is 5 to 99999 minutes\r\n",
        "Continue (y/n)?y\r\n",
        "CLI session timeout is set to 60 minutes\r\n",
    ):
        assert text in said
    told = [line for line in said.splitlines() if line.startswith("CLI session timeout")]
    assert [line.split()[-2] for line in told] == ["30", "60", "60"]
    assert idle_minutes(tmp_path) == 60, "for the next session"
    (tmp_path / FILE).write_text("4\n")
    assert idle_minutes(tmp_path) == 30, "what nobody can have set does not count"


async def test_an_idle_session_ends_and_so_does_the_question_that_it_asks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sessions, "MINUTE_S", 0.001)
    keep_idle_minutes(tmp_path, 60)
    written: list[str] = []
    session = begun(written, tmp_path)
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(session.run(BANNER))
        await asyncio.sleep(0)
        session.typed("set cli session timeout 60\n")
    assert "".join(written).endswith("Continue (y/n)?")


async def test_a_bug_of_ours_is_told_in_the_log_and_not_to_the_client(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(sessions, "SETTLE_S", 0.0)
    said = await spoken(tmp_path, "show status", "show cli pagination")  # this desk knows of no node
    assert "AttributeError" in capsys.readouterr().err
    assert "AttributeError" not in said
    assert "Executed command unsuccessfully\r\nadmin:" in said
    assert "Automatic Pagination : On." in said
