"""What whoever listens to the bus hears of restarts: one command and the service's states, once each, never late (S11).

Stories for both labs; each tells by its operations what there was to be heard on the topics of services. A simulated
lab's bus is read where the lab keeps it, a real one's by a `mosquitto_sub` with the observer's account.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from itertools import pairwise

import msgspec

from ucmlab.broker.messages import AnyMessage, Envelope, ServiceOrder, ServiceReport
from ucmlab.cluster.port import LabPort
from ucmlab.node.events import OrderService, Regenerate
from ucmlab.node.instant import MINUTE

NODES = "pub,sub1"
TFTP = "Cisco Tftp"
RESTARTED = ("restart", "stopping", "stopped", "starting", "started", "started, done")
"""What there is to be heard of a restart, in its order."""
_envelope = msgspec.msgpack.Decoder(Envelope).decode
_body = msgspec.msgpack.Decoder(AnyMessage).decode
Heard = dict[str, tuple[str, ...]]
"""Operation id to what was heard under it."""
Story = Callable[[LabPort], Awaitable[Heard]]


def heard(payloads: Iterable[bytes]) -> Heard:
    """Commands and reports that belong to an operation, by its id."""
    found: dict[str, list[str]] = defaultdict(list)
    for body in (_body(_envelope(payload).body) for payload in payloads):
        match body:
            case ServiceOrder(op_id=op_id, action=action):
                found[op_id].append(action)
            case ServiceReport(op_id=op_id, state=state, outcome=outcome) if op_id:
                found[op_id].append(f"{state}, {outcome}" if outcome else state)
            case _:
                pass
    return {op_id: tuple(what) for op_id, what in found.items()}


async def every_service_is_restarted(lab: LabPort) -> Heard:
    """Of both nodes, one after the other."""
    orders = [
        OrderService(f"{node} {name}", node, name, "restart")
        for node in lab.names
        for name, service in lab.standing(node).services.items()
        if service.state == "started"
    ]
    for order in orders:
        assert (await lab.operate("pub", order)).outcome == "done", order
    return {order.op_id: RESTARTED for order in orders}


async def everything_arrives_twice(lab: LabPort) -> Heard:
    """Every message to a node is delivered twice, as QoS 1 allows: it restarts once."""
    await lab.inject("duplicate", "sub1", {"share": "1"})
    await _restart(lab, "twice", "done")
    assert lab.unfired() == []
    await lab.end_fault("duplicate", "sub1")
    assert [each["action"] for each in _carried_out(lab, "twice")] == ["restart"]
    return {"twice": RESTARTED}


async def a_node_hears_of_it_too_late(lab: LabPort) -> Heard:
    """A node that was paused finds the commands in its socket when it goes on, ten minutes after they were given."""
    await lab.wait(10 * MINUTE)  # everything is up, in whatever timing
    assert (await lab.operate("sub1", Regenerate("new", "tomcat"))).outcome == "done"
    await lab.pause_node("sub1")
    await _restart(lab, "late", "indefinite")
    await lab.wait(10 * MINUTE)
    await lab.resume_node("sub1")
    await lab.wait(31 * MINUTE)
    assert {each.get("outcome") for each in _carried_out(lab, "late")} == {"expired"}
    assert lab.standing("sub1").services[TFTP].pending == ("tomcat",)
    return {"late": ("restart",)}


async def a_node_was_down_until_it_was_too_late(lab: LabPort) -> Heard:
    """A node that was killed comes back after ten minutes: it boots, and nothing of it is restarted then."""
    await lab.kill_node("sub1")
    await _restart(lab, "down", "indefinite")
    await lab.wait(10 * MINUTE)
    await lab.start_node("sub1")
    await lab.wait(10 * MINUTE)
    booted = lab.standing("sub1").services[TFTP].since
    await lab.wait(31 * MINUTE)
    assert _carried_out(lab, "down") == []
    assert lab.standing("sub1").services[TFTP].since == booted
    return {"down": ("restart",)}


STORIES: tuple[Story, ...] = (
    every_service_is_restarted,
    everything_arrives_twice,
    a_node_hears_of_it_too_late,
    a_node_was_down_until_it_was_too_late,
)


def as_expected(said: Heard, expected: Heard) -> bool:
    """Whether that was heard, and in that order.

    A command that nobody answers is repeated; the outcome is told again to who gives a command again.
    """
    return {op_id: _without_repetitions(what) for op_id, what in said.items()} == expected


def _without_repetitions(what: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(
        now for before, now in pairwise(("", *what)) if now != before or now not in (RESTARTED[0], RESTARTED[-1])
    )


async def _restart(lab: LabPort, op_id: str, outcome: str) -> None:
    reply = await lab.operate("pub", OrderService(op_id, "sub1", TFTP, "restart"))
    assert reply.outcome == outcome, reply


def _carried_out(lab: LabPort, op_id: str) -> list[dict[str, object]]:
    """What the node noted of an order."""
    return [each for each in lab.events("service_command", "sub1") if each["operation_id"] == op_id]
