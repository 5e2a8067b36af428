"""Stories on a Mosquitto and on somebody else's broker end as in virtual time, and leave nothing behind."""

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.test_library_local import judged, told
from ucmlab.cluster.carriers import mosquitto
from ucmlab.cluster.errors import Unusable
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
