"""What can be wrong with a node's link: each fault as what it does to packets."""

from abc import ABC, abstractmethod
from decimal import Decimal, localcontext
from random import Random

from ucmlab.cluster.faults.ledger import Injected, nodes_of
from ucmlab.cluster.sim.faults.stage import Stage, Way
from ucmlab.cluster.sim.faults.wire import FaultyWire, Holding, Parcel
from ucmlab.cluster.sim.faults.wire import Way as Direction
from ucmlab.node.instant import SECOND

OVERTAKEN_WITHIN = SECOND
"""A message that nothing overtakes goes on after so long."""
NORMAL_SUM = 12
"""So many uniform draws, less half of that, are normal enough, and the same on every machine."""
TAIL = Decimal("2.326")
"""Standard deviations between the median and what 1 % exceed."""


class Felt(ABC):
    """Base of effects: who must know that packets were touched."""

    def __init__(self, stage: Stage, injected: Injected) -> None:
        """As injected."""
        self.stage = stage
        self.injected = injected
        self.chance: Random = stage.chance
        way = injected.values.get("way", "both")
        self.way: Direction = way  # type: ignore[assignment]  # one of the row's words

    @abstractmethod
    def treat(self, parcel: Parcel, now: int) -> None:
        """Change what happens to a packet."""

    def felt(self) -> bool:
        """Count a use; False when the fault has none left."""
        if self.injected.over:
            return False
        self.stage.took_effect(self.injected)
        return True


class Latency(Felt):
    """Packets take longer."""

    def treat(self, parcel: Parcel, now: int) -> None:  # noqa: ARG002
        """Draw how long."""
        if self.felt():
            parcel.delay += self._draw(self.injected.number("low"), self.injected.number("high"))

    def _draw(self, low: int, high: int) -> int:
        if high <= low:
            return low
        if self.injected.text("spread") == "uniform":
            return low + int(self.chance.random() * (high - low))
        return log_normal(self.chance, low, high)


def log_normal(chance: Random, median: int, rare: int) -> int:
    """A delay that is `median` in the middle and exceeds `rare` in one case of a hundred.

    In decimals: what `math.exp` returns differs in its last digit between machines.
    """
    normal = sum(chance.randrange(1_000_000) for _ in range(NORMAL_SUM)) - NORMAL_SUM * 500_000
    with localcontext(prec=20):
        spread = (Decimal(rare) / Decimal(max(1, median))).ln() / TAIL
        return int(max(1, median) * (spread * normal / 1_000_000).exp())


class Drip(Felt):
    """Packets pass one at a time."""

    _free = 0

    def treat(self, parcel: Parcel, now: int) -> None:
        """Take the next turn."""
        if self.felt():
            self._free = max(self._free, now + parcel.delay) + self.injected.number("every")
            parcel.delay = self._free - now


class Lose(Felt):
    """Messages are lost; whoever sent them has the acknowledgement all the same."""

    def treat(self, parcel: Parcel, now: int) -> None:  # noqa: ARG002
        """Draw whether."""
        if parcel.message is not None and self.chance.random() < self.injected.share("share"):
            parcel.lost = self.felt()


class Duplicate(Felt):
    """Messages come twice, as QoS 1 allows."""

    def __init__(self, stage: Stage, injected: Injected) -> None:
        """Only what the node gets: its own messages are doubled by their way to others."""
        super().__init__(stage, injected)
        self.way = "down"

    def treat(self, parcel: Parcel, now: int) -> None:  # noqa: ARG002
        """Draw whether."""
        if parcel.message is not None and self.chance.random() < self.injected.share("share"):
            parcel.twice = self.felt()


class Reorder(Felt):
    """A message waits until one of another topic has overtaken it; within a topic the order stands, as MQTT has it."""

    def __init__(self, stage: Stage, injected: Injected) -> None:
        """Nothing waits."""
        super().__init__(stage, injected)
        self.way = "down"
        self._waiting: list[Parcel] = []

    def treat(self, parcel: Parcel, now: int) -> None:  # noqa: ARG002
        """Let it wait, or let it overtake what waits."""
        message = parcel.message
        if message is None:
            self.let_go()
            return
        same = any(each.message is not None and each.message.topic == message.topic for each in self._waiting)
        if same or (not self._waiting and self.chance.random() < self.injected.share("share")):
            waits = Parcel(message, parcel.go)
            parcel.go = lambda: None
            self._waiting.append(waits)
            if not same:
                self.stage.world.at(self.stage.world.now + OVERTAKEN_WITHIN, self.let_go)
        elif self._waiting and self.felt():
            arrive = parcel.go

            def overtaken() -> None:
                arrive()
                self.let_go()

            parcel.go = overtaken

    def let_go(self) -> None:
        """Whatever waits goes on."""
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.go()


class Stall(Felt, Holding):
    """Nothing passes and nothing is lost."""

    def treat(self, parcel: Parcel, now: int) -> None:  # noqa: ARG002
        """Hold it."""
        parcel.held = True
        self.felt()


class HalfOpen(Felt, Holding):
    """The broker has no connection any more, and the node does not know: whatever it sends goes nowhere."""

    bars = False
    way: Direction = "both"

    def treat(self, parcel: Parcel, now: int) -> None:  # noqa: ARG002
        """Lose it."""
        parcel.lost = True
        self.felt()


class Overflow(Felt, Holding):
    """The node reads nothing, and the broker's queue for it has little room: what does not fit is lost."""

    bars = False
    _queued = 0

    def __init__(self, stage: Stage, injected: Injected) -> None:
        """The queue is empty."""
        super().__init__(stage, injected)
        self.way = "down"

    def treat(self, parcel: Parcel, now: int) -> None:  # noqa: ARG002
        """Let it wait, or lose it."""
        parcel.held = True
        if parcel.message is None:
            return
        if self._queued < self.injected.number("room"):
            self._queued += 1
        else:
            parcel.lost = self.felt()


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
    if isinstance(effect, Reorder):
        effect.let_go()
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
    names, every = nodes_of(injected.target), injected.number("every")
    for number, name in enumerate(names):
        stage.world.at(stage.world.now + number * every, _swizzle_one, stage, injected, name)
    for number, name in enumerate(stage.chance.sample(names, len(names)), len(names)):
        stage.world.at(stage.world.now + number * every, _unswizzle_one, stage, injected, name)
    stage.world.at(stage.world.now + 2 * len(names) * every, stage.on_over, injected)


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
