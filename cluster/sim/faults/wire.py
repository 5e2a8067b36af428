"""One node's link while it suffers, in virtual time: both lanes of packets, before its end of the bus.

A wire stands between a member's end of the bus and the broker only while a fault of the link lasts; a healthy link pays
nothing.
"""

from ucmlab.broker.packets import Packet, Publish, Subscribe
from ucmlab.cluster.faults.lanes import Effect, Holding, Lanes, Parcel
from ucmlab.cluster.sim.bus import Link, SimBus
from ucmlab.cluster.sim.timeline import Timeline


class FaultyWire:
    """Both lanes of one node, for as long as anything is wrong with them."""

    def __init__(self, timeline: Timeline) -> None:
        """Nothing is wrong yet."""
        self.lanes = Lanes(timeline)
        self.bus: SimBus | None = None

    def attach(self, bus: SimBus) -> None:
        """Stand before a member's end."""
        self.bus = bus

        def sends(packet: Publish | Subscribe) -> None:
            link, topic = bus.link, packet.topic if type(packet) is Publish else None

            def go() -> None:
                if bus.link is link:
                    bus.send(packet)

            self.lanes.up.carry(Parcel(topic, go))

        def hears(link: Link, packet: Packet) -> None:
            message = packet if type(packet) is Publish else None
            parcel = Parcel(None if message is None else message.topic, lambda: bus.gets(link, packet))
            self.lanes.down.carry(parcel)
            if message is not None and parcel.twice and not bus.gone(link):
                self.lanes.down.carry(Parcel(None, lambda: bus.hear_again(message)))

        bus.sends = sends
        bus.hears = hears
        bus.hears_reset = lambda link: self.lanes.down.carry(Parcel(None, lambda: bus.link_reset(link)))
        self.bar()

    def detach(self) -> None:
        """Get out of the way; what is still under way arrives as it would have."""
        for lane in self.lanes.of("both"):
            lane.release()
        bus = self.bus
        if bus is not None:
            bus.sends, bus.hears, bus.hears_reset = bus.send, bus.gets, bus.link_reset
            self.bar()

    def add(self, effect: Effect) -> None:
        """Something is wrong from now on."""
        self.lanes.add(effect)
        self.bar()

    def remove(self, effect: Effect) -> None:
        """It is right again: what it held goes on, unless another fault holds it too."""
        self.lanes.remove(effect)
        self.bar()

    def bar(self) -> None:
        """Let connections be made or not: none can while either way is held up."""
        if self.bus is None:
            return
        bars = any(isinstance(each, Holding) and each.bars for each in self.lanes.effects())
        was, self.bus.barred = self.bus.barred, bars
        if was and not self.bus.barred:
            self.bus.prod()

    def idle(self) -> bool:
        """Whether nothing is wrong and nothing is on its way."""
        return not self.lanes.effects() and self.lanes.empty()
