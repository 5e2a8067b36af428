"""The platform's command line of a real lab, as scripts with netmiko use it (wire-interfaces 3)."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration import test_tls_real as tls
from tests.integration.clients import PYTHON, WHAT_THEY_NEED, restarts_by_command_line, run
from tests.integration.command_line import CommandLine, Forked, running
from tests.integration.interfaces import OF_PUB, Api, Door, fingerprint, presented

pytestmark = WHAT_THEY_NEED
SESSION = Path(__file__).with_name("netmiko_session.py")
END = r"admin:"
QUESTION = r"\(yes\|no\)\? "


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with running(tmp_path_factory.mktemp("netmiko"), Forked, nodes="pub,sub1") as made:
        yield made


def spoken(lab: CommandLine, node: str, folder: Path, kind: str, *lines: tuple[str, str]) -> Any:  # noqa: ANN401
    """What a session comes to."""
    door = Door(lab, node)
    account = {"host": door.host, "port": door.port, "username": door.user, "password": door.password}
    asked = json.dumps({"door": {"device_type": kind, **account}, "lines": lines})
    status, said = run(PYTHON, SESSION, folder=folder, stdin=asked)
    assert status == 0, said
    return json.loads(said)


@pytest.mark.parametrize("kind", ["generic", "terminal_server"])
def test_a_session_that_reads_and_restarts(lab: CommandLine, tmp_path: Path, kind: str) -> None:
    api, before = Api(lab, "pub"), restarts_by_command_line(lab, "pub", "Cisco Tftp")
    lines = ("set cli pagination off", "show cert list own", "show cert own tomcat", "utils service restart Cisco Tftp")
    found = spoken(lab, "pub", tmp_path, kind, *((line, END) for line in lines))
    assert (found["key"], found["prompt"]) == ("ssh-rsa", "admin:")
    paged, listed, shown, restarted = found["answers"]
    assert paged == "Automatic pagination is turned off"
    assert [line.partition(":")[0] for line in listed.splitlines()] == [f"{unit}/{unit}.pem" for unit in OF_PUB]
    assert fingerprint(shown[shown.index("-----BEGIN") :]) == presented(api)
    states = re.findall(r"^Cisco Tftp\[(\w+)\]", restarted, re.MULTILINE)
    assert list(dict.fromkeys(states)) == ["STOPPING", "STARTING", "STARTED"]
    assert restarts_by_command_line(lab, "pub", "Cisco Tftp") == before + 1


def test_a_regeneration_with_its_question(lab: CommandLine, tmp_path: Path) -> None:
    def of_sub1() -> str:
        found: str = lab.json("dump")["nodes"]["sub1"]["identities"]["CallManager"]["fingerprint"]
        return found

    sip, proxy = (f"{Door(lab, 'sub1').host}:{port}" for port in (5061, 9443))
    before = of_sub1()
    assert tls.presented(sip) == tls.presented(proxy) == before
    asked = ("set cert regen CallManager", QUESTION)
    refused = spoken(lab, "sub1", tmp_path, "generic", asked, ("no", END))["answers"]
    assert refused[0].startswith("WARNING: This operation will overwrite any CA signed certificate")
    assert "Successfully" not in refused[1]
    assert of_sub1() == before

    done = spoken(lab, "sub1", tmp_path, "generic", asked, ("yes", END))["answers"]
    assert "Successfully Regenerated Certificate for CallManager." in done[1]
    after = of_sub1()
    assert after != before
    lab.must("wait", "--converged", "--within", "60s")
    trusted = lab.json("dump")["nodes"]["pub"]["trust"]["CallManager-trust"]
    assert after in {each["fingerprint"] for each in trusted}
    assert (tls.presented(sip), tls.presented(proxy)) == (after, before), "one of the two waits for its restart"
    spoken(lab, "sub1", tmp_path, "generic", ("utils service restart Cisco HAProxy", END))
    assert tls.presented(proxy) == after


def test_a_script_that_waits_until_nothing_more_comes(lab: CommandLine, tmp_path: Path) -> None:
    """`send_command_timing`, as scripts have it that know no prompt."""
    asked, done = spoken(lab, "pub", tmp_path, "generic", ("set cert regen TVS", ""), ("yes", ""))["answers"]
    assert asked.endswith("Proceed with regeneration (yes|no)? ")
    assert "Successfully Regenerated Certificate for TVS." in done
    assert done.endswith("admin:")
