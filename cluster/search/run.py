"""One seed, from schedule to verdict: a pure function of image, seed, schedule and planted bug."""

import hashlib
from collections.abc import Sequence

import msgspec

from ucmlab.broker.codec import BusCodec
from ucmlab.broker.signing import KeyedHashSigner, KeyedHashVerifier
from ucmlab.broker.topics import Topics
from ucmlab.cluster.search.breaking import Breaker
from ucmlab.cluster.search.image import ClusterImage
from ucmlab.cluster.search.invariants import Monitor, Violation
from ucmlab.cluster.search.material import material
from ucmlab.cluster.search.plants import PLANTS
from ucmlab.cluster.search.sights import seen
from ucmlab.cluster.search.workload import SPAN, Act
from ucmlab.cluster.sim.world import World
from ucmlab.node.core import NodeCore
from ucmlab.node.events import Delete, OrderService, Upload
from ucmlab.node.instant import MILLISECOND, MINUTE
from ucmlab.publisher.core import PublisherCore

LATENCY = (MILLISECOND // 5, 20 * MILLISECOND)
CONVERGENCE = 65 * MINUTE
"""Two resyncs and a little: the first may propose what only the second one's files can show."""
CHANGE_NOTIFICATION = "Cisco Certificate Change Notification"


class SeedResult(msgspec.Struct, frozen=True):
    """How a seed ended, how many events that took, which faults were felt and which sights came (`sights.py`)."""

    seed: int
    violations: tuple[Violation, ...]
    events: int
    felt: tuple[str, ...] = ()
    sights: tuple[str, ...] = ()


class SeedRun:
    """A world, its monitor, and the schedule that is played on it."""

    def __init__(self, image: ClusterImage, seed: int, *, plant: str | None = None) -> None:
        """Start the cluster of the image."""
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
        )
        self.monitor = Monitor(self.world, image.disks, _reader(image), Topics(image.configs[0].cluster).log_binding())
        self._seed = seed
        self._op = 0
        self.result = SeedResult(seed, (), 0)
        self.world.broker.start()
        self._breaker = Breaker(self.world, self.monitor)
        for name in self.world.nodes:
            self.world.start_node(name)

    def play(self, acts: Sequence[Act], *, span: int = SPAN) -> SeedResult:
        """Play a schedule, end all faults, and judge."""
        for act in acts:
            self.world.run_until(act.at)
            self._do(act)
            if self.monitor.violations:
                break
        self.world.run_until(max(span, acts[-1].at if acts else 0))
        self._mend()
        self.world.run_until(self.world.now + CONVERGENCE)
        self.monitor.check_converged()
        found, felt, sights = tuple(self.monitor.violations), self._breaker.felt(), seen(self.world.journal)
        self.result = SeedResult(self._seed, found, self.world.events_handled, felt, sights)
        return self.result

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
        for name in self.world.nodes:
            self._order(name, CHANGE_NOTIFICATION, "start")

    def _do(self, act: Act) -> None:
        if act.kind == "inject":
            self._breaker.inject(act)
        elif self.world.nodes[act.node].life == "up":
            self._operate(act)

    def _operate(self, act: Act) -> None:
        if act.kind == "service":
            self._order(act.node, act.unit, act.text)
            return
        self._op += 1
        op_id = f"op-{self._op}"
        node = self.world.nodes[act.node]
        if act.kind == "upload":
            chosen = material()[act.number]
            self.monitor.uploaded(op_id, act.node, chosen.fingerprint)
            cause = self.world.act("operation", op_id, kind="upload", target=act.node, unit=act.unit)
            self.world.deliver(node, Upload(op_id, act.unit, chosen.pem, cause=cause))
            return
        core = node.core
        here = [each.fingerprint for each in material()]
        held = [each for each in here if core is not None and core.filing.get(act.unit, each) is not None]
        fingerprint = held[act.number % len(held)] if held else here[act.number % len(here)]
        self.monitor.asked_for(op_id, "delete", act.node)
        cause = self.world.act("operation", op_id, kind="delete", target=act.node, unit=act.unit)
        self.world.deliver(node, Delete(op_id, act.unit, fingerprint, cause))

    def _order(self, node: str, service: str, action: str) -> None:
        self._op += 1
        op_id = f"op-{self._op}"
        self.monitor.asked_for(op_id, "service", node)
        publisher = next(iter(self.world.nodes.values()))
        giver = publisher if publisher.life == "up" else self.world.nodes[node]
        cause = self.world.act("operation", op_id, kind="service", target=node, service=service)
        self.world.deliver(giver, OrderService(op_id, node, service, action, cause))  # type: ignore[arg-type]  # drawn from the actions


def _reader(image: ClusterImage) -> BusCodec:
    """Opens what the cluster's members sealed; used by the monitor only."""
    secret = image.configs[0].cluster.encode()
    members = {config.name: None for config in image.configs}
    return BusCodec(
        cluster=image.configs[0].cluster,
        sender="monitor",
        boot=0,
        signer=KeyedHashSigner("monitor", secret),
        verifier=KeyedHashVerifier(members, secret),
        memo=dict(image.memo),
    )
