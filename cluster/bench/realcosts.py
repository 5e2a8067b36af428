"""What figure `laws` measures of labs of real processes: processor seconds of all of them, by the kernel's count.

Processor time and not the wall clock: 200 nodes on two cores wait for each other, and that is no cost of theirs.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing

from ucmlab.cluster.backups import empty
from ucmlab.cluster.bench.clusters import KeyStore, cluster_of, names_of
from ucmlab.cluster.bench.labs import RunningLab, running_lab
from ucmlab.cluster.bench.material import Certificate, make_certificates
from ucmlab.cluster.bench.measuring import bench_folder, cores
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.homeview import read_home
from ucmlab.cluster.labclient import LabClient, connect
from ucmlab.cluster.provision import open_lab
from ucmlab.node.events import Upload
from ucmlab.node.instant import HOUR
from ucmlab.node.layout import HomeLayout

UPLOADS = 10
UNIT = "tomcat-trust"
SETTLING_S = 3.0
"""Until what an act leads to is over in all processes: acknowledgements and pulses come a little later."""
KEYS_OF = 21
"""Keys are made for so many nodes; in a larger lab several nodes have the same, which nobody is there to mind."""


def real_costs(size: int, settling: float = SETTLING_S) -> Mapping[str, tuple[int, float]]:
    """What each law costs at that size: what was moved, and processor seconds.

    Raises:
        Unusable: the lab did not start, or did not do what it was asked.
    """
    with bench_folder() as folder:
        keys = KeyStore(folder / "keys", cluster_of(min(size, KEYS_OF)), cores())
        with running_lab(folder, names_of(size), keys) as running:
            time.sleep(settling)
            lab = connect(running.home)
            if lab is None:
                raise Unusable(f"the lab of {size} nodes has ended")
            with closing(lab):
                return _Costs(running, lab, size, settling).all()


class _Costs:
    def __init__(self, running: RunningLab, lab: LabClient, size: int, settling: float) -> None:
        self._running = running
        self._lab = lab
        self._size = size
        self._settling = settling
        self._home = open_lab(running.home)

    def all(self) -> dict[str, tuple[int, float]]:
        size, certificates = self._size, make_certificates(2 * UPLOADS)
        one = names_of(size)[1]
        rows = self._rows()
        costs = {"start": (size * rows, self._running.processor_seconds())}
        # A real hour is too long to wait for; a jump of one makes every timer of it fire.
        costs["idle"] = (size * rows, self._timed(lambda: self._lab.advance(HOUR)))
        costs["fan-out"] = (UPLOADS * size, self._timed(lambda: self._upload(certificates[:UPLOADS])))
        self._lab.fault("stop", one)
        self._upload(certificates[UPLOADS:])
        costs["catch-up"] = (UPLOADS + size, self._timed(lambda: self._start(one)))
        self._lab.fault("stop", one)
        empty(HomeLayout(self._home.node_home(one), self._home.topology.rulebook))
        costs["join"] = (rows + 2 * UPLOADS + size, self._timed(lambda: self._start(one)))
        return costs

    def _timed(self, act: Callable[[], None]) -> float:
        time.sleep(self._settling)
        before = self._running.processor_seconds()
        act()
        time.sleep(self._settling)
        return self._running.processor_seconds() - before

    def _upload(self, certificates: Sequence[Certificate]) -> None:
        for certificate in certificates:
            reply = self._lab.operate(
                self._home.topology.publisher, Upload(certificate.fingerprint, UNIT, certificate.pem)
            )
            if reply.outcome != "done":
                raise Unusable(f"an upload was {reply.outcome}: {reply.text}")
        self._converge()

    def _start(self, node: str) -> None:
        self._lab.fault("start", node)
        self._converge()

    def _converge(self) -> None:
        if not self._lab.converged(HOUR):
            raise Unusable(f"the lab of {self._size} nodes did not converge")

    def _rows(self) -> int:
        topology = self._home.topology
        return len(read_home(self._home.node_home(topology.publisher), topology.rulebook).rows)
