"""A cluster lives with every broker that has a known defect: it depends on none of what they get wrong."""

import pytest

from ucmlab.cluster.search.image import cluster_image
from ucmlab.cluster.search.run import SeedRun
from ucmlab.cluster.search.workload import draw_schedule
from ucmlab.cluster.sim.personalities import PERSONALITIES, personality

SEEDS = 20


def played(kind: str, seed: int) -> SeedRun:
    image = cluster_image()
    run = SeedRun(image, seed)
    run.world.broker.make_core = personality(kind)
    run.world.broker.kill()
    run.world.broker.start()
    run.play(draw_schedule(image.configs, seed))
    return run


@pytest.mark.slow
@pytest.mark.parametrize("kind", PERSONALITIES)
def test_random_schedules_hold_on_a_broker_with_a_known_defect(kind: str) -> None:
    violated = {seed: found for seed in range(SEEDS) if (found := played(kind, seed).result.violations)}
    assert violated == {}


@pytest.mark.parametrize("kind", ["duplicate-qos1", "amqtt-retained-leak", "no-will"])
def test_the_defect_is_there_for_the_cluster_to_notice(kind: str) -> None:
    image = cluster_image()
    plain = SeedRun(image, 3)
    plain.world.broker.kill()
    plain.world.broker.start()
    plain.play(draw_schedule(image.configs, 3))
    assert played(kind, 3).result.events != plain.result.events
