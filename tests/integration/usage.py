"""What the processes of a lab cost: processor time, memory, descriptors, tasks; and whether a series of those grows."""

import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
import psutil


class Sample(msgspec.Struct, frozen=True):
    """One process at one moment."""

    at: float
    """Machine seconds, of a clock that never goes back."""
    pid: int
    rss: int
    """Bytes. Not PSS: that changes when others die that share the pages."""
    descriptors: int
    tasks: int


def processes(broker_pid: int) -> dict[str, psutil.Process]:
    """Every process of the lab whose broker that is, by its role: `supervisor`, `fork server`, `broker`, `pub`, …"""
    supervisor = psutil.Process(broker_pid).parent()
    assert supervisor is not None
    while "supervisor" not in title(supervisor):
        supervisor = supervisor.parent()
        assert supervisor is not None, "the broker has no supervisor above it"
    found = [supervisor, *supervisor.children(recursive=True)]
    return {title(process).partition(" ")[2].partition(" ")[2]: process for process in found}


def title(process: psutil.Process) -> str:
    """`ucmlab: LAB ROLE`"""
    return " ".join(process.cmdline()).strip()


def processor_ns(pids: Iterable[int]) -> int:
    """Nanoseconds that processes have run; the kernel's count to the nanosecond, not in ticks of ten milliseconds."""
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids)


def sample(process: psutil.Process) -> Sample | None:
    """A process now; None when it is gone."""
    try:
        with process.oneshot():
            return Sample(
                time.monotonic(), process.pid, process.memory_info().rss, process.num_fds(), process.num_threads()
            )
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def pss(processes: Mapping[str, psutil.Process]) -> int:
    """Bytes of all together, shared pages counted once."""
    return sum(process.memory_full_info().pss for process in processes.values())


def growth(samples: Sequence[Sample], field: str) -> float:
    """By how much a field grew from the first sample to the last, along the straight line that fits all best."""
    times = [each.at for each in samples]
    slope, _ = statistics.linear_regression(times, [getattr(each, field) for each in samples])
    return slope * (times[-1] - times[0])


def last_two_thirds(samples: Sequence[Sample], began: float, ended: float) -> list[Sample]:
    """Those after the first third of the time: what a process takes once, it has taken by then."""
    return [each for each in samples if each.at >= began + (ended - began) / 3]
