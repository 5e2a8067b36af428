"""What the figures have in common: percentiles, how processes are started, and which machine it was.

A figure is a multiple of a floor that was measured in between its own runs, because a machine is never the same twice.
"""

import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ucmlab.cluster.errors import Unusable

Say = Callable[[str], None]
"""Hears of each thing that is being measured."""
HOST = "127.0.0.1"
DISK_SAMPLES = 100
COMMAND_TIMEOUT_S = 300.0
LISTENS_WITHIN_S = 20.0


class Aim(msgspec.Struct, frozen=True):
    """One line of the verdict: what was measured, what it is to be, and in which unit."""

    what: str
    measured: float
    aim: float
    unit: str
    at_most: bool
    """Whether less is better."""

    @property
    def met(self) -> bool:
        """Whether the aim was reached."""
        return self.measured <= self.aim if self.at_most else self.measured >= self.aim


class Figure(msgspec.Struct, frozen=True):
    """One figure of `ucmlab bench`: everything measured, and how it stands against its aims."""

    name: str
    measured: dict[str, object]
    aims: tuple[Aim, ...] = ()


def percentile(values: Iterable[float], percent: float) -> float:
    """The smallest value that at least `percent` of all are not above (nearest rank).

    Raises:
        ValueError: there are no values.
    """
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values, no percentile")
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(1, int(rank)) - 1]


def median(values: Iterable[float]) -> float:
    """The value in the middle."""
    return percentile(values, 50)


def spread(values: Sequence[float]) -> dict[str, float]:
    """What is told of many values, all in milliseconds."""
    told = {"p50_ms": median(values), "p99_ms": percentile(values, 99), "least_ms": min(values), "most_ms": max(values)}
    return {name: round(value, 3) for name, value in told.items()}


@contextmanager
def bench_folder() -> Generator[Path]:
    """A new folder below `$TMPDIR`, gone afterwards. Where it lies matters: see `disk_facts`."""
    with tempfile.TemporaryDirectory(prefix="ucmlab-bench-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def python_environment(folder: Path, **more: str) -> dict[str, str]:
    """The environment of a process that is measured: with byte code kept, as an installed program has it.

    Who asked for none to be written (`PYTHONDONTWRITEBYTECODE`) gets it in `folder`, not beside the sources: else each
    run would compile all of ucmlab and the figure would tell the compiler's speed.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UCMLAB_")}
    if environment.pop("PYTHONDONTWRITEBYTECODE", ""):
        environment["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    return environment | more


def timed(arguments: Sequence[str], environment: dict[str, str], timeout: float = COMMAND_TIMEOUT_S) -> float:
    """Run one command to its end; seconds that it took.

    Raises:
        Unusable: it failed.
    """
    return _run(arguments, environment, timeout)[0]


def said(arguments: Sequence[str], environment: dict[str, str], timeout: float = COMMAND_TIMEOUT_S) -> str:
    """Run one command to its end; what it printed.

    Raises:
        Unusable: it failed.
    """
    return _run(arguments, environment, timeout)[1]


def _run(arguments: Sequence[str], environment: dict[str, str], timeout: float) -> tuple[float, str]:
    began = time.perf_counter()
    # Output into a file: what a detached lab inherits must not hold this call up.
    with tempfile.TemporaryFile() as output:
        status = subprocess.run(  # noqa: S603  our own interpreter
            arguments,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
        ).returncode
        took = time.perf_counter() - began
        output.seek(0)
        text = output.read().decode(errors="replace")
    if status:
        lines = text.strip().splitlines()
        raise Unusable(f"`{' '.join(arguments[1:])}` ended with {status}: {lines[-1] if lines else 'without a word'}")
    return took, text


def _until_listening(host: str, port: int, process: "subprocess.Popen[bytes]") -> None:
    """Wait until a process that was just started takes connections.

    Raises:
        Unusable: it ended, or does not within `LISTENS_WITHIN_S`.
    """
    deadline = time.monotonic() + LISTENS_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(ConnectionRefusedError), socket.create_connection((host, port), timeout=1.0):
            return
        time.sleep(0.02)
    raise Unusable(f"`{process.args!r}` does not listen on {host}:{port}")


@contextmanager
def listening(command: Sequence[str], port: int, folder: Path) -> Generator["subprocess.Popen[bytes]"]:
    """A server of a figure or of its floor, as a process that takes connections at a port of `HOST`.

    Raises:
        Unusable: it does not take any.
    """
    environment = python_environment(folder)
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603  of ours, or found on the path
    try:
        _until_listening(HOST, port, process)
        yield process
    finally:
        process.terminate()
        process.wait()


@contextmanager
def bare_server(module: str, *arguments: str, port: int, folder: Path) -> Generator[None]:
    """The server of a floor: `python -m ucmlab.cluster.bench.MODULE ARGUMENTS`."""
    with listening([sys.executable, "-m", f"ucmlab.cluster.bench.{module}", *arguments], port, folder):
        yield


def machine_facts(folder: Path) -> dict[str, object]:
    """Which machine it was, and what its disk does in `folder`."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": cores(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
        **disk_facts(folder),
    }


def disk_facts(folder: Path) -> dict[str, object]:
    """Median microseconds to make a small file in `folder`, and to sync one.

    A lab of 21 nodes makes thousands of small files, and what each costs is the folder's affair: 10 to 745 µs were seen
    on one ext4 without a journal, which looks at every inode set free in the last minutes before it takes one.
    """
    made: list[float] = []
    synced: list[float] = []
    place = folder / "disk"
    place.mkdir()
    for number in range(DISK_SAMPLES):
        began = time.perf_counter()
        file = os.open(place / str(number), os.O_CREAT | os.O_WRONLY, 0o600)
        made.append((time.perf_counter() - began) * 1e6)
        os.write(file, bytes(1000))
        began = time.perf_counter()
        os.fsync(file)
        synced.append((time.perf_counter() - began) * 1e6)
        os.close(file)
    return {"folder": str(folder.parent), "file_made_us": round(median(made)), "file_synced_us": round(median(synced))}


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def today() -> str:
    """When it was measured."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def commit() -> str | None:
    """The commit that was measured, with `+` when files differ from it; None for an installed wheel."""
    here = Path(__file__).resolve().parent
    try:
        told = [
            _git(here, "rev-parse", "--short=12", "HEAD"),
            _git(here, "status", "--porcelain", "--untracked-files=no"),
        ]
    except (OSError, subprocess.CalledProcessError):
        return None
    return told[0] + ("+" if told[1] else "")


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603  git's own words


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
