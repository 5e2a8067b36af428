"""A year of the expiry monitor on the product's largest cluster: exactly when each node looked, and what that costs.

Change Notification is not started: its comparisons, 17,520 a node, are most of what an idle year costs, and not what is
measured here.
"""

import time
from collections import defaultdict

import pytest

from ucmlab.cluster.bench.clusters import SIZES
from ucmlab.cluster.search.image import cluster_image
from ucmlab.cluster.sim.world import World
from ucmlab.cluster.topology import split_names
from ucmlab.node.events import Age, OrderService, Regenerate
from ucmlab.node.expiry_monitor import SERVICE
from ucmlab.node.instant import DAY, HOUR, MINUTE
from ucmlab.node.services import CHANGE_NOTIFICATION

YEAR = 365 * DAY
ENDS = 200 * DAY + 30 * MINUTE
"""When one node's tomcat ends, after a day's run."""
RENEWED = 200 * DAY + 5 * HOUR + MINUTE
RESTARTED = 100 * DAY + 20 * HOUR
END = 365 * 24 + 1
"""Hours."""
LIMIT_S = 10.0
"""Processor time."""


def runs(world: World) -> dict[str, list[int]]:
    """When each node looked, in minutes."""
    found: dict[str, list[int]] = defaultdict(list)
    for line in world.journal:
        if line.record.name == "monitor_run":
            found[line.node].append(line.lab // MINUTE)
    return found


def hours(*spans: range) -> list[int]:
    return [hour * 60 for span in spans for hour in span]


@pytest.mark.slow
@pytest.mark.rule("R-181", "R-182", "R-183", "R-184")
def test_a_year_of_21_nodes_has_the_runs_that_the_rules_say_and_takes_seconds() -> None:
    image = cluster_image(split_names(SIZES[21]))
    world = World(image.configs, image.disks, seed=1, wall=image.wall, memo=dict(image.memo))
    for node in world.nodes.values():
        node.disk.enabled[CHANGE_NOTIFICATION] = False
    began = time.process_time()
    world.broker.start()
    for name in world.nodes:
        world.start_node(name)
    aging, restarted, *others = reversed(world.nodes)
    world.deliver(world.nodes[aging], Age("op-1", "tomcat", ENDS))

    world.run_until(RESTARTED)
    world.deliver(world.nodes[restarted], OrderService("op-2", restarted, SERVICE, "restart"))
    world.run_until(RENEWED)
    world.deliver(world.nodes[aging], Regenerate("op-3", "tomcat"))
    world.run_until(YEAR)

    took, found = time.process_time() - began, runs(world)
    daily = hours(range(0, END, 24))
    assert {name: found[name] for name in others} == dict.fromkeys(others, daily)
    assert found[restarted] == hours(range(0, 101 * 24, 24), range(101 * 24 + 20, END, 24))
    hourly = range(200 * 24, 200 * 24 + 7)
    assert found[aging] == hours(range(0, 200 * 24, 24), hourly, range(201 * 24 + 6, END, 24))
    assert took < LIMIT_S
