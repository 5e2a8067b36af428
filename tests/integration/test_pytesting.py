"""The pytest plugin, with labs of real processes: what a project's own tests get, and what is left behind: nothing."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.command_line import CommandLine, wait_until_gone
from tests.readme_files import write_readme_files
from ucmlab.cluster.control import runtime_folder
from ucmlab.cluster.pytesting import keeper

pytestmark = pytest.mark.slow
PATIENCE_S = 120


class Project:
    """Somebody's tests, run by a pytest of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.temporary = folder / "tmp"
        self.folder.mkdir()
        (self.folder / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers -p no:cacheprovider\n")

    def test(self, text: str, name: str = "test_it.py") -> None:
        (self.folder / name).write_text("import os, signal, pytest\n" + textwrap.dedent(text))

    def command(self, *options: str) -> list[str]:
        return [sys.executable, "-m", "pytest", f"--basetemp={self.temporary}", "-s", "-rs", *options]

    def run(self, *options: str) -> tuple[int, str]:
        done = subprocess.run(
            self.command(*options),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def start(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(self.command(), cwd=self.folder, stdout=subprocess.PIPE, text=True)

    def left(self) -> list[str]:
        """Labs' folders and processes that are still there."""
        processes = [each.info["cmdline"] for each in psutil.process_iter(["cmdline"])]
        mine = [" ".join(line) for line in processes if line and str(self.temporary) in " ".join(line[1:])]
        return [*self._folders(), *mine]

    def _folders(self) -> Iterator[str]:
        # Not by `glob`: a keeper removes them at this very moment, which it takes for an error.
        for at, names, _ in os.walk(self.temporary):
            yield from (f"{at}/{name}" for name in names if re.fullmatch(r"ucmlab\d+", name))
            names[:] = names if Path(at) == self.temporary else []

    def see_nothing_left(self) -> None:
        """At the latest in a moment: a keeper has no one who waits for it when pytest is gone."""
        deadline = time.monotonic() + 30
        while self.left() and time.monotonic() < deadline:
            os.sched_yield()
        assert self.left() == []


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def gone(project: Project, pids: list[int], block: str) -> None:
    """See that nothing of a lab is left."""
    project.see_nothing_left()
    assert wait_until_gone(pids) == []
    assert not (runtime_folder() / f"{block}.block").exists()


TELLS = """
    import json

    def tell(lab):
        state = json.loads(lab.run("dump", "--json"))
        pids = [state["broker"]["pid"], *(node["pid"] for node in state["nodes"].values())]
        print("PIDS", *pids, flush=True)
        print("BLOCK", lab.node("pub").address.rpartition(".")[0], flush=True)
"""


def told(output: str) -> tuple[list[int], str]:
    pids = re.search(r"PIDS ([\d ]+)", output)
    block = re.search(r"BLOCK ([\d.]+)", output)
    assert pids, output
    assert block, output
    return [int(each) for each in pids[1].split()], block[1]


def test_a_test_that_fails_shows_its_lab_and_leaves_nothing_but_the_report(project: Project) -> None:
    (project.folder / "lab.toml").write_text('domain = "example.test"\n')
    project.test(
        TELLS
        + """
    @pytest.mark.ucmlab(nodes="pub", config="lab.toml")
    def test_what_fails(ucmlab_lab):
        tell(ucmlab_lab)
        pub = ucmlab_lab.node("pub")
        assert (ucmlab_lab.nodes, pub.fqdn) == (("pub",), "pub.example.test")
        assert pub.https_port and pub.soap_port and ucmlab_lab.env["UCMLAB_MQTT_URL"]
        ucmlab_lab.advance("31m")
        ucmlab_lab.run("cert", "upload", "pub", "tomcat-trust", "-", stdin="no certificate")
    """
    )
    status, output = project.run("--ucmlab-reports", "kept")
    assert (status, "1 failed" in output) == (1, True), output
    assert re.search(r"CommandFailed: `ucmlab cert upload pub tomcat-trust -` ended with 1: refused format", output)
    assert "bus: embedded mqtt://" in output
    assert "ucmlab events, the last 30" in output
    (kept,) = (project.folder / "kept").iterdir()
    assert f"files of this lab: {kept}" in output
    assert {"journal.jsonl", "state.json", "supervisor.log"} <= {each.name for each in kept.iterdir()}
    gone(project, *told(output))


@pytest.mark.library
def test_the_readmes_renewal_passes_as_it_is_shown(project: Project) -> None:
    write_readme_files(project.folder)
    assert sorted(each.name for each in project.folder.glob("*.py")) == ["renew.py", "test_renew.py"]
    status, output = project.run()
    assert (status, "1 passed" in output) == (0, True), output
    assert project.left() == []


@pytest.mark.library
def test_one_lab_for_a_module_and_one_for_a_session(project: Project) -> None:
    (project.folder / "lab.toml").write_text('nodes = ["pub"]\ndomain = "session.test"\n')
    (project.folder / "pytest.ini").write_text("[pytest]\nucmlab_config = lab.toml\n")
    tests = """
    pytestmark = pytest.mark.ucmlab(nodes="pub", config="{name}.toml")
    homes = set()

    @pytest.mark.parametrize("turn", [1, 2])
    def test_it_is_the_same(ucmlab_lab_module, ucmlab_lab_session, turn):
        homes.add(ucmlab_lab_module.home)
        assert len(homes) == 1 and ucmlab_lab_session.home not in homes
        assert ucmlab_lab_module.node("pub").fqdn == "pub.{name}.test"
        assert ucmlab_lab_session.node("pub").fqdn == "pub.session.test"
        print("HOME", ucmlab_lab_session.home, ucmlab_lab_module.home)
    """
    for name in ("one", "two"):
        (project.folder / f"{name}.toml").write_text(f'domain = "{name}.test"\n')
        project.test(tests.format(name=name), f"test_{name}.py")
    status, output = project.run()
    assert status == 0, output
    homes = [line.split()[-2:] for line in output.splitlines() if "HOME" in line]
    assert len(homes) == 4
    assert (len({session for session, _ in homes}), len({module for _, module in homes})) == (1, 2)
    assert project.left() == []


@pytest.mark.library
def test_workers_have_labs_of_their_own(project: Project) -> None:
    project.test("""
    @pytest.mark.ucmlab(nodes="pub")
    @pytest.mark.parametrize("number", range(4))
    def test_it(ucmlab_lab, number):
        assert ucmlab_lab.node("pub").soap_port == 8443
    """)
    status, output = project.run("-n", "2")
    assert (status, "4 passed" in output) == (0, True), output
    assert project.left() == []


@pytest.mark.library
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_session_leaves_nothing(project: Project, number: signal.Signals) -> None:
    project.test(
        TELLS
        + """
    @pytest.mark.ucmlab(nodes="pub")
    def test_it(ucmlab_lab):
        tell(ucmlab_lab)
        print("READY", flush=True)
        signal.pause()
    """
    )
    with project.start() as running:
        assert running.stdout is not None
        seen = ""
        while "READY" not in seen:
            line = running.stdout.readline()
            assert line, seen
            seen += line
        running.send_signal(number)
        running.communicate(timeout=PATIENCE_S)
    gone(project, *told(seen))


@pytest.mark.library
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_session_that_is_interrupted_while_its_lab_starts_leaves_nothing(
    project: Project, number: signal.Signals
) -> None:
    project.test("""
    @pytest.mark.ucmlab(nodes="pub")
    def test_it(ucmlab_lab):
        pass
    """)
    with project.start() as running:
        while not list(project.temporary.glob("ucmlab0/lab/lab.json")):
            assert running.poll() is None
        running.send_signal(number)
        running.communicate(timeout=PATIENCE_S)
    project.see_nothing_left()


@pytest.mark.library
def test_a_supervisor_that_hangs_is_killed_and_every_process_with_it(
    lab: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.must("up", "--detach", "--nodes", "pub")
    supervisor = json.loads((lab.home / "control.json").read_bytes())["pid"]
    pids = [supervisor, *lab.pids()]
    monkeypatch.setattr(keeper, "END_TIMEOUT_S", 1.0)
    os.kill(supervisor, signal.SIGSTOP)
    keeper._end(lab.home)
    assert wait_until_gone(pids) == []


@pytest.mark.library
@pytest.mark.parametrize(
    ("marker", "text"),
    [
        ('nodes="db1"', "`ucmlab up --nodes db1` started no lab: ucmlab: "),
        ('node="pub"', "pytest.mark.ucmlab has no keyword 'node'; there are "),
        ('"pub,sub1"', "pytest.mark.ucmlab takes keywords alone, like nodes='pub,sub1'"),
    ],
)
def test_a_lab_that_cannot_be_had_is_told_in_one_line(project: Project, marker: str, text: str) -> None:
    project.test(f"""
    @pytest.mark.ucmlab({marker})
    def test_it(ucmlab_lab):
        pass
    """)
    status, output = project.run("--tb=line")
    assert (status, text in output) == (1, True), output
    assert project.left() == []
