"""A year of the product's largest cluster, everything on: exactly when each node's monitor looked.

What that costs is figure `idle` of `ucmlab bench`.
"""

from collections import defaultdict

import pytest

from ucmlab.cluster.bench.clusters import SIZES
from ucmlab.cluster.search.image import cluster_image
from ucmlab.cluster.sim.world import World
from ucmlab.cluster.topology import split_names
from ucmlab.node.events import Age, OrderService, Regenerate
from ucmlab.node.expiry_monitor import SERVICE
from ucmlab.node.instant import DAY, HOUR, MINUTE

YEAR = 365 * DAY
ALONE_ENDS = 50 * DAY + 30 * MINUTE
"""When one node's ipsec ends, which no other node has a copy of; after a day's run."""
ALONE_RENEWED = 50 * DAY + 5 * HOUR + MINUTE
ENDS = 200 * DAY + 30 * MINUTE
"""When one node's tomcat ends, of which every node has a copy in tomcat-trust."""
RENEWED = 200 * DAY + 5 * HOUR + MINUTE
RESTARTED = 100 * DAY + 20 * HOUR
END = 365 * 24 + 1
"""Hours."""


def times(world: World, name: str) -> dict[str, list[int]]:
    """When each node noted such a fact, in minutes."""
    found: dict[str, list[int]] = defaultdict(list)
    for line in world.journal:
        if line.record.name == name:
            found[line.node].append(line.lab // MINUTE)
    return found


def hours(*spans: range) -> list[int]:
    return [hour * 60 for span in spans for hour in span]


@pytest.mark.slow
@pytest.mark.rule("R-181", "R-182", "R-183", "R-184")
def test_a_year_of_21_nodes_has_the_runs_that_the_rules_say() -> None:
    image = cluster_image(split_names(SIZES[21]))
    world = World(image.configs, image.disks, seed=1, wall=image.wall, memo=dict(image.memo))
    world.broker.start()
    for name in world.nodes:
        world.start_node(name)
    aging, restarted, alone, *others = reversed(world.nodes)
    world.deliver(world.nodes[alone], Age("op-1", "ipsec", ALONE_ENDS))
    world.deliver(world.nodes[aging], Age("op-2", "tomcat", ENDS))

    world.run_until(ALONE_RENEWED)
    world.deliver(world.nodes[alone], Regenerate("op-3", "ipsec"))
    world.run_until(RESTARTED)
    world.deliver(world.nodes[restarted], OrderService("op-4", restarted, SERVICE, "restart"))
    world.run_until(RENEWED)
    world.deliver(world.nodes[aging], Regenerate("op-5", "tomcat"))
    world.run_until(YEAR)

    found = times(world, "monitor_run")
    # Every node looked hourly, as each has the copy of the tomcat that ended: until the first look at the renewed one.
    after = range(200 * 24 + 6, END, 24)
    together = hours(range(0, 200 * 24, 24), range(200 * 24, 200 * 24 + 6), after)
    assert {name: found[name] for name in (aging, *others)} == dict.fromkeys((aging, *others), together)
    daily = range(101 * 24 + 20, 199 * 24 + 20, 24)
    assert found[restarted] == hours(range(0, 101 * 24, 24), daily, range(199 * 24 + 20, 200 * 24 + 6), after)
    first, daily = range(50 * 24, 50 * 24 + 6), range(50 * 24 + 6, 199 * 24 + 6, 24)
    assert found[alone] == hours(range(0, 50 * 24, 24), first, daily, range(199 * 24 + 6, 200 * 24 + 6), after)
    assert set(map(tuple, times(world, "resync").values())) == {(*range(0, YEAR // MINUTE + 1, 30),)}
