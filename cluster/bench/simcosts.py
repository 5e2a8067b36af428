"""What figure `laws` measures of simulated clusters: processor seconds of the same cores on a virtual clock."""

import gc
import time
from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from ucmlab.cluster.bench.clusters import cluster_of, names_of
from ucmlab.cluster.bench.material import Certificate, make_certificates
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.search.image import ClusterImage, cluster_image
from ucmlab.cluster.sim.disk import SimDisk
from ucmlab.cluster.sim.lab import configs_of
from ucmlab.cluster.sim.world import World
from ucmlab.node.config import Role
from ucmlab.node.events import DiskImage, Upload
from ucmlab.node.instant import HOUR, MINUTE, SECOND

INSTALLED = 200
"""The largest cluster that is installed. It must move every row to every node, so one of 2,000 would take an hour."""
UPLOADS = 20
UNIT = "tomcat-trust"
SETTLING = 10 * MINUTE
PACE = 5 * SECOND
"""Between two uploads: all of them are over before the next 30-minute comparison, which has a law of its own."""


def simulated_costs(size: int) -> Mapping[str, tuple[int, float]]:
    """What each law costs at that size: what was moved, and processor seconds.

    Beyond `INSTALLED` nodes there is no start to be measured; the further nodes are given disks of installed nodes of
    their roles, as cloned machines have them, so the rows do not grow with the nodes. No law depends on whose they are.
    """
    costs: dict[str, tuple[int, float]] = {}
    if size <= INSTALLED:
        cluster_image.cache_clear()
        began = time.process_time()
        image = cluster_image(names_of(size), beyond_product=True)
        costs["start"] = (size * _rows(image), time.process_time() - began)
    else:
        image = _cloned(cluster_image(names_of(INSTALLED // 10), beyond_product=True), size)
    world = World(image.configs, image.disks, seed=1, wall=image.wall, memo=dict(image.memo))
    world.broker.start()
    for name in world.nodes:
        world.start_node(name)
    world.run_until(SETTLING)
    # What lasts is kept from the collector, as in a campaign: else it looks through a larger cluster ever longer.
    gc.collect()
    gc.freeze()
    try:
        return {**costs, **_running_costs(world, image, size)}
    finally:
        gc.unfreeze()


def _running_costs(world: World, image: ClusterImage, size: int) -> dict[str, tuple[int, float]]:
    costs: dict[str, tuple[int, float]] = {}
    costs["idle"] = (size * _rows(image), _timed(lambda: world.run_until(world.now + HOUR)))
    certificates = make_certificates(2 * UPLOADS)
    costs["fan-out"] = (UPLOADS * size, _timed(lambda: _upload(world, certificates[:UPLOADS])))
    one = names_of(size)[1]
    world.stop_node(one)
    _upload(world, certificates[UPLOADS:])
    costs["catch-up"] = (UPLOADS + size, _timed(lambda: _start(world, one)))
    world.stop_node(one)
    world.nodes[one].disk = SimDisk(_emptied(world.nodes[one].disk.image()))
    costs["join"] = (_rows(image) + 2 * UPLOADS + size, _timed(lambda: _start(world, one)))
    return costs


def _cloned(image: ClusterImage, size: int) -> ClusterImage:
    disks: dict[Role, DiskImage] = {config.role: image.disks[config.name] for config in image.configs}
    configs = configs_of(cluster_of(size), seed=0)
    own = {config.name: image.disks.get(config.name, disks[config.role]) for config in configs}
    return replace(image, configs=configs, disks=own)


def _emptied(image: DiskImage) -> DiskImage:
    """Identity and keys are there, database and trust files are gone."""
    return DiskImage(boot=image.boot, identities=image.identities, keys=image.keys, installed=image.installed)


def _rows(image: ClusterImage) -> int:
    return len(image.table.in_order())


def _upload(world: World, certificates: Sequence[Certificate]) -> None:
    publisher = world.nodes[next(iter(world.nodes))]
    for certificate in certificates:
        world.deliver(publisher, Upload(certificate.fingerprint, UNIT, certificate.pem))
        world.run_until(world.now + PACE)
    for name, node in world.nodes.items():
        held = {file.der for file in node.disk.files.values() if file.unit == UNIT}
        if node.life == "up" and not held.issuperset(certificate.der for certificate in certificates):
            raise Unusable(f"{name} lacks files")


def _start(world: World, name: str) -> None:
    world.start_node(name)
    world.run_until(world.now + MINUTE)


def _timed(act: Callable[[], None]) -> float:
    began = time.process_time()
    act()
    return time.process_time() - began
