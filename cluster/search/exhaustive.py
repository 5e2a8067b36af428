"""Every order of deliveries, and every moment of death, of a small cluster: S1 to S4 without chance (anchors.md iv).

Three nodes and a few operations on one certificate. Nothing is drawn: wherever something could happen otherwise, it is
tried both ways, depth first, within a bound on how often a schedule departs from the plain one (first come, first
served; nobody dies). Such a departure is one of three:

- a message from another connection comes first (order holds within each connection only, as in MQTT);
- a connection holds its messages back for `HOLD`, longer than anybody's patience and longer than from one operation
  to the next;
- a process dies before it performs a command, and comes back after `HOLD`.

A state is what every process has been told so far, in its order, and the instant: equal histories mean equal states,
since cores are pure. What follows a state that was reached before, with no more departures left, is not tried again.
"""

from collections.abc import Iterator, Sequence
from heapq import heapify, heappop
from itertools import product
from typing import Any, NamedTuple

import msgspec

from ucmlab.broker.packets import Packet
from ucmlab.cluster.search.image import ClusterImage, cluster_image, reader
from ucmlab.cluster.search.invariants import Violation
from ucmlab.cluster.search.judges.monitor import Monitor
from ucmlab.cluster.search.material import material
from ucmlab.cluster.search.plants import PLANTS, Plant
from ucmlab.cluster.sim.bus import Link
from ucmlab.cluster.sim.world import SimNode, World
from ucmlab.node import commands as c
from ucmlab.node.events import AnyEvent, Delete, MessageArrived, TimerFired, Upload
from ucmlab.node.instant import HOUR, SECOND

NODES = ("pub", "sub1", "sub2")
UNIT = "tomcat-trust"
APART = 2 * SECOND
"""From one operation to the next."""
HOLD = 3 * SECOND
END = 2 * HOUR
"""Comparisons after the last operation have made good what they can."""
LATEST = END - HOUR
"""From here on everything goes the plain way, so that whoever died is back and has compared before the end."""
DEADLY = (c.AppendLog, c.ApplyEntry, c.InstallSnapshot, c.BeginEpoch, c.WriteFile, c.RemoveFile, c.Publish, c.SyncDisk)
"""Commands before which a process may die: between the others nothing changes that anybody could see."""

Timed = tuple[int, int, Any, tuple[Any, ...]]
"""What a timeline holds: instant, number, what to call, with what."""


Channel = tuple[Link, str] | str | int
"""What keeps its order: one way of a connection, a node's timers; a number is something by itself."""


class Found(msgspec.Struct, frozen=True):
    """A schedule that breaks an invariant: the operations, how it departs from the plain order, what does not hold."""

    operations: tuple[str, ...]
    departures: tuple[str, ...]
    violations: tuple[Violation, ...]


class Exhausted(msgspec.Struct, frozen=True):
    """What was tried. A schedule counts as `cut` when it came to a state that another had been in before."""

    sequences: int
    schedules: int
    cut: int
    states: int
    found: tuple[Found, ...]


class Cut(Exception):  # the rest of this schedule is known
    """A state that was reached before."""


class Chooser:
    """One way through: what was decided before is decided again, and from there on the plain way."""

    def __init__(self, prefix: Sequence[int], departures: int, known: dict[int, int]) -> None:
        """`known`: for each state that was reached, with how many departures to spare."""
        self._prefix = prefix
        self._known = known
        self.left = departures
        self.trail: list[tuple[int, int]] = []
        """Of each choice: how many ways there were, and which was taken."""
        self.told: list[str] = []
        self.histories: dict[str, int] = {}

    def note(self, who: str, what: int) -> None:
        """A process was told something, or something befell it."""
        self.histories[who] = hash((self.histories.get(who, 0), what))

    def choose(self, ways: int, now: int, question: str) -> int:
        """Which way to go; 0 is the plain one.

        Raises:
            Cut: this state was reached before with as much to spare.
        """
        at = len(self.trail)
        if not self.left or ways == 1 or now > LATEST:
            ways = 1
        elif at >= len(self._prefix):
            state = hash((now, question, *sorted(self.histories.items())))
            if self._known.get(state, -1) >= self.left:
                raise Cut
            self._known[state] = self.left
        taken = self._prefix[at] if at < len(self._prefix) else 0
        self.trail.append((ways, taken))
        self.left -= bool(taken)
        return taken


class ChoosingWorld(World):
    """A world in which what is due at one instant may happen in any order, and anybody may die at any time."""

    def __init__(self, image: ClusterImage, chooser: Chooser, plant: Plant) -> None:
        """Nobody runs yet."""
        cores = (plant.node, plant.publisher)
        super().__init__(image.configs, image.disks, seed=0, wall=image.wall, memo=image.memo, cores=cores)
        plant.surround(self)
        self._chooser = chooser
        self.broker.treat(self._taken)
        self.on_death = self._comes_back
        for node in self.nodes.values():
            node.hazards.append(_Death(self, node, chooser))

    def run_until(self, instant: int) -> None:
        """See `Timeline`."""
        heap = self._heap
        while heap and heap[0][0] <= instant:
            self.now = max(self.now, heap[0][0])
            item = self._next()
            if item is not None:
                self.events_handled += 1
                item[2](*item[3])
        self.now = max(self.now, instant)

    def handle(self, node: SimNode, event: AnyEvent) -> None:
        """See `World`."""
        self._chooser.note(node.name, hash((self.now, _sense(event))))
        super().handle(node, event)

    def _taken(self, link: Link, packet: Packet) -> None:
        self._chooser.note("broker", hash((self.now, link.number, repr(packet))))
        self.broker.take(link, packet)

    def _next(self) -> Timed | None:
        """The item whose turn it is; None when its connection holds back."""
        due = self._heap[0][0]
        first: dict[Channel, Timed] = {}
        for item in sorted(each for each in self._heap if each[0] == due):
            first.setdefault(_channel(item), item)
        channels = list(first)
        plain = channels[0]
        way = self._chooser.choose(len(channels) + isinstance(plain, tuple), self.now, "next")
        if way == len(channels) and isinstance(plain, tuple):
            self._hold(plain)
            return None
        item = first[channels[way]]
        if way:
            self._chooser.told.append(f"{self.now / SECOND:.3f} s: {_name(channels[way])} comes first")
            self._heap.remove(item)
            heapify(self._heap)
        else:
            heappop(self._heap)
        self._chooser.note(_key(channels[way]), 1)
        return item

    def _hold(self, channel: tuple[Link, str]) -> None:
        until = self.now + HOLD
        held = {item[1] for item in self._heap if _channel(item) == channel}
        self._heap[:] = [(until, *item[1:]) if item[1] in held else item for item in self._heap]
        heapify(self._heap)
        link, direction = channel
        if direction == "up":
            link.last_up = until
        else:
            link.last_down = until
        self._chooser.note(_key(channel), hash(until))
        self._chooser.told.append(f"{self.now / SECOND:.3f} s: {_name(channel)} holds back for {HOLD // SECOND} s")

    def _comes_back(self, name: str) -> None:
        self.at(self.now + HOLD, self._start_again, name)

    def _start_again(self, name: str) -> None:
        if self.nodes[name].life == "down":
            self.start_node(name)


class _Death:
    """Asks before each command whether the process dies now."""

    def __init__(self, world: World, node: SimNode, chooser: Chooser) -> None:
        self._world = world
        self._node = node
        self._chooser = chooser
        self._performed = 0

    def before(self, command: c.AnyCommand) -> bool:
        """See `Hazard`."""
        self._performed += 1
        if not isinstance(command, DEADLY):
            return False
        # What was performed of a list is part of the state.
        self._chooser.note(self._node.name, self._performed)
        if not self._chooser.choose(2, self._world.now, "death"):
            return False
        what = f"{self._node.name} dies before {type(command).__name__}"
        self._chooser.note(self._node.name, hash(what))
        self._chooser.told.append(f"{self._world.now / SECOND:.3f} s: {what}")
        return True

    def after(self, command: c.AnyCommand) -> bool:  # noqa: ARG002  # a death before the next is the same
        """See `Hazard`."""
        return False


def _sense(event: AnyEvent) -> object:
    match event:
        case MessageArrived():
            return (event.topic, event.payload)
        case TimerFired():
            return event.token
        case _:
            return type(event).__name__


def _channel(item: Timed) -> Channel:
    _, number, action, arguments = item
    if arguments and isinstance(arguments[0], Link):
        return (arguments[0], "down" if action.__name__ == "_brings" else "up")
    if action.__name__ == "_arrive" and arguments[1]:
        return (arguments[1][0], "up" if arguments[0].__name__ == "forget" else "down")
    if action.__name__ == "_timer_due":
        return f"a timer of {arguments[0].name}"
    return number


def _key(channel: Channel) -> str:
    """A channel's part of the state; what stands for itself is counted together."""
    if isinstance(channel, tuple):
        return f"{channel[0].number} {channel[1]}"
    return channel if isinstance(channel, str) else ""


def _name(channel: Channel) -> str:
    if isinstance(channel, tuple):
        link, way = channel
        return f"what {link.bus.client_id} {'sends' if way == 'up' else 'is sent'}"
    return str(channel)


class Operation(NamedTuple):
    """One operation of a sequence."""

    kind: str
    node: str


def sequences(operations: int) -> Iterator[tuple[Operation, ...]]:
    """Upload, delete, upload again, delete: each on any node. Subscribers are alike, so `sub1` comes first."""
    for nodes in product(NODES, repeat=operations):
        subscribers = [name for name in nodes if name != NODES[0]]
        if not subscribers or subscribers[0] == NODES[1]:
            yield tuple(Operation(("upload", "delete")[at % 2], name) for at, name in enumerate(nodes))


def exhaust(operations: int, departures: int, *, plant: str | None = None, stop_at_first: bool = False) -> Exhausted:
    """Try every schedule of every sequence of that many operations, with so many departures at most."""
    image = cluster_image(NODES)
    chosen = PLANTS[plant] if plant is not None else Plant("", "")
    total, schedules, cut, states = 0, 0, 0, 0
    found: list[Found] = []
    for sequence in sequences(operations):
        total += 1
        known: dict[int, int] = {}
        waiting: list[list[int]] = [[]]
        while waiting:
            prefix = waiting.pop()
            chooser = Chooser(prefix, departures, known)
            violations, complete = _play(image, sequence, chooser, chosen)
            schedules += 1
            cut += not complete
            if violations:
                texts = tuple(f"{each.kind} on {each.node}" for each in sequence)
                found.append(Found(texts, tuple(chooser.told), violations))
            taken = [way for _, way in chooser.trail]
            for at in range(len(prefix), len(chooser.trail)):
                waiting += [[*taken[:at], other] for other in range(1, chooser.trail[at][0])]
            if found and stop_at_first:
                return Exhausted(total, schedules, cut, states + len(known), tuple(found))
        states += len(known)
    return Exhausted(total, schedules, cut, states, tuple(found))


def _play(
    image: ClusterImage, sequence: Sequence[Operation], chooser: Chooser, plant: Plant
) -> tuple[tuple[Violation, ...], bool]:
    """Play one schedule; what did not hold, and whether it was played to its end."""
    world = ChoosingWorld(image, chooser, plant)
    monitor = Monitor(world, image.disks, reader(image))
    world.on_start = lambda node: monitor.node_starting(node.name)
    world.broker.start()
    complete = True
    try:
        for name in world.nodes:
            world.start_node(name)
        for number, operation in enumerate(sequence, 1):
            world.run_until(number * APART)
            _ask(world, monitor, f"op-{number}", operation)
        world.run_until(END)
        monitor.check_converged()
    except Cut:
        complete = False
    violations = tuple(monitor.violations)
    world.dismantle()
    return violations, complete


def _ask(world: World, monitor: Monitor, op_id: str, operation: Operation) -> None:
    node, certificate = world.nodes[operation.node], material()[0]
    if node.life != "up":
        return
    brought = certificate.fingerprint if operation.kind == "upload" else ""
    monitor.asked_for(op_id, operation.kind, node.name, UNIT, brought=brought)
    if operation.kind == "upload":
        world.deliver(node, Upload(op_id, UNIT, certificate.pem))
    else:
        world.deliver(node, Delete(op_id, UNIT, certificate.fingerprint))
