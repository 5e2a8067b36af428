"""`ucmlab mail`, `ucmlab syslog`, and the faults of what is outside, at the command line."""

import json
from pathlib import Path

import pytest

from tests.unit.cluster.cli_lab import Bench, FakeLink, make_home
from ucmlab.cluster.outside.received import Logged, Mail

AT = "2026-01-05T08:00:00Z"
MAIL = Mail(AT, "sub1", "certmonitor@sub1.lab.test", ("a@lab.test", "b@lab.test"), "Notice", "one\ntwo\x1b[0m\n", AT)


def logged(node: str, text: str = "%UC_CERT-0-CertExpired: text") -> Logged:
    return Logged(AT, node, "udp", 0, "Cisco_Certificate_Monitor", "CertExpired", text, AT)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    home = make_home(tmp_path / "lab")
    return Bench(home, FakeLink(home), monkeypatch)


def test_mails_are_printed_as_people_read_them_and_steer_no_terminal(lab: Bench) -> None:
    lab.link.mails = [MAIL]
    result = lab.run("mail")
    assert result.stdout == (
        f"{AT}  sub1\nTo: a@lab.test; b@lab.test\nSubject: Notice\n\none\ntwo\N{REPLACEMENT CHARACTER}[0m\n\n"
    )


def test_as_json_a_mail_is_a_line(lab: Bench) -> None:
    lab.link.mails = [MAIL, MAIL]
    lines = lab.run("mail", "--json").stdout.splitlines()
    assert [json.loads(line) for line in lines] == [
        {
            "at": AT,
            "node": "sub1",
            "sender": "certmonitor@sub1.lab.test",
            "recipients": ["a@lab.test", "b@lab.test"],
            "subject": "Notice",
            "text": "one\ntwo\x1b[0m\n",
            "written": AT,
        }
    ] * 2


def test_a_syslog_message_is_a_line_and_can_be_chosen_by_node(lab: Bench) -> None:
    lab.link.messages = [logged("pub"), logged("sub1")]
    assert lab.run("syslog").stdout.splitlines() == [
        f"{AT}  pub    emerg   %UC_CERT-0-CertExpired: text",
        f"{AT}  sub1   emerg   %UC_CERT-0-CertExpired: text",
    ]
    (line,) = lab.run("syslog", "--node", "sub1", "--json").stdout.splitlines()
    assert (json.loads(line)["node"], json.loads(line)["severity"]) == ("sub1", 0)


def test_following_goes_on_with_what_came_since(lab: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.link.messages = [logged("pub", "one")]
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            raise KeyboardInterrupt
        lab.link.messages.append(logged("pub", f"after {len(waits)}"))

    monkeypatch.setattr("ucmlab.cluster.cli.outside.time.sleep", wait)
    said = [line.split()[-1] for line in lab.run("syslog", "--follow").stdout.splitlines()]
    assert (said, len(waits)) == (["one", "1", "2"], 3)


@pytest.mark.parametrize("command", [["mail"], ["syslog"], ["syslog", "--json"]])
def test_without_a_running_lab_there_is_nothing_to_ask(lab: Bench, command: list[str]) -> None:
    lab.running = False
    result = lab.run(*command)
    assert (result.exit_code, "does not run" in result.stderr) == (2, True)


def test_a_node_that_there_is_not_is_refused(lab: Bench) -> None:
    result = lab.run("syslog", "--node", "sub9")
    assert (result.exit_code, "sub9" in result.stderr) == (2, True)


@pytest.mark.parametrize("place", ["mail", "syslog"])
def test_a_server_outside_is_stopped_and_started_like_a_node(lab: Bench, place: str) -> None:
    lab.link.broken = [{"fault": "outside", "target": place, "state": "stopped"}]
    assert lab.run("fault", "stop", place).stdout.splitlines() == [
        f"{place}: stopped",
        f"outside {place} state=stopped",
    ]
    lab.link.broken = []
    assert lab.run("fault", "start", place).stdout.splitlines() == [f"{place}: up"]
    assert lab.link.faults == [("stop", place), ("start", place)]
