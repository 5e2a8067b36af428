"""Which lab a story is told in: the simulation on its own event loop, or real processes on asyncio's."""

import asyncio
from collections.abc import Callable, Coroutine

import msgspec
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.sim.lab import SimLab
from ucmlab.cluster.sim.loop import Deadlock, VirtualLoop
from ucmlab.cluster.topology import Settings, Topology, topology
from ucmlab.node.instant import SECOND, duration
from ucmlab.scenarios.budget import machine_time
from ucmlab.scenarios.ca import simulation_keys
from ucmlab.scenarios.result import Options, Result
from ucmlab.scenarios.runner import tell
from ucmlab.scenarios.story import Story
from ucmlab.scenarios.telling import Listener

BROKERS = {"sim": ("embedded",), "local": ("embedded",)}


def run_story(story: Story, options: Options, listener: Listener) -> Result:
    """Tell a story in a lab of its own, which is gone afterwards.

    Raises:
        Unusable: it cannot be told as asked.
    """
    if options.broker not in BROKERS[options.mode]:
        known = ", ".join(BROKERS[options.mode])
        raise Unusable(f"no broker {options.broker!r} in mode {options.mode}; there is {known}")
    return _in_sim(story, options, listener)


def topology_for(story: Story, options: Options) -> Topology:
    """The cluster that a story wants, with what the options say instead.

    Raises:
        Unusable: no such cluster can be.
    """
    asked = {
        "nodes": story.nodes,
        "release": options.release or story.release,
        "profile": options.profile or story.profile,
        "replication": options.replication or story.replication,
        "timing": options.timing or story.timing,
    }
    try:
        return topology(msgspec.convert(asked, Settings))
    except msgspec.ValidationError as error:
        raise Unusable(f"there is no such cluster: {error}") from error


def _in_sim(story: Story, options: Options, listener: Listener) -> Result:
    lab = SimLab(topology_for(story, options), seed=options.seed)

    async def whole() -> Result:
        await lab.open()
        return await tell(story, options, port=lab, keys=simulation_keys(), listener=listener)

    # The virtual loop never waits for files, so it needs no waking.
    return _bounded(story, whole(), loop=VirtualLoop(lab.world), wake=lambda: None)


def _bounded(
    story: Story, whole: Coroutine[None, None, Result], *, loop: asyncio.AbstractEventLoop, wake: Callable[[], object]
) -> Result:
    with asyncio.Runner(loop_factory=lambda: loop):
        task = loop.create_task(whole, name=f"story[{story.name}]")
        with machine_time(duration(story.budget) / SECOND, task, wake):
            try:
                return loop.run_until_complete(task)
            except Deadlock as deadlock:
                # The loop has given up, not the story: it is told so, and ends by its own report.
                task.cancel(str(deadlock))
                return loop.run_until_complete(task)
