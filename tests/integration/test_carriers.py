"""Stories on a Mosquitto and on somebody else's broker end as in virtual time, and leave nothing behind."""

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.processes import is_alive
from tests.integration.real_lab import converge, converged, dumped, item, make_home, opened
from tests.integration.test_library_local import judged, told
from ucmlab.cluster.carriers import mosquitto
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.local import LocalLab, ProcessCrashed
from ucmlab.node.events import Upload
from ucmlab.node.instant import MINUTE, SECOND
from ucmlab.scenarios.loading import library_names
from ucmlab.scenarios.result import Result

USER, PASSWORD = "lab", "s3cr:t@pw"
READY_WITHIN_S = 10.0


@pytest.fixture(autouse=True)
def _needs_mosquitto() -> None:
    try:
        mosquitto.find_mosquitto()
    except Unusable as absent:
        pytest.skip(absent.text)


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[int]:
    """Somebody's broker with one account, on loopback; its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    (tmp_path / "passwords").write_text(f"{USER}:{mosquitto.hashed(PASSWORD)}\n")
    (tmp_path / "foreign.conf").write_text(
        f"user root\nlistener {port} 127.0.0.1\nallow_anonymous false\npassword_file {tmp_path}/passwords\n"
    )
    process = subprocess.Popen([mosquitto.find_mosquitto(), "-c", tmp_path / "foreign.conf"], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except ConnectionRefusedError:
            pass
    yield port
    process.kill()
    process.wait()


def ends_alike(real: Result, virtual: Result) -> None:
    assert (real.verdict, real.trouble) == ("held", None), judged(real)
    assert judged(real) == judged(virtual)
    assert (real.outcomes, real.digest) == (virtual.outcomes, virtual.digest)


@pytest.mark.slow
@pytest.mark.library
@pytest.mark.parametrize("name", library_names())
def test_every_story_ends_on_mosquitto_as_in_virtual_time(name: str) -> None:
    real = told(name, "local", broker="mosquitto")
    assert real.broker == "mosquitto"
    ends_alike(real, told(name, "sim"))


@pytest.mark.slow
@pytest.mark.library
def test_a_story_ends_on_somebody_elses_broker_alike_and_nothing_of_the_lab_stays_there(foreign: int) -> None:
    url = f"mqtt://{USER}:s3cr%3At%40pw@127.0.0.1:{foreign}"
    real = told("demo", "local", broker=url)
    ends_alike(real, told("demo", "sim"))
    assert real.broker == f"mqtt://127.0.0.1:{foreign}"
    assert "s3cr" not in real.again
    assert retained(foreign) == b""


@pytest.mark.slow
@pytest.mark.library
def test_somebody_elses_broker_is_not_killed(foreign: int) -> None:
    url = f"mqtt://{USER}:s3cr%3At%40pw@127.0.0.1:{foreign}"
    with pytest.raises(Unusable, match=r"is not this lab's and cannot be killed from here") as refused:
        told("broker_killed_mid_replication", "local", broker=url)
    assert "s3cr" not in refused.value.text


@pytest.mark.parametrize(
    ("account", "why"),
    [("lab:wrong@", "it refuses user 'lab'"), ("", "it refuses user 'pub'")],
    ids=["wrong password", "no account"],
)
def test_a_broker_that_lets_nobody_in_is_found_out_before_the_lab_starts(foreign: int, account: str, why: str) -> None:
    with pytest.raises(Unusable, match=why) as refused:
        told("ipsec_trust_is_local", "local", broker=f"mqtt://{account}127.0.0.1:{foreign}")
    assert "wrong" not in refused.value.text


def retained(port: int) -> bytes:
    """What the broker has retained, as Mosquitto's own client sees it."""
    listening = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(port), "-u", USER, "-P", PASSWORD]
    return subprocess.run([*listening, "-t", "#", "-v", "-W", "1"], capture_output=True, check=False).stdout


# -- the lab's own Mosquitto: its life


def broker_of(lab: LocalLab) -> int:
    pid = lab.facts().broker["pid"]
    assert isinstance(pid, int)
    return pid


async def upload(lab: LocalLab, number: int) -> None:
    wanted = item(number)
    reply = await lab.operate("sub1", Upload(f"op-{number}", wanted.unit, wanted.der))
    assert reply.outcome == "done", reply


@pytest.mark.slow
@pytest.mark.library
async def test_a_mosquitto_is_killed_and_started_again_and_ends_with_its_lab(tmp_path: Path) -> None:
    async with opened(make_home(tmp_path, "pub,sub1", broker="mosquitto")) as lab:
        await upload(lab, 1)
        first = broker_of(lab)
        await lab.kill_broker()
        assert not is_alive(first)
        assert lab.facts().broker["pid"] is None
        await lab.start_broker()
        second = broker_of(lab)
        assert second != first
        await upload(lab, 2)
        await converge(lab)
        assert lab.messages("cucm/v1/+/log/+")
    assert not is_alive(second)


@pytest.mark.slow
@pytest.mark.library
async def test_a_mosquitto_that_ends_in_order_is_no_crash_and_one_that_cannot_start_is(tmp_path: Path) -> None:
    home = make_home(tmp_path, "pub,sub1", broker="mosquitto")
    async with opened(home) as lab:
        await lab.stop_broker()
        assert lab.facts().broker["pid"] is None
        place = lab.roster.place
        with socket.socket() as taken:
            taken.bind((place.host, place.port))
            with pytest.raises(ProcessCrashed, match=r"ended by itself, with status 1: .*Address already in use"):
                await lab.start_broker()


@pytest.mark.slow
@pytest.mark.library
async def test_time_that_flows_is_settled_on_a_mosquitto_as_well(tmp_path: Path) -> None:
    async with opened(make_home(tmp_path, "pub,sub1", broker="mosquitto"), stepped=False) as lab:
        await upload(lab, 1)
        assert await lab.wait_until(lambda: converged(lab), 60 * SECOND)


@pytest.mark.slow
@pytest.mark.library
async def test_a_quiet_lab_stays_as_it_is_on_a_mosquitto(tmp_path: Path) -> None:
    async with opened(make_home(tmp_path, "pub,sub1,sub2", broker="mosquitto")) as lab:
        for number in range(3):
            await upload(lab, number)
        await lab.kill_node("sub2")
        # The will of the dead node is out: nothing is on the way that could change what is seen.
        assert '"lost"' in heard_last(lab)
        before = dumped(lab)
        await lab.wait(0)
        assert dumped(lab) == before
        await lab.wait(MINUTE)


def heard_last(lab: LocalLab) -> str:
    """The last birth of sub2's on the bus, as text enough to read its state."""
    last = lab.messages("cucm/v1/+/node/sub2/birth")[-1][1]
    return '"lost"' if b"lost" in last else repr(last)
