"""Stories told in a simulated cluster, for tests."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.unit.scenarios.told import as_story
from ucmlab.cluster.ca.keys import simulation_keys
from ucmlab.cluster.sim.lab import SimLab
from ucmlab.cluster.sim.loop import VirtualLoop
from ucmlab.cluster.topology import Settings, topology
from ucmlab.scenarios import Lab
from ucmlab.scenarios.result import Options
from ucmlab.scenarios.runner import tell
from ucmlab.scenarios.telling import Check


def told(script: Callable[[Lab], Awaitable[None]], settings: Settings = Settings(nodes="pub,sub1,imp1")) -> None:  # noqa: B008  a value
    """Tell it in a simulated cluster; it must come to its end."""
    lab = SimLab(topology(settings), seed=1)

    async def whole() -> None:
        await lab.open()
        keys = simulation_keys()
        result = await tell(as_story(script), Options(), port=lab, keys=keys, listener=lambda *_: None)
        failed = [each.text for each in result.entries if isinstance(each, Check) and not each.held]
        assert result.verdict == "held", (result.trouble, failed)

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(lab.world)) as runner:
        runner.run(whole())
