"""One node's link while it suffers: two lanes of packets, and what each fault does to a packet on its way.

A wire stands between a member's end of the bus and the broker only while a fault of the link lasts; a healthy link pays
nothing. A lane is TCP's: first in, first out, whatever the faults say about time. What they may change beyond that is
what MQTT leaves open: a message may come twice, messages of different topics may change places, and a broker may have
acknowledged what it then lost.
"""

from collections import deque
from collections.abc import Callable
from typing import Literal, Protocol

from ucmlab.broker.packets import Packet, Publish, Subscribe
from ucmlab.cluster.sim.bus import Link, SimBus
from ucmlab.cluster.sim.timeline import Timeline

Way = Literal["both", "up", "down"]
Go = Callable[[], None]


class Parcel:
    """One packet on its way, and what the faults have made of it so far."""

    __slots__ = ("delay", "go", "held", "lost", "message", "twice")

    def __init__(self, message: Publish | None, go: Go) -> None:
        """`message` is None for every other kind of packet; `go` is its arrival."""
        self.message = message
        self.go = go
        self.delay = 0
        self.held = self.lost = self.twice = False


class Effect(Protocol):
    """What one fault does to packets."""

    way: Way

    def treat(self, parcel: Parcel, now: int) -> None:
        """Change what happens to a packet."""
        ...


class Lane:
    """One direction."""

    def __init__(self, timeline: Timeline) -> None:
        """Nothing is on its way."""
        self._timeline = timeline
        self._last = 0
        self._under_way = 0
        self._held: deque[Parcel] = deque()
        self.effects: list[Effect] = []

    def carry(self, parcel: Parcel) -> None:
        """Take a packet along."""
        for effect in self.effects:
            effect.treat(parcel, self._timeline.now)
            if parcel.lost:
                return
        if parcel.held or self._held:
            self._held.append(parcel)
        else:
            self._pass(parcel)

    def release(self) -> None:
        """Nothing holds packets back any more: they go on in their order."""
        while self._held:
            self._pass(self._held.popleft())

    def empty(self) -> bool:
        """Whether nothing is on its way here."""
        return not self._held and not self._under_way

    def _pass(self, parcel: Parcel) -> None:
        now = self._timeline.now
        if not parcel.delay and not self._under_way:
            self._arrive(parcel, counted=False)
            return
        self._last = max(self._last, now + parcel.delay)
        self._under_way += 1
        self._timeline.at(self._last, self._arrive, parcel)

    def _arrive(self, parcel: Parcel, *, counted: bool = True) -> None:
        if counted:
            self._under_way -= 1
        parcel.go()


class FaultyWire:
    """Both lanes of one node, for as long as anything is wrong with them."""

    def __init__(self, timeline: Timeline) -> None:
        """Nothing is wrong yet."""
        self.lanes: dict[Literal["up", "down"], Lane] = {"up": Lane(timeline), "down": Lane(timeline)}
        self.bus: SimBus | None = None

    def attach(self, bus: SimBus) -> None:
        """Stand before a member's end."""
        self.bus = bus

        def sends(packet: Publish | Subscribe) -> None:
            link, message = bus.link, packet if type(packet) is Publish else None

            def go() -> None:
                if bus.link is link:
                    bus.send(packet)

            self.lanes["up"].carry(Parcel(message, go))

        def hears(link: Link, packet: Packet) -> None:
            message = packet if type(packet) is Publish else None
            parcel = Parcel(message, lambda: bus.gets(link, packet))
            self.lanes["down"].carry(parcel)
            if message is not None and parcel.twice and not bus.gone(link):
                self.lanes["down"].carry(Parcel(None, lambda: bus.hear_again(message)))

        bus.sends = sends
        bus.hears = hears
        bus.hears_reset = lambda link: self.lanes["down"].carry(Parcel(None, lambda: bus.link_reset(link)))
        self.bar()

    def detach(self) -> None:
        """Get out of the way; what is still under way arrives as it would have."""
        for lane in self.lanes.values():
            lane.release()
        bus = self.bus
        if bus is not None:
            bus.sends, bus.hears, bus.hears_reset = bus.send, bus.gets, bus.link_reset
            self.bar()

    def add(self, effect: Effect) -> None:
        """Something is wrong from now on."""
        for lane in self._lanes_of(effect):
            lane.effects.append(effect)
        self.bar()

    def remove(self, effect: Effect) -> None:
        """It is right again: what it held goes on, unless another fault holds it too."""
        for lane in self._lanes_of(effect):
            lane.effects.remove(effect)
            if not any(isinstance(each, Holding) for each in lane.effects):
                lane.release()
        self.bar()

    def bar(self) -> None:
        """Let connections be made or not: none can while either way is held up."""
        if self.bus is None:
            return
        effects = [effect for lane in self.lanes.values() for effect in lane.effects]
        was, self.bus.barred = self.bus.barred, any(isinstance(each, Holding) and each.bars for each in effects)
        if was and not self.bus.barred:
            self.bus.prod()

    def idle(self) -> bool:
        """Whether nothing is wrong and nothing is on its way."""
        return all(not lane.effects and lane.empty() for lane in self.lanes.values())

    def _lanes_of(self, effect: Effect) -> list[Lane]:
        return [lane for way, lane in self.lanes.items() if effect.way in ("both", way)]


class Holding:
    """Base of faults that hold packets back until they end."""

    bars = True
    """Whether no connection can be made meanwhile."""
