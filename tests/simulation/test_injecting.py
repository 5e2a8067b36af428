"""Faults are injected into the simulated lab by name, end when they are to, and leave their trace."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeVar

import pytest

from tests.playbook import row
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.sim.lab import SimLab
from ucmlab.cluster.sim.loop import VirtualLoop
from ucmlab.cluster.topology import Settings, topology
from ucmlab.node.events import Upload
from ucmlab.node.instant import MINUTE

Value = TypeVar("Value")
UPLOAD = Upload("op-1", "tomcat-trust", row("Corp Root CA").der)


def told(story: Callable[[SimLab], Coroutine[None, None, Value]]) -> Value:
    """Tell a story in a fresh lab of three."""
    lab = SimLab(topology(Settings(nodes="pub,sub1,sub2")), seed=1)

    async def whole() -> Value:
        await lab.open()
        return await story(lab)

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(lab.world)) as runner:
        return runner.run(whole())


@pytest.mark.rule("S17")
def test_what_was_injected_felt_and_ended_is_in_the_journal() -> None:
    async def story(lab: SimLab) -> list[object]:
        await lab.inject("pause", "sub1", {})
        await lab.end_fault("pause", "sub1")
        return [(event["fault"], event["target"], event["phase"]) for event in lab.events("fault")]

    assert told(story) == [("pause", "sub1", phase) for phase in ("injected", "felt", "ended")]


def test_a_fault_ends_by_itself_at_its_instant() -> None:
    async def story(lab: SimLab) -> list[str]:
        await lab.inject("isolate", "sub1", {}, until=lab.now() + MINUTE)
        seen: list[str] = [lab.view("sub1").state]
        for _ in range(2):
            await lab.wait(MINUTE // 2)
            seen.append(lab.view("sub1").state)
        return seen

    assert told(story) == ["isolated", "isolated", "up"]


def test_the_same_fault_at_the_same_target_takes_the_place_of_what_stood() -> None:
    async def story(lab: SimLab) -> list[str]:
        await lab.inject("isolate", "sub1", {}, until=lab.now() + MINUTE)
        await lab.inject("isolate", "sub1", {}, until=lab.now() + 3 * MINUTE)
        await lab.wait(2 * MINUTE)
        seen = [lab.view("sub1").state]
        await lab.wait(MINUTE)
        return [*seen, lab.view("sub1").state]

    assert told(story) == ["isolated", "up"]


def test_what_was_mended_by_hand_stands_no_more() -> None:
    async def story(lab: SimLab) -> tuple[object, ...]:
        await lab.inject("stop", "sub1", {})
        await lab.start_node("sub1")
        with pytest.raises(Unusable, match="there is no stop of sub1 to end"):
            await lab.end_fault("stop", "sub1")
        return lab.facts().faults

    assert told(story) == ()


def test_a_death_that_waits_for_a_command_took_effect_when_it_came() -> None:
    async def story(lab: SimLab) -> list[list[str]]:
        await lab.inject("kill", "pub", {"at": "AppendLog"})
        before = lab.unfired()
        await lab.operate("sub1", UPLOAD)
        return [before, lab.unfired()]

    assert told(story) == [["kill of pub never took effect"], []]


def test_a_node_that_was_started_again_still_lacks_its_replication() -> None:
    async def story(lab: SimLab) -> list[bool]:
        await lab.inject("replication", "sub1", {})
        await lab.stop_node("sub1")
        await lab.start_node("sub1")
        await lab.operate("pub", UPLOAD)
        broken = [any(held.der == UPLOAD.data for held in lab.view("sub1").rows)]
        await lab.end_fault("replication", "sub1")
        await lab.wait(31 * MINUTE)
        return [*broken, any(held.der == UPLOAD.data for held in lab.view("sub1").rows)]

    assert told(story) == [False, True]
