"""Which lab a story is told in: the simulation on its own event loop, or real processes on asyncio's."""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

import msgspec

from ucmlab.cluster.ca.keys import simulation_keys
from ucmlab.cluster.carriers.choice import read_carrier
from ucmlab.cluster.carriers.keeping import read_authority
from ucmlab.cluster.carriers.mosquitto import find_mosquitto
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.keycache import users_keys
from ucmlab.cluster.local import LabLost, LocalLab, ProcessCrashed
from ucmlab.cluster.provision import provision
from ucmlab.cluster.search.plants import PLANTS, Plant
from ucmlab.cluster.sim.lab import START_OF_LAB, SimLab, configs_of
from ucmlab.cluster.sim.loop import Deadlock, VirtualLoop
from ucmlab.cluster.sim.world import World
from ucmlab.cluster.spawning import ForkServerProcess
from ucmlab.cluster.stocking import stock_keys
from ucmlab.cluster.topology import Settings, Topology, topology
from ucmlab.node.instant import SECOND, duration
from ucmlab.scenarios.budget import machine_time
from ucmlab.scenarios.result import Options, Result
from ucmlab.scenarios.runner import tell
from ucmlab.scenarios.story import Story
from ucmlab.scenarios.telling import Listener, Stage


def run_story(story: Story, options: Options, listener: Listener, stage: Stage | None = None) -> Result:
    """Tell a story in a lab of its own, which is gone afterwards; on a stage, step by step.

    Raises:
        Unusable: it cannot be told as asked.
    """
    carrier = read_carrier(options.broker)
    if options.mode == "sim" and carrier.kind != "embedded":
        raise Unusable(f"--broker {carrier.text} needs real processes; say --mode local")
    tell_in = _in_sim if options.mode == "sim" else _in_processes
    return tell_in(story, options, listener, stage)


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
        "der_pkcs7": options.der_pkcs7 or story.der_pkcs7,
        "strict_uploads": options.strict_uploads or story.strict_uploads,
    }
    try:
        return topology(msgspec.convert(asked, Settings))
    except msgspec.ValidationError as error:
        raise Unusable(f"there is no such cluster: {error}") from error


def _in_sim(story: Story, options: Options, listener: Listener, stage: Stage | None) -> Result:
    cluster, seed = topology_for(story, options), options.seed
    plant = _plant(story)
    world = World(configs_of(cluster, seed=seed), {}, seed=seed, wall=START_OF_LAB, cores=(plant.node, plant.publisher))
    plant.surround(world)
    lab = SimLab(cluster, seed=seed, world=world)

    async def whole() -> Result:
        await lab.open()
        return await tell(story, options, port=lab, keys=simulation_keys(), listener=listener, stage=stage)

    # The virtual loop never waits for files, so it needs no waking.
    return _bounded(story, whole(), loop=VirtualLoop(lab.world), wake=lambda: None)


def _plant(story: Story) -> Plant:
    """The bug that the story wants in its simulated lab: none, unless it names one."""
    if story.plant is None:
        return Plant("none", "")
    if story.plant not in PLANTS:
        raise Unusable(f"{story.name} plants {story.plant!r}, which there is not; there are {', '.join(PLANTS)}")
    return PLANTS[story.plant]


def _in_processes(story: Story, options: Options, listener: Listener, stage: Stage | None) -> Result:
    if story.plant is not None:
        raise Unusable(f"{story.name} plants the bug {story.plant}, which the simulation alone can do; say --mode sim")
    cluster = topology_for(story, options)
    carrier = read_carrier(options.broker)
    authority = None if options.broker_ca is None else read_authority(Path(options.broker_ca))
    if carrier.kind == "mosquitto":
        find_mosquitto()
    began = time.perf_counter()
    with _folder(story, options) as folder, ExitStack() as until_opened:
        # First of all, because it imports while this process makes the home.
        fork_server = ForkServerProcess(lab=story.name, release=cluster.release, profile=cluster.profile)
        until_opened.callback(fork_server.close)
        keys = users_keys(os.environ)
        home = provision(
            folder / "lab",
            cluster,
            wall_start=START_OF_LAB,
            name=story.name,
            seed=options.seed,
            carrier=carrier,
            broker_ca=authority,
            keys=keys,
        )
        stock_keys(home, os.environ)
        lab = LocalLab(home, fork_server, stepped=True)
        until_opened.pop_all()
        kept = str(home.path) if options.keep else ""

        async def whole() -> Result:
            try:
                await lab.open()
                opened_in = time.perf_counter() - began
                return await tell(
                    story,
                    options,
                    port=lab,
                    keys=keys,
                    listener=listener,
                    kept=kept,
                    opened_in=opened_in,
                    stage=stage,
                )
            except (LabLost, ProcessCrashed) as error:  # in a story it is part of the result; so it was before or after
                raise Unusable(f"the lab broke down: {error}") from error
            finally:
                await lab.close()

        loop = asyncio.new_event_loop()
        with _ending_on_sigterm():
            return _bounded(story, whole(), loop=loop, wake=lambda: loop.call_soon_threadsafe(lambda: None))


@contextmanager
def _ending_on_sigterm() -> Generator[None]:
    """Let SIGTERM end the run as Ctrl-C does: processes and folders are not left to others."""

    def end(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _folder(story: Story, options: Options) -> Generator[Path]:
    """Where the homes of the nodes are: in the system's temporary folder, whether they are kept or not."""
    if options.keep:
        yield Path(tempfile.mkdtemp(prefix=f"ucmlab-{story.name}-"))
        return
    with tempfile.TemporaryDirectory(prefix="ucmlab-") as folder:
        yield Path(folder)


def _bounded(
    story: Story, whole: Coroutine[None, None, Result], *, loop: asyncio.AbstractEventLoop, wake: Callable[[], object]
) -> Result:
    """Run to the end, or to the end of the story's budget."""
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        task = runner.get_loop().create_task(whole, name=f"story[{story.name}]")
        with machine_time(duration(story.budget) / SECOND, task, wake):
            try:
                return loop.run_until_complete(task)
            except Deadlock as deadlock:
                # The loop has given up, not the story: it is told so, and ends by its own report.
                task.cancel(str(deadlock))
                return loop.run_until_complete(task)
            except asyncio.CancelledError as late:
                # A story that is cancelled makes a result of it (`tell`); so its lab was not even ready.
                raise Unusable(f"the lab of {story.name} was not ready after {story.budget}") from late
