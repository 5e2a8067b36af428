"""What can be wrong with a link: each fault as what it does to parcels. Pure, for both modes."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from decimal import Decimal, localcontext
from random import Random
from typing import NamedTuple, Protocol

from ucmlab.cluster.faults.lanes import Clock, Holding, Parcel
from ucmlab.cluster.faults.lanes import Way as Direction
from ucmlab.cluster.faults.ledger import Injected
from ucmlab.node.instant import SECOND

OVERTAKEN_WITHIN = SECOND
"""A message that nothing overtakes goes on after so long."""
NORMAL_SUM = 12
"""So many uniform draws, less half of that, are normal enough, and the same on every machine."""
TAIL = Decimal("2.326")
"""Standard deviations between the median and what 1 % exceed."""


class Place(Protocol):
    """Where faults are performed, as an effect knows it."""

    @property
    def chance(self) -> Random:
        """What draws what a fault hits."""
        ...

    @property
    def clock(self) -> Clock:
        """The lab's time."""
        ...

    def took_effect(self, injected: Injected) -> None:
        """A fault was really felt."""
        ...


class Felt(ABC):
    """Base of effects: who must know that packets were touched."""

    def __init__(self, place: Place, injected: Injected) -> None:
        """As injected."""
        self.place = place
        self.injected = injected
        self.chance: Random = place.chance
        way = injected.values.get("way", "both")
        self.way: Direction = way  # type: ignore[assignment]  # one of the row's words

    @abstractmethod
    def treat(self, parcel: Parcel, now: int) -> None:
        """Change what happens to a packet."""

    def ended(self) -> None:  # noqa: B027  most keep nothing
        """It is over: what it kept itself goes on."""

    def felt(self) -> bool:
        """Count a use; False when the fault has none left."""
        if self.injected.over:
            return False
        self.place.took_effect(self.injected)
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
    _each = "every"
    """The parameter that says how long."""

    def treat(self, parcel: Parcel, now: int) -> None:
        """Take the next turn."""
        if self.felt():
            self._free = max(self._free, now + parcel.delay) + self.injected.number(self._each)
            parcel.delay = self._free - now


class Desk(Drip):
    """A broker that takes its time over whatever it is brought: one turn for all links together."""

    _each = "each"

    def __init__(self, place: Place, injected: Injected) -> None:
        """It is free."""
        super().__init__(place, injected)
        self.way = "up"


class Lose(Felt):
    """Messages are lost; whoever sent them has the acknowledgement all the same."""

    def treat(self, parcel: Parcel, now: int) -> None:  # noqa: ARG002
        """Draw whether."""
        if parcel.topic is not None and self.chance.random() < self.injected.share("share"):
            parcel.lost = self.felt()


class Duplicate(Felt):
    """Messages come twice, as QoS 1 allows."""

    def __init__(self, place: Place, injected: Injected) -> None:
        """Only what the node gets: its own messages are doubled by their way to others."""
        super().__init__(place, injected)
        self.way = "down"

    def treat(self, parcel: Parcel, now: int) -> None:  # noqa: ARG002
        """Draw whether."""
        if parcel.topic is not None and self.chance.random() < self.injected.share("share"):
            parcel.twice = self.felt()


class Reorder(Felt):
    """A message waits until one of another topic has overtaken it; within a topic the order stands, as MQTT has it."""

    def __init__(self, place: Place, injected: Injected) -> None:
        """Nothing waits."""
        super().__init__(place, injected)
        self.way = "down"
        self._waiting: list[Parcel] = []

    def treat(self, parcel: Parcel, now: int) -> None:  # noqa: ARG002
        """Let it wait, or let it overtake what waits."""
        topic = parcel.topic
        if topic is None:
            self.ended()
            return
        same = any(each.topic == topic for each in self._waiting)
        if same or (not self._waiting and self.chance.random() < self.injected.share("share")):
            waits = Parcel(topic, parcel.go)
            parcel.go = lambda: None
            self._waiting.append(waits)
            if not same:
                clock = self.place.clock
                clock.at(clock.now + OVERTAKEN_WITHIN, self.ended)
        elif self._waiting and self.felt():
            arrive = parcel.go

            def overtaken() -> None:
                arrive()
                self.ended()

            parcel.go = overtaken

    def ended(self) -> None:
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

    def __init__(self, place: Place, injected: Injected) -> None:
        """The queue is empty."""
        super().__init__(place, injected)
        self.way = "down"

    def treat(self, parcel: Parcel, now: int) -> None:  # noqa: ARG002
        """Let it wait, or lose it."""
        parcel.held = True
        if parcel.topic is None:
            return
        if self._queued < self.injected.number("room"):
            self._queued += 1
        else:
            parcel.lost = self.felt()


MESSAGES: dict[str, type[Felt]] = {"lose": Lose, "duplicate": Duplicate, "reorder": Reorder, "queue-overflow": Overflow}
"""Rows that are about messages; those about bytes go by the packet in the simulation."""


class Turn(NamedTuple):
    """One step of a swizzle: so long after its beginning a node's link stalls, or goes on."""

    after: int
    node: str
    stalls: bool


def swizzle(nodes: Sequence[str], every: int, chance: Random) -> list[Turn]:
    """Links stall one after the other, and go on in an order of chance."""
    stalled = [(name, True) for name in nodes]
    turns = stalled + [(name, False) for name in chance.sample(nodes, len(nodes))]
    return [Turn(number * every, name, stalls) for number, (name, stalls) in enumerate(turns)]
