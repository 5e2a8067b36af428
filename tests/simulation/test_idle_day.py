"""A cluster that nobody touches costs next to nothing: in a virtual day it makes its comparisons and tells its head."""

import time

from ucmlab.cluster.bench.clusters import SIZES
from ucmlab.cluster.search.image import cluster_image
from ucmlab.cluster.sim.world import World
from ucmlab.cluster.topology import split_names
from ucmlab.node.instant import DAY, MINUTE

COMPARISONS = DAY // (30 * MINUTE)
HEADS = COMPARISONS
SLACK = 2
"""Of everything that comes every 30 minutes, one more or less."""


def test_a_virtual_day_of_21_idle_nodes_is_its_comparisons_and_takes_less_than_a_second() -> None:
    image = cluster_image(split_names(SIZES[21]))
    world = World(image.configs, image.disks, seed=1, wall=image.wall, memo=dict(image.memo))
    world.broker.start()
    for name in world.nodes:
        world.start_node(name)
    world.run_until(10 * MINUTE)
    before, began = world.events_handled, time.process_time()

    world.run_until(world.now + DAY)

    took, events = time.process_time() - began, world.events_handled - before
    nodes = len(world.nodes)
    heard = 2 + nodes  # the head's timer, its way to the broker, and from there to everybody
    assert events <= (COMPARISONS + SLACK) * nodes + (HEADS + SLACK) * heard
    assert took < 1.0  # seconds of processor time, of which it uses a twentieth
