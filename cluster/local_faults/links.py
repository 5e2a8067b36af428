"""What can be wrong with a node's link on real processes; `ucmlab.cluster.faults.effects` says what each does.

Bytes suffer in the node's chaos proxy, messages inside the node. A node gets its proxy with the first fault that needs
one: the lab settles in between, so that the fault finds the link as it was, and the lab at rest.
"""

from collections.abc import Iterable

from ucmlab.cluster.chaos_proxy import ChaosProxy
from ucmlab.cluster.control_messages import Prod
from ucmlab.cluster.faults.effects import Desk, Drip, Felt, HalfOpen, Latency, Stall, swizzle
from ucmlab.cluster.faults.ledger import Injected, nodes_of
from ucmlab.cluster.local_faults.stage import LocalStage, Way


async def _links(stage: LocalStage, names: Iterable[str]) -> list[ChaosProxy]:
    """The proxies of some nodes; made, and the nodes connected through them, where there were none."""
    nodes = [stage.roster.nodes[name] for name in names]
    there = all(node.link is not None for node in nodes)
    links = [await stage.roster.detour(node) for node in nodes]
    if not there:
        await stage.lab.settle()
    return links


def _add(stage: LocalStage, key: tuple[str, str], effect: Felt, links: Iterable[ChaosProxy]) -> None:
    stage.effects[key] = (effect, tuple(links))
    for link in stage.effects[key][1]:
        link.lanes.add(effect)


def _remove(stage: LocalStage, key: tuple[str, str]) -> None:
    effect, links = stage.effects.pop(key, (None, ()))
    if effect is not None:
        for link in links:
            link.lanes.remove(effect)
        _prod(stage)


def _prod(stage: LocalStage) -> None:
    """Whoever found nobody tries again at once, and nobody takes many short connections for a namesake's doing."""
    for node in stage.roster.nodes.values():
        if node.alive and node.link is not None:
            stage.roster.act(node, Prod())


def _begin(kind: type[Felt]) -> Way:
    async def begin(stage: LocalStage, injected: Injected) -> None:
        _add(stage, _key(injected), kind(stage, injected), await _links(stage, [injected.target]))

    return Way(begin, _end)


def _key(injected: Injected) -> tuple[str, str]:
    return injected.row.name, injected.target


async def _end(stage: LocalStage, injected: Injected) -> None:
    _remove(stage, _key(injected))


async def _reset(stage: LocalStage, injected: Injected) -> None:
    [link] = await _links(stage, [injected.target])
    if link.break_all():
        stage.took_effect(injected)
    _prod(stage)


async def _half_open(stage: LocalStage, injected: Injected) -> None:
    [link] = await _links(stage, [injected.target])
    _add(stage, _key(injected), HalfOpen(stage, injected), [link])
    if link.lose_broker():
        stage.took_effect(injected)


async def _half_closed(stage: LocalStage, injected: Injected) -> None:
    _, links = stage.effects[_key(injected)]
    _remove(stage, _key(injected))
    for link in links:
        link.break_all()


async def _slow_broker(stage: LocalStage, injected: Injected) -> None:
    _add(stage, _key(injected), Desk(stage, injected), await _links(stage, stage.lab.names))


async def _swizzle(stage: LocalStage, injected: Injected) -> None:
    """Stall links one after the other, and let them go in an order of chance."""
    names, every, clock = nodes_of(injected.target), injected.number("every"), stage.clock
    await _links(stage, names)
    began, turns = clock.now, swizzle(names, every, stage.chance)
    for turn in turns:
        act = _swizzle_one if turn.stalls else _unswizzle_one
        clock.at(began + turn.after, act, stage, injected, turn.node)
    clock.at(began + len(turns) * every, stage.on_over, injected)


def _swizzle_one(stage: LocalStage, injected: Injected, name: str) -> None:
    link = stage.roster.nodes[name].link
    if not injected.over and link is not None:
        _add(stage, (_swizzled(injected), name), Stall(stage, injected), [link])


def _unswizzle_one(stage: LocalStage, injected: Injected, name: str) -> None:
    _remove(stage, (_swizzled(injected), name))


async def _unswizzle(stage: LocalStage, injected: Injected) -> None:
    for name in nodes_of(injected.target):
        _unswizzle_one(stage, injected, name)


def _swizzled(injected: Injected) -> str:
    """What the stalls of one swizzle are kept under: several may befall one node."""
    return f"swizzle of {injected.target}"


async def _meddle(stage: LocalStage, injected: Injected) -> None:
    stage.suffer(injected)


async def _leave_alone(stage: LocalStage, injected: Injected) -> None:
    stage.recover(injected)


ROWS = {
    "latency": _begin(Latency),
    "stall": _begin(Stall),
    "drip": _begin(Drip),
    "half-open": Way(_half_open, _half_closed),
    "reset": Way(_reset),
    "swizzle": Way(_swizzle, _unswizzle),
    "broker-slow": Way(_slow_broker, _end),
    **dict.fromkeys(("lose", "duplicate", "reorder", "queue-overflow"), Way(_meddle, _leave_alone)),
}
