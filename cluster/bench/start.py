"""Figure `start`: from the command to a converged lab, as a multiple of one cold import of the libraries it is made of.

Floor and figure alternate. Each start is of a new lab in a new folder with a key cache of its own, filled or empty, and
ends with `down`, which is not timed.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from ucmlab.cluster.bench.clusters import SIZES, KeyStore, cluster_of, keys_of
from ucmlab.cluster.bench.measuring import Aim, Figure, Say, bench_folder, cores, median, python_environment, timed

COLD = "import aiohttp, aiomqtt, cryptography.x509"
UCMLAB = (sys.executable, "-m", "ucmlab.scenarios")
AIM = 4.0
AIM_OF = 21
"""The size that the aims speak of."""
RSA_SHARE = 1.2
"""An empty cache may cost that part of the RSA time by cores, beyond what a filled one may cost."""


class _Starts:
    """Starts labs one after the other below one folder."""

    def __init__(self, folder: Path, keys: KeyStore) -> None:
        self._folder = folder
        self._keys = keys
        self._count = 0

    def cold(self) -> float:
        return timed((sys.executable, "-c", COLD), python_environment(self._folder))

    def start(self, size: int, *, filled: bool) -> float:
        self._count += 1
        home, cache = self._folder / f"lab{self._count}", self._folder / f"cache{self._count}"
        if filled:
            self._keys.copy_to(cache)
        environment = python_environment(self._folder, UCMLAB_CACHE=str(cache))
        here = ("--dir", str(home))
        took = timed((*UCMLAB, "up", "--detach", *here, "--nodes", SIZES[size], "--timeout", "120s"), environment)
        timed((*UCMLAB, "down", *here), environment)
        return took


def measure_start(
    say: Say, *, sizes: Sequence[int] = (3, 21), caches: Sequence[bool] = (True, False), runs: int = 5
) -> Figure:
    """Start clusters of the given sizes `runs` times each, with a filled (True) and an empty (False) key cache.

    Raises:
        Unusable: a lab did not start, or did not end.
    """
    with bench_folder() as folder:
        say("start: making keys")
        keys = KeyStore(folder / "keys", cluster_of(max(sizes)), cores())
        starts = _Starts(folder, keys)
        say("start: once unmeasured, for the byte code")
        starts.cold()
        starts.start(min(sizes), filled=True)
        cold: list[float] = []
        took: dict[tuple[int, bool], list[float]] = {(size, filled): [] for size in sizes for filled in caches}
        for number in range(runs):
            for (size, filled), seconds in took.items():
                say(f"start: {size} nodes, {'filled' if filled else 'empty'} cache, {number + 1} of {runs}")
                cold.append(starts.cold())
                seconds.append(starts.start(size, filled=filled))
    return _figure(cold, took, keys.seconds_a_key)


def _figure(cold: list[float], took: dict[tuple[int, bool], list[float]], seconds_a_key: float) -> Figure:
    floor = median(cold)
    labs: dict[str, dict[str, object]] = {}
    for (size, filled), seconds in took.items():
        told: dict[str, object] = {
            "seconds": round(median(seconds), 3),
            "times_cold": round(median(seconds) / floor, 2),
            "runs": [round(each, 3) for each in seconds],
        }
        if not filled:
            number = keys_of(cluster_of(size)).total()
            told |= {"keys": number, "rsa_seconds_by_cores": round(number * seconds_a_key / cores(), 3)}
        labs.setdefault(str(size), {})["filled" if filled else "empty"] = told
    measured: dict[str, object] = {
        "cold_seconds": round(floor, 3),
        "cold_runs": [round(each, 3) for each in cold],
        "rsa_seconds_a_key": round(seconds_a_key, 4),
        "nodes": labs,
    }
    return Figure("start", measured, _aims(took, floor, seconds_a_key))


def _aims(took: dict[tuple[int, bool], list[float]], floor: float, seconds_a_key: float) -> tuple[Aim, ...]:
    aims: list[Aim] = []
    for filled, cache in ((True, "filled"), (False, "empty")):
        seconds = took.get((AIM_OF, filled))
        if seconds:
            rsa = 0.0 if filled else RSA_SHARE * keys_of(cluster_of(AIM_OF)).total() * seconds_a_key / cores()
            what = f"command to ready, {AIM_OF} nodes, {cache} cache"
            aims.append(Aim(what, median(seconds) / floor, AIM + rsa / floor, "cold imports", at_most=True))
    return tuple(aims)
