"""Restarts that are pending in a whole cluster: none when it is new, and none too few while it is being installed."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import get_args

import pytest

from tests.pending_restarts import what_a_restart_would_change
from tests.playbook import row
from tests.simulation.stories import told as play
from ucmlab.cluster.sim.lab import SimLab
from ucmlab.cluster.sim.loop import VirtualLoop
from ucmlab.cluster.topology import Settings, topology
from ucmlab.node.config import Policy
from ucmlab.node.events import Upload
from ucmlab.node.instant import HOUR

CA = row("Corp Root CA")
UPLOAD = Upload("op-1", "tomcat-trust", CA.der)


def told(settings: Settings, story: Callable[[SimLab], Coroutine[None, None, None]]) -> None:
    lab = SimLab(topology(settings), seed=1)
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(lab.world)) as runner:
        runner.run(story(lab))


def pending(lab: SimLab, node: str) -> dict[str, tuple[str, ...]]:
    return {name: each.pending for name, each in lab.view(node).services.items() if each.pending}


@pytest.mark.rule("R-118")
@pytest.mark.parametrize("replication", get_args(Policy))
@pytest.mark.parametrize("timing", ["instant", "product"])
def test_nothing_is_pending_in_a_new_cluster(timing: str, replication: Policy) -> None:
    async def story(lab: SimLab) -> None:
        await lab.open()
        assert {name: pending(lab, name) for name in lab.names} == {name: {} for name in lab.names}

    told(Settings(nodes="pub,sub1,tftp1,imp1", replication=replication, timing=timing), story)  # type: ignore[arg-type]


@pytest.mark.rule("R-118", "B.18")
def test_what_a_restart_would_change_is_pending_and_nothing_else() -> None:
    play(what_a_restart_would_change, Settings(nodes="pub,sub1,sub2", profile="tac"))


@pytest.mark.rule("R-118", "R-141", "C-04")
def test_a_member_that_is_never_started_spares_no_other_its_restart() -> None:
    waiting = {"Cisco Tomcat": ("tomcat-trust",)}

    async def story(lab: SimLab) -> None:
        lab.world.broker.start()
        for name in ("pub", "sub1"):
            lab.world.start_node(name)
        await lab.wait(HOUR)
        assert (await lab.operate("pub", UPLOAD)).outcome == "done"
        await lab.wait(HOUR)
        assert {name: pending(lab, name) for name in ("pub", "sub1")} == {"pub": waiting, "sub1": waiting}
        lab.world.start_node("sub2")
        await lab.wait(HOUR)
        assert {name: pending(lab, name) for name in lab.names} == {"pub": waiting, "sub1": waiting, "sub2": {}}

    told(Settings(nodes="pub,sub1,sub2"), story)
