"""One seed, from schedule to verdict: a pure function of image, seed, schedule and planted bug."""

import hashlib
import random
from collections.abc import Sequence
from contextlib import suppress

import msgspec
from msgspec.structs import replace

from ucmlab.cluster.search.breaking import Breaker
from ucmlab.cluster.search.image import ClusterImage, reader
from ucmlab.cluster.search.invariants import Judge, Violation
from ucmlab.cluster.search.judges.ending import Loudness
from ucmlab.cluster.search.judges.monitor import Monitor
from ucmlab.cluster.search.material import material
from ucmlab.cluster.search.plants import PLANTS
from ucmlab.cluster.search.sights import seen
from ucmlab.cluster.search.tape import Deck
from ucmlab.cluster.search.workload import SPAN, Act
from ucmlab.cluster.sim.world import World
from ucmlab.node.core import NodeCore
from ucmlab.node.events import Delete, OrderService, Regenerate, SetParameter, Upload
from ucmlab.node.instant import MILLISECOND, MINUTE, SECOND
from ucmlab.node.ordering import PATIENCE
from ucmlab.node.services import CHANGE_NOTIFICATION
from ucmlab.publisher.core import PublisherCore

LATENCY = (MILLISECOND // 5, 20 * MILLISECOND)
CONVERGENCE = 65 * MINUTE
"""Two resyncs and a little: the first may propose what only the second one's files can show."""
ONE_COMPARISON = 35 * MINUTE
"""After so much of it every node has compared its disk with its rows: a cluster that is settled by then stays so."""
GLANCE = MINUTE
"""How often somebody looks whether a play is to end before its time."""
LOUD, STORM = 400, 3
"""So many events a minute, so many minutes on end, are a storm, whatever is broken. A log that is made anew takes one
such minute or falls into two; of three the quietest has a hundred in a sound cluster."""
LOUDEST = 12_000
"""Events in a seed of an hour and a half before it is given up at any rate: it is a thousand or two."""

Done = tuple[Act, range]
"""An act that was really done, what it left to the moment said in it, and the lines of the journal that it wrote."""


class EnoughSeen(Exception):  # no error: a play that is to end at the first violation has had it, or a storm has begun
    """What is left of the play would tell nothing more."""


class SeedResult(msgspec.Struct, frozen=True):
    """How a seed ended, how many events that took, which faults were felt and which sights came (`sights.py`)."""

    seed: int
    violations: tuple[Violation, ...]
    events: int
    felt: tuple[str, ...] = ()
    sights: tuple[str, ...] = ()


class SeedRun:
    """A world, its monitor, and the schedule that is played on it."""

    def __init__(
        self,
        image: ClusterImage,
        seed: int,
        *,
        plant: str | None = None,
        judge: Judge = "all",
        deck: Deck | None = None,
    ) -> None:
        """Start the cluster of the image; a `deck` records the draws, or says them."""
        planted = PLANTS[plant] if plant is not None else None
        cores = (planted.node, planted.publisher) if planted is not None else (NodeCore, PublisherCore)
        self.world = World(
            image.configs,
            image.disks,
            seed=seed,
            wall=image.wall,
            latency=LATENCY,
            memo=dict(image.memo),
            cores=cores,
            streams=random.Random if deck is None else deck.stream,
        )
        if planted is not None:
            planted.surround(self.world)
        self.monitor = Monitor(self.world, image.disks, reader(image), judge=judge)
        self._seed = seed
        self._op = 0
        self.result = SeedResult(seed, (), 0)
        self.done: list[Done] = []
        self._glances = self._spares = False
        self._looked_at, self._events_by_then, self._loud = 0, 0, 0
        self.world.broker.start()
        self._breaker = Breaker(self.world, self.monitor)
        for name in self.world.nodes:
            self.world.start_node(name)

    def play(self, acts: Sequence[Act], *, span: int = SPAN) -> SeedResult:
        """Play a schedule, end all faults, and judge."""
        with suppress(EnoughSeen):
            self._play(acts, span)
        return self._ended()

    def play_to_first(self, acts: Sequence[Act], *, span: int = SPAN, spare: bool = False) -> SeedResult:
        """The same, and over soon after the first violation.

        Args:
            acts: what happens.
            span: when all faults end.
            spare: start what is stopped at once: a story does not wait for orders that are still under way.
        """
        self._glances, self._spares = True, spare
        return self.play(acts, span=span)

    def _play(self, acts: Sequence[Act], span: int) -> None:
        for act in acts:
            self._pass(act.at)
            self._do(act)
            if self.monitor.violations:
                break
        self._pass(max(span, acts[-1].at if acts else 0))
        self._mend()
        mended = self.world.now
        self._pass(mended + ONE_COMPARISON)
        if not self._settled():
            self._pass(mended + CONVERGENCE)
        began = self._loudness()
        self._pass(self.world.now + MINUTE)
        self.monitor.quiet_minute(began=began, ended=self._loudness())
        self.monitor.check_converged()

    def _loudness(self) -> Loudness:
        return Loudness(self.world.events_handled, self.world.broker.connections)

    def _pass(self, instant: int) -> None:
        """Let time pass."""
        while self.world.now + GLANCE < instant:
            self._glance()
            self.world.run_until(self.world.now + GLANCE)
        self._glance()
        self.world.run_until(instant)

    def _glance(self) -> None:
        if self._glances and self.monitor.violations:
            raise EnoughSeen
        now, events = self.world.now, self.world.events_handled
        if now >= self._looked_at + GLANCE:
            loud = (events - self._events_by_then) * MINUTE > LOUD * (now - self._looked_at)
            self._loud = self._loud + 1 if loud else 0
            self._looked_at, self._events_by_then = now, events
        if self._loud == STORM:
            self.monitor.too_loud(f"more than {LOUD} events a minute for {STORM} minutes")
            raise EnoughSeen
        if events > LOUDEST:
            self.monitor.too_loud(f"{events} events by now")
            raise EnoughSeen

    def _ended(self) -> SeedResult:
        found, felt, sights = tuple(self.monitor.violations), self._breaker.felt(), seen(self.world.journal)
        self.result = SeedResult(self._seed, found, self.world.events_handled, felt, sights)
        return self.result

    def dismantle(self) -> None:
        """Take everything apart, as `World.dismantle` does; only `result` is left."""
        self.world.dismantle()
        self._breaker.dismantle()
        vars(self.monitor).clear()

    def trace(self) -> str:
        """SHA-256 over the journal, line by line."""
        digest = hashlib.sha256()
        encode = msgspec.json.Encoder(order="deterministic").encode
        for line in self.world.journal:
            digest.update(encode(line))
            digest.update(b"\n")
        return digest.hexdigest()

    def _mend(self) -> None:
        """The end of all faults: everything runs, everybody reaches everybody."""
        self._breaker.mend()
        if not self._spares:
            # An order to stop may be under way until its time is over; the last word is ours.
            self._pass(self.world.now + PATIENCE + SECOND)
        for name, node in self.world.nodes.items():
            if node.core is None or not node.core.change_notification.running:
                self._order(name, CHANGE_NOTIFICATION, "start")

    def _settled(self) -> bool:
        """Whether everybody stands where the publisher does, files included, and nobody has anything left to do.

        Asked after a comparison of disks, whose repetition would find the same: it says something only where files and
        rows differ. That comparisons repeat themselves is for the hour before to show, in which there are faults.
        """
        cores = [node.core for node in self.world.nodes.values()]
        head = None if cores[0] is None else cores[0].replica
        return head is not None and all(
            core is not None
            and (core.replica.position, core.replica.digest()) == (head.position, head.digest())
            and core.replica.settings_digest == head.settings_digest
            and core.change_notification.agrees()
            and not core.open_operations()
            for core in cores
        )

    def _do(self, act: Act) -> None:
        if act.kind == "inject":
            before = len(self.world.journal)
            self._breaker.inject(act)
            self.done.append((act, range(before, len(self.world.journal))))
        elif self.world.nodes[act.node].life == "up":
            self._operate(act)

    def _operate(self, act: Act) -> None:
        if act.kind == "service":
            self.done.append((act, range(0)))
            self._order(act.node, act.unit, act.text)
            return
        self._op += 1
        op_id = f"op-{self._op}"
        node = self.world.nodes[act.node]
        if act.kind == "upload":
            self.done.append((act, range(0)))
            chosen = material()[act.number]
            self.monitor.asked_for(op_id, "upload", act.node, act.unit, brought=chosen.fingerprint)
            cause = self.world.act("operation", op_id, kind="upload", target=act.node, unit=act.unit)
            self.world.deliver(node, Upload(op_id, act.unit, chosen.pem, cause=cause))
            return
        if act.kind == "regenerate":
            self.done.append((act, range(0)))
            self.monitor.asked_for(op_id, "regenerate", act.node, act.unit)
            cause = self.world.act("operation", op_id, kind="regenerate", target=act.node, unit=act.unit)
            self.world.deliver(node, Regenerate(op_id, act.unit, cause))
            return
        if act.kind == "parameter":
            self.done.append((act, range(0)))
            self.monitor.set_asked_for(op_id, act.node, act.unit, act.text)
            cause = self.world.act("operation", op_id, kind="parameter", target=act.node, parameter=act.unit)
            self.world.deliver(node, SetParameter(op_id, act.node, act.unit, act.text, cause))
            return
        fingerprint = act.text or self._chosen(act)
        self.done.append((act if act.text else replace(act, text=fingerprint), range(0)))
        self.monitor.asked_for(op_id, "delete", act.node, act.unit)
        cause = self.world.act("operation", op_id, kind="delete", target=act.node, unit=act.unit)
        self.world.deliver(node, Delete(op_id, act.unit, fingerprint, cause))

    def _chosen(self, act: Act) -> str:
        """Which certificate a delete is of that does not say it: one that the node has, if it has any."""
        core = self.world.nodes[act.node].core
        here = [each.fingerprint for each in material()]
        held = [each for each in here if core is not None and core.filing.get(act.unit, each) is not None]
        return held[act.number % len(held)] if held else here[act.number % len(here)]

    def _order(self, node: str, service: str, action: str) -> None:
        self._op += 1
        op_id = f"op-{self._op}"
        publisher = next(iter(self.world.nodes.values()))
        giver = publisher if publisher.life == "up" else self.world.nodes[node]
        self.monitor.asked_for(op_id, "service", node, service, asker=giver.name)
        cause = self.world.act("operation", op_id, kind="service", target=node, service=service)
        self.world.deliver(giver, OrderService(op_id, node, service, action, cause))  # type: ignore[arg-type]  # drawn from the actions
