"""A broker that is slow, refuses what it should take, or publishes a will when it is stale."""

from ucmlab.broker.access import Action, ClientIdentity
from ucmlab.broker.core import BrokerCore
from ucmlab.broker.packets import Disconnect, Packet, Publish
from ucmlab.broker.topics import QOS
from ucmlab.cluster.faults.ledger import Injected
from ucmlab.cluster.sim.bus import Link
from ucmlab.cluster.sim.faults.stage import Stage, Take, Way
from ucmlab.cluster.sim.personalities import MakeBroker, personality


class SlowDesk:
    """Takes one packet after the other, each in its time; gone once nothing waits and the fault is over."""

    def __init__(self, stage: Stage, injected: Injected) -> None:
        """Nothing waits."""
        self._stage = stage
        self._injected = injected
        self._free = 0

    def __call__(self, takes: Take) -> Take:
        """Stand before what takes packets."""

        def slowly(link: Link, packet: Packet) -> None:
            now, each = self._stage.world.now, self._injected.number("each")
            if self._injected.over and self._free <= now:
                self._leave()
                takes(link, packet)
                return
            if not self._injected.over:
                self._stage.took_effect(self._injected)
            self._free = max(self._free, now) + (0 if self._injected.over else each)
            self._stage.world.at(self._free, takes, link, packet)

        return slowly

    def _leave(self) -> None:
        if self in self._stage.desk:
            self._stage.desk.remove(self)
            self._stage.treat_packets()


def _slow(stage: Stage, injected: Injected) -> None:
    stage.desk.append(SlowDesk(stage, injected))
    stage.treat_packets()


def _refuse(stage: Stage, injected: Injected) -> None:
    broker, asked = stage.world.broker, stage.world.broker.authorize

    def authorize(client: ClientIdentity, action: Action, topic: str) -> bool:
        if not injected.over and action == "publish" and client.username == injected.target:
            if not injected.uses:
                stage.took_effect(injected)
            return False
        return asked(client, action, topic)

    broker.authorize = authorize
    broker.access_changed()


def _take_again(stage: Stage, injected: Injected) -> None:
    stage.world.broker.access_changed()
    bus = stage.node(injected).bus
    if bus is not None:
        bus.prod()  # a connection with a will was refused as well


def _delay_will(stage: Stage, injected: Injected) -> None:
    broker, client_id = stage.world.broker, f"{stage.world.cluster}-{injected.target}"
    loses = broker.loses

    def quietly(link: Link) -> None:
        if injected.over or link.bus.client_id != client_id:
            loses(link)
            return
        # A goodbye takes the will away; it comes when nobody expects it any more.
        will = link.bus.will
        late = Publish(will.topic, will.payload, QOS, will.retain, packet_id=1)
        broker.take(link, Disconnect())
        loses(link)
        stage.world.at(stage.world.now + injected.number("late"), _publish_will, stage, injected, late)

    broker.loses = quietly


def _publish_will(stage: Stage, injected: Injected, will: Publish) -> None:
    if stage.world.broker.up:
        stage.world.broker.say(f"late-will-{injected.target}", injected.target, will)
        stage.took_effect(injected)


def _become(stage: Stage, injected: Injected) -> None:
    """The broker is replaced by one of another make: every connection is reset, what it held is gone."""
    _replace(stage, personality(injected.text("kind")))
    stage.took_effect(injected)


def _be_itself(stage: Stage, _injected: Injected) -> None:
    _replace(stage, BrokerCore)


def _replace(stage: Stage, make: MakeBroker) -> None:
    broker = stage.world.broker
    broker.make_core = make
    if broker.up:
        broker.kill()
        broker.start()


ROWS = {
    "personality": Way(_become, _be_itself),
    "broker-slow": Way(_slow),
    "broker-refuses": Way(_refuse, _take_again),
    "late-will": Way(_delay_will),
}
