"""Figures `memory` and `idle`: what a further node costs in memory, and what a cluster costs that nobody touches.

Memory is PSS, in which a page that n processes share counts a nth for each: the difference between two labs is then
what the further nodes need in all processes, the broker's and supervisor's part included.
"""

import time

from ucmlab.cluster.bench.clusters import KeyStore, cluster_of, names_of
from ucmlab.cluster.bench.labs import RunningLab, running_lab
from ucmlab.cluster.bench.measuring import Aim, Figure, Say, bench_folder, cores, median
from ucmlab.cluster.search.image import cluster_image
from ucmlab.cluster.sim.world import World
from ucmlab.node.instant import DAY, MINUTE

MIB = 1 << 20
SIZES = (5, 21)
AIM_MIB = 8.0
AIM_DAY_S = 1.0
AIM_YEAR_S = 10.0
YEAR_DAYS = 365
AIM_IDLE_PERCENT = 3.0
SETTLING_S = 5.0
"""Until what follows a start is over: acknowledgements, the last pulses, the first collection of garbage."""


def measure_memory(say: Say, *, sizes: tuple[int, int] = SIZES, settling: float = SETTLING_S) -> Figure:
    """Start a small lab and a large one, and compare what they hold.

    Raises:
        Unusable: a lab did not start, or did not end.
    """
    held: dict[int, int] = {}
    parts: dict[str, dict[str, float]] = {}
    with bench_folder() as folder:
        keys = KeyStore(folder / "keys", cluster_of(max(sizes)), cores())
        for size in sizes:
            say(f"memory: {size} nodes")
            place = folder / str(size)
            place.mkdir()
            with running_lab(place, names_of(size), keys) as lab:
                time.sleep(settling)
                held[size] = lab.pss()
                parts[str(size)] = _by_kind(lab)
    small, large = sizes
    further = (held[large] - held[small]) / (large - small) / MIB
    measured: dict[str, object] = {
        "mib": {str(size): round(bytes_ / MIB, 1) for size, bytes_ in held.items()},
        "parts_mib": parts,
        "mib_a_further_node": round(further, 2),
    }
    return Figure("memory", measured, (Aim("PSS of a further node", further, AIM_MIB, "MiB", at_most=True),))


def measure_idle(say: Say, *, size: int = 21, seconds: float = 20.0, settling: float = SETTLING_S) -> Figure:
    """A virtual day and a virtual year of a simulated cluster; some seconds of a real one.

    Raises:
        Unusable: the lab did not start, or did not end.
    """
    say(f"idle: a virtual day of {size} nodes")
    day, events = virtual_days(size, 1)
    say(f"idle: a virtual year of {size} nodes")
    year, _ = virtual_days(size, YEAR_DAYS)
    say(f"idle: {seconds:g} s of {size} real nodes")
    with bench_folder() as folder:
        keys = KeyStore(folder / "keys", cluster_of(size), cores())
        with running_lab(folder, names_of(size), keys) as lab:
            time.sleep(settling)
            before = lab.processor_seconds()
            time.sleep(seconds)
            used = 100 * (lab.processor_seconds() - before) / seconds
    measured: dict[str, object] = {
        "nodes": size,
        "virtual_day_seconds": round(day, 4),
        "virtual_day_events": events,
        "virtual_year_seconds": round(year, 2),
        "real_percent_of_a_core": round(used, 2),
    }
    aims = (
        Aim(f"a virtual day of {size} nodes", day, AIM_DAY_S, "s", at_most=True),
        Aim(f"a virtual year of {size} nodes", year, AIM_YEAR_S, "s", at_most=True),
        Aim(f"a lab of {size} nodes, of a core", used, AIM_IDLE_PERCENT, "%", at_most=True),
    )
    return Figure("idle", measured, aims)


def virtual_days(size: int, days: int) -> tuple[float, int]:
    """Processor seconds and events of days of virtual time, in which nobody touches the cluster."""
    image = cluster_image(names_of(size), beyond_product=True)
    world = World(image.configs, image.disks, seed=1, wall=image.wall, memo=dict(image.memo))
    world.broker.start()
    for name in world.nodes:
        world.start_node(name)
    world.run_until(10 * MINUTE)
    before, began = world.events_handled, time.process_time()
    world.run_until(world.now + days * DAY)
    return time.process_time() - began, world.events_handled - before


def _by_kind(lab: RunningLab) -> dict[str, float]:
    supervisor, fork_server, *children = (process.pid for process in lab.processes())
    nodes = [lab.pss_of(pid) for pid in children if pid != lab.broker]
    told = {
        "supervisor": lab.pss_of(supervisor),
        "fork_server": lab.pss_of(fork_server),
        "broker": lab.pss_of(lab.broker),
        "node": median(nodes),
    }
    return {name: round(value / MIB, 2) for name, value in told.items()}
