"""What is heard on the simulated bus of restarts."""

import asyncio

import pytest

from tests.restart_orders import NODES, STORIES, Heard, Story, as_expected, heard
from ucmlab.cluster.sim.lab import SimLab
from ucmlab.cluster.sim.loop import VirtualLoop
from ucmlab.cluster.topology import Settings, topology
from ucmlab.node.config import Timing


@pytest.mark.rule("R-155", "R-157", "S11")
@pytest.mark.parametrize("timing", ["instant", "product"])
@pytest.mark.parametrize("story", STORIES)
def test_one_command_and_the_states_of_a_restart_are_heard(story: Story, timing: Timing) -> None:
    lab = SimLab(topology(Settings(nodes=NODES, timing=timing)), seed=1)

    async def told() -> Heard:
        await lab.open()
        return await story(lab)

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(lab.world)) as runner:
        expected = runner.run(told())
    said = heard(payload for _, payload in lab.messages("cucm/v1/+/svc/#"))
    assert as_expected(said, expected), said
