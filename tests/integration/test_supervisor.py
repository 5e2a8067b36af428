"""`ucmlab up` as a process: ready when converged, asked over its socket, one at a time, gone without a trace."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.processes import descendants, is_alive, until
from tests.integration.real_lab import item, make_home
from ucmlab.cluster.cli.lablink import LabGone
from ucmlab.cluster.control import listen, socket_path
from ucmlab.cluster.daemon import detached
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.labclient import LabClient, connect
from ucmlab.cluster.lablock import LabLock, lock_path
from ucmlab.cluster.provision import LabHome
from ucmlab.cluster.supervisor import run_lab
from ucmlab.node.events import Upload
from ucmlab.node.instant import MINUTE

pytestmark = pytest.mark.slow

ROOT = item(1)


@pytest.fixture
def home(tmp_path: Path) -> LabHome:
    deep = tmp_path / ("deep" * 25) / ("deeper" * 20)
    deep.mkdir(parents=True)
    return make_home(deep, "pub,sub1")


def start(home: LabHome, *, timeout: float = 60) -> None:
    detached(lambda ready: run_lab(home, ready, timeout=timeout, fresh_keys=True), home.logs / "supervisor.log")


@contextmanager
def running(home: LabHome) -> Iterator[LabClient]:
    start(home)
    client = connect(home.path)
    assert client is not None
    pid = supervisor(home)
    try:
        yield client
    finally:
        client.close()
        if is_alive(pid):
            os.kill(pid, signal.SIGTERM)


def supervisor(home: LabHome) -> int:
    return int(json.loads((home.path / "control.json").read_bytes())["pid"])


def states(client: LabClient) -> dict[str, object]:
    nodes = client.dump()["nodes"]
    assert isinstance(nodes, dict)
    return {name: node["state"] for name, node in nodes.items()}


def test_when_it_is_ready_the_lab_has_converged_and_is_driven_over_its_socket(home: LabHome) -> None:
    with running(home) as client:
        assert client.dump()["converged"] is True
        assert client.operate("sub1", Upload("op", ROOT.unit, ROOT.pem)).outcome == "done"
        client.fault("isolate", "sub1")
        assert states(client) == {"pub": "up", "sub1": "isolated"}
        client.fault("heal")
        client.partition([["pub"], ["sub1"]], None)
        assert states(client) == {"pub": "up", "sub1": "isolated"}
        client.fault("heal", "sub1")
        client.inject("clock", "sub1", {"offset": "1s"}, count=None, lasts=None)
        client.speed(5)
        client.advance(31 * MINUTE)
        assert client.converged(MINUTE)


@pytest.mark.library
@pytest.mark.parametrize(("what", "state"), [("kill", "down"), ("stop", "down"), ("pause", "paused")])
def test_nodes_go_and_come_back(home: LabHome, what: str, state: str) -> None:
    with running(home) as client:
        client.fault(what, "sub1")
        assert states(client)["sub1"] == state

        client.fault("resume" if state == "paused" else "start", "sub1")
        assert client.converged(MINUTE)
        for act in (what, "start"):
            if act != "pause":
                client.fault(act, "broker")
        assert client.converged(MINUTE)
        assert states(client)["sub1"] == "up"


def test_what_cannot_be_done_is_told_in_a_line(home: LabHome) -> None:
    with running(home) as client:
        with pytest.raises(Unusable, match=r"^there is no node 'sub9'; there are pub, sub1$"):
            client.fault("kill", "sub9")
        with pytest.raises(Unusable, match=r"^the broker has no fault .pause.; it can be killed, stopped and started$"):
            client.fault("pause", "broker")
        with pytest.raises(Unusable, match=r"^there is no fault 'melt'"):
            client.fault("melt", "sub1")
        assert client.dump()["converged"] is True


@pytest.mark.library
async def test_down_returns_when_every_process_is_gone_and_the_home_can_be_started_again(home: LabHome) -> None:
    with running(home) as client:
        pid = supervisor(home)
        family = [pid, *descendants(pid)]
        client.down()

        assert not any(is_alive(each) for each in family[1:])
        await until(lambda: not is_alive(pid))
        assert connect(home.path) is None
        assert not socket_path(home.path).exists()

    with running(home) as client:
        assert client.dump()["converged"] is True


@pytest.mark.library
def test_a_second_supervisor_is_refused_while_one_runs(home: LabHome) -> None:
    with running(home) as client:
        with pytest.raises(Unusable, match=r"runs already; end it with `ucmlab down`$"):
            start(home)
        assert client.dump()["converged"] is True


@pytest.mark.library
async def test_what_a_killed_supervisor_leaves_behind_stops_nobody(home: LabHome) -> None:
    with running(home):
        pid = supervisor(home)
        family = [pid, *descendants(pid)]
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not any(is_alive(each) for each in family))

    assert (home.path / "control.json").exists()
    assert socket_path(home.path).exists()
    assert connect(home.path) is None
    with running(home) as client:
        assert client.dump()["converged"] is True


def test_a_lab_that_does_not_become_ready_says_what_it_waits_for_and_is_gone(home: LabHome) -> None:
    with pytest.raises(Unusable, match=r"^the lab did not become ready within 0.05 s; it waits for: "):
        start(home, timeout=0.05)

    assert connect(home.path) is None
    LabLock(home.path).release()


async def test_when_the_command_dies_before_the_lab_is_ready_the_lab_ends(home: LabHome) -> None:
    command = os.fork()
    if command == 0:
        try:
            start(home)
        finally:
            os._exit(0)
    await until(lock_path(home.path).exists)
    os.kill(command, signal.SIGKILL)
    os.waitpid(command, 0)  # noqa: ASYNC222  it is dead already

    def free() -> bool:
        try:
            LabLock(home.path).release()
        except Unusable:
            return False
        return True

    await until(free)


def test_who_is_asking_while_the_lab_ends_is_told_so(home: LabHome) -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours, pytest.raises(LabGone, match=r"^the lab ended while it was being asked"):
        LabClient(home.path, ours).dump()


def test_one_who_only_listens_there_is_no_lab(home: LabHome) -> None:
    lock = LabLock(home.path)
    path = socket_path(home.path)
    lock.point(path)
    listen(path).close()

    assert connect(home.path) is None

    path.unlink()
    lock.release()


@pytest.mark.library
def test_the_clock_goes_on_while_the_lab_is_down(home: LabHome) -> None:
    with running(home) as client:
        before = str(client.dump()["now"])
        client.down()
    with running(home) as client:
        assert str(client.dump()["now"]) > before
