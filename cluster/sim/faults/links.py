"""What can be wrong with a node's link in the simulation; `ucmlab.cluster.faults.effects` says what each does."""

from ucmlab.cluster.faults.effects import (
    Drip,
    Duplicate,
    Felt,
    HalfOpen,
    Latency,
    Lose,
    Overflow,
    Reorder,
    Stall,
    swizzle,
)
from ucmlab.cluster.faults.ledger import Injected, nodes_of
from ucmlab.cluster.sim.faults.stage import Stage, Way
from ucmlab.cluster.sim.faults.wire import FaultyWire


def _begin(kind: type[Felt]) -> Way:
    def begin(stage: Stage, injected: Injected) -> None:
        effect = kind(stage, injected)
        stage.effects[injected.row.name, injected.target] = effect
        wire_of(stage, injected.target).add(effect)

    return Way(begin, _end)


def wire_of(stage: Stage, name: str) -> FaultyWire:
    """The wire before a node's end; made when there is none."""
    node = stage.world.nodes[name]
    if isinstance(node.wire, FaultyWire):
        return node.wire
    wire = FaultyWire(stage.world)
    node.wire = wire
    if node.bus is not None:
        wire.attach(node.bus)
    return wire


def _end(stage: Stage, injected: Injected) -> None:
    effect = stage.effects.pop((injected.row.name, injected.target))
    wire = wire_of(stage, injected.target)
    wire.remove(effect)
    _leave(stage, injected.target, wire)


def _leave(stage: Stage, name: str, wire: FaultyWire) -> None:
    if wire.idle():
        wire.detach()
        stage.world.nodes[name].wire = None


def _half_open(stage: Stage, injected: Injected) -> None:
    bus = stage.node(injected).bus
    _begin(HalfOpen).begin(stage, injected)
    if bus is not None and bus.link is not None:
        stage.world.broker.forget(bus.link)
        stage.took_effect(injected)


def _half_closed(stage: Stage, injected: Injected) -> None:
    _end(stage, injected)
    bus = stage.node(injected).bus
    if bus is not None and bus.link is not None:
        bus.link_reset(bus.link)


def _reset(stage: Stage, injected: Injected) -> None:
    bus = stage.node(injected).bus
    if bus is not None and bus.link is not None:
        stage.world.broker.cut(bus.client_id)
        stage.took_effect(injected)


def _swizzle(stage: Stage, injected: Injected) -> None:
    """Stall links one after the other, and let them go in an order of chance."""
    world, every = stage.world, injected.number("every")
    turns = swizzle(nodes_of(injected.target), every, stage.chance)
    for turn in turns:
        act = _swizzle_one if turn.stalls else _unswizzle_one
        world.at(world.now + turn.after, act, stage, injected, turn.node)
    world.at(world.now + len(turns) * every, stage.on_over, injected)


def _swizzle_one(stage: Stage, injected: Injected, name: str) -> None:
    if not injected.over:
        effect = stage.effects[_swizzled(injected), name] = Stall(stage, injected)
        wire_of(stage, name).add(effect)


def _unswizzle_one(stage: Stage, injected: Injected, name: str) -> None:
    effect = stage.effects.pop((_swizzled(injected), name), None)
    if effect is not None:
        wire = wire_of(stage, name)
        wire.remove(effect)
        _leave(stage, name, wire)


def _unswizzle(stage: Stage, injected: Injected) -> None:
    for name in nodes_of(injected.target):
        _unswizzle_one(stage, injected, name)


def _swizzled(injected: Injected) -> str:
    """What the stalls of one swizzle are kept under: several may befall one node."""
    return f"swizzle of {injected.target}"


ROWS = {
    "swizzle": Way(_swizzle, _unswizzle),
    "latency": _begin(Latency),
    "stall": _begin(Stall),
    "drip": _begin(Drip),
    "lose": _begin(Lose),
    "duplicate": _begin(Duplicate),
    "reorder": _begin(Reorder),
    "queue-overflow": _begin(Overflow),
    "half-open": Way(_half_open, _half_closed),
    "reset": Way(_reset),
}
