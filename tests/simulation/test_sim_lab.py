"""The port's promises, kept in virtual time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeVar

import pytest

from tests.playbook import row
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.sim.exchanges import Answering
from ucmlab.cluster.sim.lab import SimLab
from ucmlab.cluster.sim.loop import Deadlock, VirtualLoop
from ucmlab.cluster.sim.world import SimNode
from ucmlab.cluster.topology import Settings, topology
from ucmlab.node.commands import Exchange
from ucmlab.node.events import DiskSynced, Upload
from ucmlab.node.instant import MINUTE, SECOND

Value = TypeVar("Value")
CA = row("Corp Root CA")
UPLOAD = Upload("op-1", "tomcat-trust", CA.der)


def told(story: Callable[[SimLab], Coroutine[None, None, Value]]) -> Value:
    """Tell a story in a fresh lab of three."""
    lab = SimLab(topology(Settings(nodes="pub,sub1,sub2")), seed=1)

    async def whole() -> Value:
        await lab.open()
        return await story(lab)

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(lab.world)) as runner:
        return runner.run(whole())


def has(lab: SimLab, node: str) -> bool:
    return any(file.der == CA.der for file in lab.view(node).files)


def test_an_operation_returns_when_the_lab_is_settled() -> None:
    async def story(lab: SimLab) -> tuple[str, list[bool], int]:
        reply = await lab.operate("sub1", UPLOAD)
        return reply.outcome, [has(lab, name) for name in lab.names], lab.world.broker.in_flight

    assert told(story) == ("done", [True, True, True], 0)


def test_a_node_that_is_down_refuses_at_once() -> None:
    async def story(lab: SimLab) -> tuple[str, str, int]:
        await lab.kill_node("sub1")
        before = lab.now()
        reply = await lab.operate("sub1", UPLOAD)
        return reply.outcome, reply.reason, lab.now() - before

    assert told(story) == ("refused", "node_down", 0)


def test_a_paused_node_is_given_up_after_60_seconds() -> None:
    async def story(lab: SimLab) -> tuple[str, int, bool]:
        await lab.pause_node("sub1")
        before = lab.now()
        reply = await lab.operate("sub1", UPLOAD)
        waited = lab.now() - before
        await lab.resume_node("sub1")
        return reply.outcome, waited, has(lab, "pub")

    assert told(story) == ("indefinite", 60 * SECOND, True)


def test_a_node_cut_off_answers_indefinite_after_60_seconds() -> None:
    async def story(lab: SimLab) -> tuple[str, int]:
        await lab.isolate("sub1")
        before = lab.now()
        return (await lab.operate("sub1", UPLOAD)).outcome, lab.now() - before

    assert told(story) == ("indefinite", 60 * SECOND)


def test_a_node_that_dies_meanwhile_leaves_it_indefinite() -> None:
    async def story(lab: SimLab) -> tuple[str, str, bool]:
        await lab.kill_node("sub1", at="WriteFile")
        reply = await lab.operate("sub1", UPLOAD)
        return reply.outcome, lab.view("sub1").state, has(lab, "sub1")

    assert told(story) == ("indefinite", "down", True)


def test_waiting_until_ends_as_soon_as_it_holds_and_false_when_it_never_does() -> None:
    async def story(lab: SimLab) -> tuple[bool, int, bool, int]:
        start = lab.now()
        held = await lab.wait_until(lambda: lab.now() >= start + MINUTE, 90 * MINUTE)
        at = lab.now()
        never = await lab.wait_until(lambda: False, 5 * MINUTE)
        return held, at - start, never, lab.now() - at

    held, after, never, waited = told(story)
    assert (held, never, waited) == (True, False, 5 * MINUTE)
    assert MINUTE <= after <= 31 * MINUTE


def test_waiting_passes_exactly_that_time() -> None:
    async def story(lab: SimLab) -> int:
        before = lab.now()
        await lab.wait(7 * MINUTE)
        return lab.now() - before

    assert told(story) == 7 * MINUTE


def test_a_node_that_is_not_there_is_named() -> None:
    with pytest.raises(Unusable, match="there is no node 'sub9'"):
        told(lambda lab: lab.stop_node("sub9"))


def test_a_node_that_is_down_is_read_from_its_disk_with_its_services_stopped() -> None:
    async def story(lab: SimLab) -> tuple[str, bool, set[str], int]:
        await lab.operate("sub1", UPLOAD)
        await lab.stop_node("sub1")
        view = lab.view("sub1")
        return view.state, has(lab, "sub1"), {each.state for each in view.services.values()}, len(view.identities)

    assert told(story) == ("down", True, {"stopped"}, 7)


def test_what_reaches_outside_the_simulation_raises() -> None:
    async def story(_lab: SimLab) -> None:
        with pytest.raises(RuntimeError, match="threads do not work"):
            await asyncio.to_thread(print)
        with pytest.raises(RuntimeError, match="sockets do not work"):
            await asyncio.open_connection("127.0.0.1", 1)
        with pytest.raises(RuntimeError, match="subprocesses do not work"):
            await asyncio.create_subprocess_exec("true")

    told(story)


def test_a_story_that_waits_for_nothing_ends() -> None:
    lab = SimLab(topology(Settings(nodes="pub,sub1")), seed=1)

    async def forever() -> None:
        await asyncio.get_running_loop().create_future()

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(lab.world)) as runner, pytest.raises(Deadlock):
        runner.run(forever())


def test_what_a_node_asked_is_answered_when_it_is_due_and_not_in_another_life() -> None:
    def perform(_node: SimNode, command: Exchange, answer: Answering) -> None:
        answer(DiskSynced(command.token), delay=5)

    async def story(lab: SimLab) -> list[tuple[str, str, int]]:
        world, heard, begun = lab.world, list[tuple[str, str, int]](), lab.now()
        world.perform_exchanges(Exchange, perform)
        world.on_step.append(
            lambda node, event, _: (
                heard.append((node.name, event.token, world.now - begun))
                if isinstance(event, DiskSynced) and event.token.startswith("exchange")
                else None
            )
        )
        for name, token in (("sub1", "exchange"), ("sub1", "exchange given up"), ("sub2", "exchange of the dead")):
            world.exchanges.begin(world.nodes[name], Exchange(token))
        world.exchanges.give_up(world.nodes["sub1"], "exchange given up")
        await lab.kill_node("sub2")
        await lab.start_node("sub2")
        await lab.wait(10)
        return heard

    assert told(story) == [("sub1", "exchange", 5)]
