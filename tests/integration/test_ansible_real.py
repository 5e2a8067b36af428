"""What playbooks do with the platform's command line of a real lab (wire-interfaces 3.1, 3.3)."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.authority import Authority
from tests.integration.clients import PYTHON, WHAT_THEY_NEED, restarts_by_command_line, run
from tests.integration.command_line import CommandLine, Forked, running
from tests.integration.interfaces import Door, fingerprint
from tests.integration.test_tls_real import presented

pytestmark = WHAT_THEY_NEED
PLAYBOOKS = Path(__file__).with_name("ansible")
OPENSSH = pytest.mark.skipif(shutil.which("ssh") is None, reason="OpenSSH's ssh is not installed")
SSH_ARGUMENTS = "-F /dev/null -o UserKnownHostsFile=/dev/null -o GlobalKnownHostsFile=/dev/null"
SETTINGS = {
    "ANSIBLE_DEPRECATION_WARNINGS": "False",
    "ANSIBLE_HOST_KEY_CHECKING": "False",
    "ANSIBLE_LIBRARY": str(PLAYBOOKS / "library"),
    "ANSIBLE_LOCALHOST_WARNING": "False",
    "ANSIBLE_NOCOLOR": "True",
    "ANSIBLE_SSH_ARGS": SSH_ARGUMENTS,
    "ANSIBLE_SSH_PASSWORD_MECHANISM": "ssh_askpass",  # so that nothing has to be installed for it
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with running(tmp_path_factory.mktemp("ansible"), Forked, nodes="pub,sub1") as made:
        yield made


def ansible(lab: CommandLine, node: str, folder: Path, program: str, *arguments: str | Path) -> tuple[int, str]:
    """Run Ansible with one node as its inventory; its ports are facts: those of the product may be others'."""
    env, door = lab.json("env"), Door(lab, node)
    ports = {f"{name}_port": env[f"UCMLAB_{node.upper()}_{name.upper()}_PORT"] for name in ("https", "soap")}
    facts = {"ansible_python_interpreter": str(PYTHON), "ansible_port": door.port, **ports}
    inventory = ("-i", f"{door.host},", "-e", json.dumps(facts))
    return run(program, *inventory, *arguments, folder=folder, environment=SETTINGS | env)


def play(lab: CommandLine, node: str, folder: Path, book: str, *facts: str) -> tuple[int, str]:
    given = [word for fact in facts for word in ("-e", fact)]
    return ansible(lab, node, folder, "ansible-playbook", *given, PLAYBOOKS / f"{book}.yml")


@pytest.mark.parametrize(
    ("connection", "words"),
    [
        pytest.param("ssh", "exec request failed on channel 0", marks=OPENSSH),
        ("paramiko_ssh", "Channel closed"),
    ],
)
def test_a_raw_command_fails_at_once_and_harms_nothing(
    lab: CommandLine, tmp_path: Path, connection: str, words: str
) -> None:
    """`raw` opens an exec channel, which there is not; nothing waits for an answer that never comes."""
    door, before = Door(lab, "pub"), state(lab, "pub")
    account = ("-c", connection, "-u", door.user, "-e", f"ansible_password={door.password}")
    asked = ("-m", "ansible.builtin.raw", "-a", "set cert regen tomcat")
    # Well below what Ansible waits for on its own.
    status, said = ansible(lab, "pub", tmp_path, "ansible", "all", "--timeout", "30", *account, *asked)
    assert status != 0
    assert words in said
    assert door.spoken("show version active")[0].startswith("Active Master Version")
    assert state(lab, "pub") == before


def state(lab: CommandLine, node: str) -> dict[str, Any]:
    """A node's process, and its certificates."""
    dumped = lab.json("dump")["nodes"][node]
    return {name: dumped[name] for name in ("pid", "state", "identities", "trust", "authz")}


@pytest.mark.parametrize(
    ("book", "node", "listener"), [("renewal", "sub1", "https_alt"), ("rest", "pub", "tftp_https")]
)
def test_a_renewal_by_a_playbook(lab: CommandLine, tmp_path: Path, book: str, node: str, listener: str) -> None:
    authority = Authority(tmp_path, f"Ansible {book}")
    status, said = play(lab, node, tmp_path, book, f"folder={tmp_path}", f"authority={authority.folder}")
    assert status == 0, said
    assert presented(lab.json("dump")["nodes"][node]["addresses"][listener]) == fingerprint(
        (tmp_path / "tomcat.pem").read_text()
    )
    lab.must("wait", "--converged", "--within", "60s")
    for other in lab.json("dump")["nodes"].values():
        trusted = {each["fingerprint"] for each in other["trust"]["tomcat-trust"]}
        assert {fingerprint(ca.read_text()) for ca in (authority.root, authority.issuing)} <= trusted


@OPENSSH
def test_a_session_that_ansible_types(lab: CommandLine, tmp_path: Path) -> None:
    before = restarts_by_command_line(lab, "pub", "Cisco Tftp")
    status, said = play(lab, "pub", tmp_path, "expect")
    assert status == 0, said
    assert restarts_by_command_line(lab, "pub", "Cisco Tftp") == before + 1


def test_a_command_that_fails_ends_the_play(lab: CommandLine, tmp_path: Path) -> None:
    status, said = play(lab, "pub", tmp_path, "fails")
    assert status == 2, said
    assert "Executed command unsuccessfully" in said
    assert "the play went on" not in said
