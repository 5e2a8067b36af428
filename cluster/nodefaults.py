"""Faults that are felt inside a node's process: what lies in wait among its commands, what befalls its messages.

The lab names the row and its parameters; what the row does is `ucmlab.cluster.faults`, as in the simulation. Nothing of
this is asked for, or costs anything, while no fault stands.
"""

from collections.abc import Callable
from functools import partial
from random import Random

from ucmlab.broker.aiomqtt_bus import AiomqttBus
from ucmlab.cluster.control_messages import Suffer
from ucmlab.cluster.faults.catalogue import catalogue
from ucmlab.cluster.faults.effects import MESSAGES, Felt
from ucmlab.cluster.faults.hazards import HAZARDS, Hazard, hazard_of
from ucmlab.cluster.faults.lanes import Lanes, Parcel
from ucmlab.cluster.faults.ledger import Injected
from ucmlab.node.clock import LabClock
from ucmlab.node.shell import NodeShell


class NodeTime:
    """A node's lab time, and its timers beside the core's; see `Clock`."""

    def __init__(self, shell: NodeShell, clock: LabClock) -> None:
        """Of this node."""
        self._shell = shell
        self._clock = clock

    @property
    def now(self) -> int:
        """Lab microseconds."""
        return self._clock.lab()

    def at(self, due: int, action: Callable[..., None], *arguments: object) -> None:
        """Do something at a lab instant."""
        self._shell.at(due, partial(action, *arguments))


class MessageWire:
    """Stands between the bus and the node's gate for as long as anything is wrong with messages."""

    def __init__(self, bus: AiomqttBus, clock: NodeTime) -> None:
        """Nothing is wrong."""
        self._bus = bus
        self._lanes = Lanes(clock)

    def add(self, effect: Felt) -> None:
        """Something is wrong from now on."""
        self._lanes.add(effect)
        self._bus.meddle(self._hears, self._says)

    def remove(self, effect: Felt) -> None:
        """It is right again; what it held goes on."""
        self._lanes.remove(effect)
        if not self._lanes.effects():
            self._bus.meddle(None)

    def _says(self, topic: str, go: Callable[[], None]) -> None:
        self._lanes.up.carry(Parcel(topic, go))

    def _hears(self, topic: str, payload: bytes) -> None:
        connection = self._bus.counters().connection

        def go() -> None:
            # What was held of a connection that is gone was lost with it.
            if self._bus.counters().connection == connection:
                self._bus.hand_over(topic, payload)

        parcel = Parcel(topic, go)
        self._lanes.down.carry(parcel)
        if parcel.twice:
            self._lanes.down.carry(Parcel(None, go))


class NodeFaults:
    """What one node suffers."""

    def __init__(self, shell: NodeShell, bus: AiomqttBus, clock: LabClock, *, seed: int) -> None:
        """Nothing yet."""
        self._shell = shell
        self.chance = Random(f"faults {seed}")  # noqa: S311  # what a fault hits, no secret
        self.clock = NodeTime(shell, clock)
        self._wire = MessageWire(bus, self.clock)
        self._hazards: dict[int, Hazard] = {}
        self._effects: dict[int, Felt] = {}
        self._injected: dict[int, Injected] = {}
        """What stands, by number."""
        self._tell: Callable[[int], None] = lambda number: None

    def attach(self, tell: Callable[[int], None]) -> None:
        """`tell` hears the number of a fault each time that it is felt."""
        self._tell = tell

    def suffer(self, asked: Suffer) -> None:
        """A fault befalls the node."""
        row = catalogue()[asked.fault]
        injected = Injected(row, "", asked.given, row.values(asked.given), asked.left)
        self._injected[asked.number] = injected
        if asked.fault in MESSAGES:
            effect = self._effects[asked.number] = MESSAGES[asked.fault](self, injected)
            self._wire.add(effect)
        elif asked.fault in HAZARDS:
            self._hazards[asked.number] = hazard_of(injected, partial(self.took_effect, injected))
            self._shell.endanger(self._hazards.values())

    def recover(self, number: int) -> None:
        """It is over."""
        self._injected.pop(number, None)
        effect = self._effects.pop(number, None)
        if effect is not None:
            self._wire.remove(effect)
        if self._hazards.pop(number, None) is not None:
            self._shell.endanger(self._hazards.values())

    def took_effect(self, injected: Injected) -> None:
        """It was felt: the lab is told, and with its last use it is over."""
        number = next(number for number, each in self._injected.items() if each is injected)
        self._tell(number)
        injected.used()
        if injected.over and number in self._hazards:
            self.recover(number)
