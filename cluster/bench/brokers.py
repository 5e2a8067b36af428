"""Figure `broker`: the embedded broker's fan-out beside Mosquitto's, under the load of `ucmlab.cluster.bench.fanout`.

Each broker is a process as a user would start it, on loopback, without TLS and accounts. They take turns.
"""

import shutil
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil

from ucmlab.cluster.addresses import free_port
from ucmlab.cluster.bench.fanout import Counted, Load
from ucmlab.cluster.bench.measuring import (
    HOST,
    Aim,
    Figure,
    Say,
    bench_folder,
    listening,
    median,
    python_environment,
)
from ucmlab.cluster.errors import Unusable

AIM = 0.7
SIZE = 2_048
WINDOW = 100
"""Messages on their way: below every queue's bound, and enough to keep a broker busy."""
FAN_OUTS = (5, 20)
SKIPPED = "there is no mosquitto on this machine; `make extras` installs it where it can"


class _Run(msgspec.Struct, frozen=True):
    """One round of one broker."""

    counted: Counted
    broker_seconds: float
    """Processor time of the broker."""

    @property
    def rate(self) -> float:
        """Deliveries a second."""
        return self.counted.deliveries / self.counted.seconds

    @property
    def ceiling(self) -> float:
        """Deliveries a second that the generator could count, if it had nothing to wait for."""
        return self.counted.deliveries / self.counted.processor_seconds


def measure_broker(
    say: Say, *, fan_outs: Sequence[int] = FAN_OUTS, deliveries: int = 60_000, rounds: int = 5
) -> Figure:
    """Let both brokers deliver so many messages in every round.

    Raises:
        Unusable: a broker did not start, or lost something.
    """
    program = shutil.which("mosquitto")
    if program is None:
        return Figure("broker", {"skipped": SKIPPED})
    labs: dict[str, object] = {}
    aims: list[Aim] = []
    with bench_folder() as folder, _ours(folder) as ours, _mosquitto(folder, program) as mosquitto:
        for receivers in fan_outs:
            runs: dict[str, list[_Run]] = {"embedded": [], "mosquitto": []}
            for number in range(rounds):
                say(f"broker: one to {receivers}, {number + 1} of {rounds}")
                for name, place in (("embedded", ours), ("mosquitto", mosquitto)):
                    load = Load(HOST, place.port, receivers, deliveries // receivers, SIZE, WINDOW)
                    runs[name].append(_round(load, place.process, folder))
            ratio = _rate(runs["embedded"]) / _rate(runs["mosquitto"])
            labs[str(receivers)] = {name: _told(each) for name, each in runs.items()} | {"ratio": round(ratio, 2)}
            aims.append(Aim(f"deliveries a second, one to {receivers}", ratio, AIM, "times Mosquitto", at_most=False))
    return Figure("broker", {"payload_bytes": SIZE, "window": WINDOW, "receivers": labs}, tuple(aims))


def _rate(runs: Sequence[_Run]) -> float:
    return median(run.rate for run in runs)


def _told(runs: Sequence[_Run]) -> dict[str, object]:
    seconds = [run.broker_seconds / run.counted.deliveries * 1e6 for run in runs]
    return {
        "deliveries_a_second": round(_rate(runs)),
        "broker_us_a_delivery": round(min(seconds), 2),
        "generator_ceiling": round(median(run.ceiling for run in runs)),
    }


class _Broker(msgspec.Struct, frozen=True):
    port: int
    process: "subprocess.Popen[bytes]"


def _round(load: Load, broker: "subprocess.Popen[bytes]", folder: Path) -> _Run:
    before = _processor_seconds(broker.pid)
    done = subprocess.run(
        [sys.executable, "-m", "ucmlab.cluster.bench.fanout"],
        input=msgspec.json.encode(load),
        env=python_environment(folder),
        stdout=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        raise Unusable("the load could not be carried; it has said why above")
    return _Run(msgspec.json.decode(done.stdout, type=Counted), _processor_seconds(broker.pid) - before)


def _processor_seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


@contextmanager
def _ours(folder: Path) -> Generator[_Broker]:
    port = free_port(HOST, 0)
    command = [sys.executable, "-m", "ucmlab.scenarios", "broker", "--anonymous", "--listen", f"{HOST}:{port}"]
    with _running(command, port, folder) as broker:
        yield broker


@contextmanager
def _mosquitto(folder: Path, program: str) -> Generator[_Broker]:
    port = free_port(HOST, 0)
    configuration = folder / "mosquitto.conf"
    # As fast as it goes: no bound on what is in flight (its default is 20), nothing kept, nothing logged.
    configuration.write_text(
        f"listener {port} {HOST}\nallow_anonymous true\nset_tcp_nodelay true\nmax_inflight_messages 0\n"
        "max_queued_messages 0\npersistence false\nlog_type error\n",
        encoding="utf-8",
    )
    with _running([program, "-c", str(configuration)], port, folder) as broker:
        yield broker


@contextmanager
def _running(command: Sequence[str], port: int, folder: Path) -> Generator[_Broker]:
    with listening(command, port, folder) as process:
        yield _Broker(port, process)
