"""`ucmlab doctor broker` as people type it, against real Mosquittos and against nothing."""

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.integration.test_carriers import READY_WITHIN_S
from ucmlab.cluster.carriers import mosquitto
from ucmlab.cluster.cli.root import root
from ucmlab.cluster.errors import Unusable


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Mosquitto:
    """One Mosquitto with settings of the test's choice."""

    def __init__(self, folder: Path) -> None:
        try:
            self._program = mosquitto.find_mosquitto()
        except Unusable as absent:
            pytest.skip(absent.text)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    def start(self, *settings: str) -> str:
        lines = ("user root", f"listener {self.port} 127.0.0.1", "allow_anonymous true", *settings)
        (self._folder / "m.conf").write_text("\n".join(lines) + "\n")
        self._process = subprocess.Popen([self._program, "-c", self._folder / "m.conf"], stderr=subprocess.PIPE)
        assert self._process.stderr is not None
        while b"running" not in (line := self._process.stderr.readline()):
            assert line, "mosquitto ended before it was ready"
        return f"mqtt://127.0.0.1:{self.port}"

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate(timeout=READY_WITHIN_S)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    made = Mosquitto(tmp_path)
    yield made
    made.end()


def doctor(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(root(), ["doctor", "broker", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_a_broker_that_is_not_there_ends_with_one_line() -> None:
    port = free_port()
    code, _, said = doctor(f"mqtt://127.0.0.1:{port}")
    assert (code, said) == (2, f"ucmlab: the broker at 127.0.0.1:{port} cannot be used: nothing listens there\n")


@pytest.mark.parametrize("url", ["embedded", "mosquitto", "pigeon", "http://127.0.0.1"])
def test_what_is_no_url_of_a_broker_ends_with_one_line(url: str) -> None:
    code, _, said = doctor(url)
    assert code == 2
    assert said.startswith("ucmlab: ")
    assert said.count("\n") == 1


def test_a_wrong_password_ends_with_one_line_that_does_not_repeat_it(broker: Mosquitto, tmp_path: Path) -> None:
    (tmp_path / "passwords").write_text(f"lab:{mosquitto.hashed('right')}\n")
    broker.start(f"password_file {tmp_path}/passwords")
    code, _, said = doctor(f"mqtt://lab:wrong@127.0.0.1:{broker.port}")
    assert code == 2
    assert "it refuses user 'lab'" in said
    assert "wrong" not in said


@pytest.mark.slow
@pytest.mark.library
def test_mosquitto_as_it_comes_can_carry_a_lab(broker: Mosquitto) -> None:
    code, out, _ = doctor(broker.start(), "--json")
    told = json.loads(out)
    assert code == 0
    # Before 2.1 it does not say who took a session over.
    assert told["verdict"] in {"can carry a lab", "can, but: session takeover"}
    assert [each["check"] for each in told["checks"]][:2] == ["access", "order in one topic"]


@pytest.mark.slow
@pytest.mark.library
def test_a_mosquitto_that_is_badly_set_up_cannot(broker: Mosquitto) -> None:
    code, out, _ = doctor(broker.start("max_queued_messages 5", "retain_available false", "message_size_limit 1000"))
    assert code == 1
    assert "5 of 200 wait for who is away" in out
    assert out.splitlines()[-1].endswith("cannot carry a lab: retained messages, large messages")
