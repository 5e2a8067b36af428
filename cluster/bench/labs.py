"""Labs as a user starts them, in a folder of the bench, and what their processes use."""

import json
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil

from ucmlab.cluster.bench.clusters import KeyStore, cluster_of, keys_of
from ucmlab.cluster.bench.measuring import python_environment, said, timed
from ucmlab.cluster.keycache import LARGEST_TARGET

UCMLAB = (sys.executable, "-m", "ucmlab.scenarios")
_SCHEDULER = 2
"""The clock of a process that the scheduler keeps (CPUCLOCK_SCHED of the Linux kernel)."""
TIMEOUT_S = 600.0
"""For the largest labs of figure `laws`; nobody waits for it who need not."""


class RunningLab(msgspec.Struct, frozen=True):
    """A lab that has converged."""

    home: Path
    environment: dict[str, str]
    nodes: dict[str, int]
    """Process ids."""
    broker: int

    def ucmlab(self, *arguments: str) -> float:
        """Run a command on it; seconds that it took."""
        return timed((*UCMLAB, *arguments, "--dir", str(self.home)), self.environment)

    def processes(self) -> tuple[psutil.Process, ...]:
        """Everything that runs because of it: nodes, broker, fork server, supervisor."""
        fork_server = psutil.Process(self.broker).parent()
        supervisor = None if fork_server is None else fork_server.parent()
        if fork_server is None or supervisor is None:
            raise ProcessLookupError("the lab has lost its supervisor")
        return (supervisor, fork_server, *fork_server.children())

    def pss(self) -> int:
        """Bytes of memory of all its processes; a page that several share counts once."""
        return sum(self.pss_of(process.pid) for process in self.processes())

    def pss_of(self, pid: int) -> int:
        """The part of one of them."""
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))

    def processor_seconds(self) -> float:
        """Processor time that its processes have used since each was started."""
        return sum(processor_seconds(process.pid) for process in self.processes())


@contextmanager
def running_lab(folder: Path, nodes: Sequence[str], keys: KeyStore) -> Generator[RunningLab]:
    """Start a lab of these nodes with a cache of keys that is still full afterwards, and end it.

    Else the supervisor would fill it while something is measured.
    """
    keys.copy_to(folder / "cache", at_least=LARGEST_TARGET + keys_of(cluster_of(len(nodes))).total())
    environment = python_environment(folder, UCMLAB_CACHE=str(folder / "cache"))
    home = folder / "lab"
    options = ("--nodes", ",".join(nodes), "--beyond-product", "--timeout", f"{TIMEOUT_S:g}s")
    told = json.loads(said((*UCMLAB, "up", "--detach", "--json", "--dir", str(home), *options), environment, TIMEOUT_S))
    pids = {name: node["pid"] for name, node in told["nodes"].items()}
    lab = RunningLab(home, environment, pids, told["broker"]["pid"])
    try:
        yield lab
    finally:
        lab.ucmlab("down")


def processor_seconds(pid: int) -> float:
    """Processor time of a process, ended threads included; to the nanosecond, where `stat` counts ticks of 10 ms."""
    return time.clock_gettime(~pid << 3 | _SCHEDULER)  # what clock_getcpuclockid(3) makes of it, which Python lacks
