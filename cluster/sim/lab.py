"""The simulated lab behind the port: the same promises as with real processes, kept in virtual time.

Every act returns when the lab is settled: no packet is on its way (those on a stalled link stay there). Packets take no
time here; what takes time is what takes time in the product (`--timing product`).
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from ucmlab.broker.filters import filter_matches
from ucmlab.cluster.default_cas import simulated_default_cas
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.outside.place import check_place
from ucmlab.cluster.outside.received import Logged, Mail, in_order
from ucmlab.cluster.port import (
    LabFacts,
    NodeLife,
    NodeView,
    Operation,
    ServedPeer,
    ServedResponder,
    ServiceView,
    Standing,
)
from ucmlab.cluster.sim.faults.performing import SimFaults
from ucmlab.cluster.sim.keyring import authz_digests
from ucmlab.cluster.sim.peers import SimPeer
from ucmlab.cluster.sim.responders import SimResponder
from ucmlab.cluster.sim.world import SimNode, World
from ucmlab.cluster.standing import services, services_at_rest, standing
from ucmlab.cluster.state import db_digest
from ucmlab.cluster.topology import Topology
from ucmlab.node.commands import OpenTls, Reply
from ucmlab.node.config import Member, NodeConfig
from ucmlab.node.events import TlsOpened
from ucmlab.node.instant import DAY, SECOND, from_rfc3339, rfc3339
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.settings import settings_digest, settings_of

if TYPE_CHECKING:
    from ucmlab.cluster.ca.responder import Responder

START_OF_LAB = from_rfc3339("2026-01-05T08:00:00Z")
"""Where stories begin in every mode, so that runs can be compared: a Monday morning."""
OUTSIDE = ".outside"
"""Ends names of places outside the cluster."""
PATIENCE = 60 * SECOND
READY_WITHIN = DAY
SHOWN_OTHERWISE = ("partition", "isolate", "kill", "stop", "power-cut", "torn", "pause", "replication", "broker-kill")
"""Faults that the state of network, nodes and broker tells already, however they came about."""


def configs_of(topology: Topology, *, seed: int, cluster: str = "sim") -> tuple[NodeConfig, ...]:
    """What each node of a simulated lab is told; keys on the bus are the simulation's keyed hashes."""
    members = tuple(Member(node.name, node.role) for node in topology.nodes)
    default_cas = simulated_default_cas(topology.release, topology.profile)
    return tuple(
        NodeConfig(
            name=node.name,
            role=node.role,
            cluster=cluster,
            domain=topology.domain,
            release=topology.release,
            profile=topology.profile,
            replication=topology.replication,
            timing=topology.timing,
            seed=seed,
            members=members,
            der_pkcs7=topology.der_pkcs7,
            strict_uploads=topology.strict_uploads,
            default_cas=default_cas,
        )
        for node in topology.nodes
    )


class SimLab:
    """A lab in virtual time, used on the world's own event loop."""

    def __init__(self, topology: Topology, *, seed: int = 0, world: World | None = None) -> None:
        """A cluster that was never installed; `open` starts it."""
        self.topology = topology
        self._configs = configs_of(topology, seed=seed)
        self.world = world or World(self._configs, {}, seed=seed, wall=START_OF_LAB)
        self.world.broker.published = []
        self.world.on_reply = self._replied
        self.world.on_death = self._died
        self._waiting: dict[str, tuple[str, asyncio.Future[Reply]]] = {}
        self.faults = SimFaults(self.world)

    mode: Literal["sim", "local"] = "sim"

    @property
    def names(self) -> Sequence[str]:
        """The nodes, the publisher first."""
        return self.topology.names

    async def open(self) -> None:
        """Start broker and nodes; returns when every node is installed and the lab has converged."""
        self.world.act("lab_started", nodes=",".join(self.names))
        self.world.broker.start()
        for name in self.names:
            self.world.start_node(name)
        await self._settle()
        if not await self.wait_until(self._ready, READY_WITHIN):
            raise Unusable("the simulated lab did not become ready; its journal tells why")
        for node in self.world.nodes.values():
            # Their first start was of an empty disk, which is nothing to go back to.
            node.backups["installation"] = node.backups["last-start"] = node.disk.image()

    def _ready(self) -> bool:
        """Installed, in step, nothing open."""
        cores = [node.core for node in self.world.nodes.values()]
        statuses = [core.status() for core in cores if core is not None]
        head = statuses[0].head
        return all(
            status.installed
            and status.connected
            and not status.open_operations
            and status.files_agree
            and status.change_notification
            and (status.epoch, status.seq) == head
            for status in statuses
        )

    # -- reading

    def now(self) -> int:
        """Lab microseconds."""
        return self.world.now

    def wall(self) -> int:
        """The lab's wall clock."""
        return self.world.wall_start + self.world.now

    def standing(self, node: str) -> Standing:
        """How a node stands, as its core tells now."""
        found = self._node(node)
        status = found.core.status() if found.core is not None else None
        return standing(found.config, self._life(found), status, replication_broken=found.replication_broken)

    def view(self, node: str) -> NodeView:
        """Look at a node."""
        found = self._node(node)
        disk, core = found.disk, found.core
        replica, units = disk.replica(), RuleBook.load(found.config.release, found.config.profile).units
        readable = (file for file in disk.files.values() if file.unit in units)
        files = tuple(sorted(readable, key=lambda file: (file.unit, file.name)))
        status = core.status() if core is not None else None
        home = f"sim:/{node}"
        return NodeView(
            name=node,
            role=found.config.role,
            fqdn=found.config.fqdn,
            release=found.config.release,
            state=self._life(found),
            pid=None,
            home=home,
            addresses={},
            clock_offset=found.clock_offset,
            epoch=replica.epoch,
            seq=replica.seq,
            digest=db_digest(replica.rows),
            settings_digest=settings_digest(settings_of(replica.settings)),
            settings=replica.settings,
            rows=replica.rows,
            files=files,
            paths={(file.unit, file.name): f"{home}/{file.unit}/{file.name}" for file in files},
            identities=dict(disk.identities),
            csrs=dict(disk.csrs),
            services=self._services(found),
            authz=authz_digests(found.config.cluster, disk.authz) if disk.authz else None,
            open_operations=status.open_operations if status else 0,
            replication_broken=found.replication_broken,
            files_agree=status.files_agree if status else False,
            change_notification=status.change_notification if status else False,
            links=status.links if status else (),
        )

    def _services(self, node: SimNode) -> dict[str, ServiceView]:
        if node.core is None:
            return services_at_rest(node.config, node.disk.enabled, self.now())
        return services(node.core.status())

    def _life(self, node: SimNode) -> NodeLife:
        if node.life == "up" and not self.world.network.on_bus(node.name):
            return "isolated"
        return node.life

    def facts(self) -> LabFacts:
        """Look at the lab."""
        nodes = self.world.nodes.values()
        publisher = self.world.nodes[self._configs[0].publisher]
        first = publisher.config
        head = publisher.core.status().head if publisher.core is not None and publisher.life == "up" else None
        broken = tuple({"fault": "replication", "node": node.name} for node in nodes if node.replication_broken)
        standing = tuple(fact for fact in self.faults.ledger.facts() if fact["fault"] not in SHOWN_OTHERWISE)
        return LabFacts(
            name=first.cluster,
            mode="sim",
            release=first.release,
            profile=first.profile,
            replication=first.replication,
            wall=self.wall(),
            broker={"kind": "simulated", "url": None, "pid": None},
            faults=(*self.world.network.faults(), *broken, *self.world.outside.faults(), *standing),
            head=head,
        )

    def events(self, name: str | None = None, node: str | None = None) -> list[dict[str, object]]:
        """The journal so far."""
        return [
            {
                "id": line.record.id,
                "at": rfc3339(self.world.wall_start + line.lab),
                "node": line.node,
                "event": line.record.name,
                "cause": line.record.cause,
                "operation_id": line.record.op_id,
                **line.record.fields,
            }
            for line in self.world.journal
            if name in (None, line.record.name) and node in (None, line.node)
        ]

    def messages(self, topic_filter: str) -> list[tuple[str, bytes]]:
        """What was published so far on matching topics."""
        published = self.world.broker.published or []
        return [(topic, payload) for topic, payload in published if filter_matches(topic_filter, topic)]

    def mail(self) -> list[Mail]:
        """What the lab's mail server has taken."""
        return in_order(self.world.outside.mail.after())

    def syslog(self) -> list[Logged]:
        """What the lab's syslog collector has been told."""
        return in_order(self.world.outside.syslog())

    # -- acts

    async def stop_place(self, place: str) -> None:
        """Stop a server outside."""
        check_place(self.world.outside.manners, place)
        self.world.act("fault", fault="stop", target=place)
        self.world.outside.stop(place)
        await self._settle()

    async def start_place(self, place: str) -> None:
        """Start a server outside again, and let it be as it should."""
        check_place(self.world.outside.manners, place)
        self.world.act("fault", fault="start", target=place)
        self.world.outside.start(place)
        await self._settle()

    async def slow_place(self, place: str, delay: int | None) -> None:
        """Have a server outside take its time, or answer nothing."""
        check_place(self.world.outside.manners, place)
        self.world.act("fault", fault="slow", target=place, delay_us=delay)
        self.world.outside.slow(place, delay)
        await self._settle()

    async def start_node(self, node: str) -> None:
        """Start a node that is down."""
        if self._node(node).life == "down":
            self.world.act("fault", fault="start", target=node)
            self.world.start_node(node)
            self.faults.mended("kill", "stop", "power-cut", "torn", target=node)
        await self._settle()

    async def stop_node(self, node: str) -> None:
        """Stop a node in order."""
        if self._node(node).life != "down":
            self.world.act("fault", fault="stop", target=node)
            self.world.stop_node(node)
        await self._settle()

    async def reboot_node(self, node: str) -> None:
        """Stop a node in order and start it again."""
        if self._node(node).life != "down":
            self.world.act("reboot", target=node)
            self.world.stop_node(node)
            await self._settle()
            self.world.start_node(node)
        await self._settle()

    async def kill_node(self, node: str, at: str | None = None) -> None:
        """Kill a node, now or right after its next command of a name."""
        found = self._node(node)
        if found.life != "down":
            self.world.act("fault", fault="kill", target=node, at_command=at)
            if at is None:
                self.world.kill_node(node)
            else:
                found.armed = at
        await self._settle()

    async def pause_node(self, node: str) -> None:
        """Freeze a node."""
        if self._node(node).life == "up":
            self.world.act("fault", fault="pause", target=node)
            self.world.pause_node(node)
        await self._settle()

    async def resume_node(self, node: str) -> None:
        """Let a frozen node go on."""
        if self._node(node).life == "paused":
            self.world.act("fault", fault="resume", target=node)
            self.world.resume_node(node)
            self.faults.mended("pause", target=node)
        await self._settle()

    async def kill_broker(self) -> None:
        """Kill the broker."""
        if self.world.broker.up:
            self.world.act("fault", fault="kill", target="broker")
            self.world.broker.kill()
        await self._settle()

    async def start_broker(self) -> None:
        """Start the broker again, empty."""
        if not self.world.broker.up:
            self.world.act("fault", fault="start", target="broker")
            self.world.broker.start()
            self.faults.mended("broker-kill")
        await self._settle()

    async def partition(self, groups: Sequence[Sequence[str]], broker: int | None = None) -> None:
        """Cut the network into groups."""
        self.world.network.partition(groups, broker)
        self.world.act("fault", fault="partition", groups=" / ".join(",".join(group) for group in groups))
        self.world.reachability_changed()
        await self._settle()

    async def isolate(self, node: str) -> None:
        """Take one node away from everything."""
        self.world.network.isolate(node)
        self.world.act("fault", fault="isolate", target=node)
        self.world.reachability_changed()
        await self._settle()

    async def heal(self, node: str | None = None) -> None:
        """Make the network whole again, or rejoin one node."""
        self.world.network.heal(node)
        if node is None or self.world.network.whole:
            self.faults.mended("partition", "isolate")
        else:
            self.faults.mended("isolate", target=node)
        self.world.act("fault", fault="heal", target=node)
        self.world.reachability_changed()
        await self._settle()

    async def set_replication(self, node: str, *, broken: bool) -> None:
        """Break or repair what the publisher replicates to a node."""
        self._node(node)
        self.world.act("fault", fault="replication", target=node, state="broken" if broken else "repaired")
        self.world.set_replication(node, broken=broken)
        if not broken:
            self.faults.mended("replication", target=node)
        await self._settle()

    async def inject(
        self,
        fault: str,
        target: str,
        parameters: Mapping[str, str],
        *,
        count: int | None = None,
        until: int | None = None,
    ) -> None:
        """Inject a fault of the catalogue."""
        self.faults.inject(fault, target, parameters, count=count, until=until)
        await self._settle()

    async def end_fault(self, fault: str, target: str) -> None:
        """End a fault that was injected."""
        self.faults.end(fault, target)
        await self._settle()

    def unfired(self) -> list[str]:
        """The faults that were injected and never took effect."""
        return self.faults.ledger.unfired()

    async def serve_responder(self, name: str, responder: "Responder") -> ServedResponder:
        """Open an OCSP responder outside the cluster."""
        return _Served(self, name, self.world.responders.open(f"{name}{OUTSIDE}", responder))

    async def serve_peer(
        self, name: str, *, chain: Sequence[bytes], key: bytes, trusted: Sequence[bytes]
    ) -> ServedPeer:
        """Open a TLS server outside the cluster; keys play no part here."""
        del key
        return _Peer(self, name, self.world.tls.peers.open(name, chain=tuple(chain), trusted=tuple(trusted)))

    async def outside_acted(self, name: str, act: str, delay: int | None = 0) -> None:
        """Journal what was done to a place outside, and let it be so."""
        self.world.act("fault", fault=act, target=name, delay_us=delay)
        await self._settle()

    async def operate(self, node: str, operation: Operation) -> Reply:
        """Do an operation on a node."""
        found = self._node(node)
        kind = type(operation).__name__.lower()
        cause = self.world.act("operation", operation.op_id, phase="asked", kind=kind, target=node)
        if found.life == "down":
            text = self.world.rulebook.refusal_text("node_down", node=node)
            return Reply(operation.op_id, "refused", "node_down", text)
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[operation.op_id] = (node, future)
        self.world.deliver(found, with_cause(operation, cause))
        reply = await self._await_reply(found, operation.op_id, future)
        await self._settle()
        return reply

    async def probe(self, node: str, command: OpenTls) -> TlsOpened:
        """Connect to a node's listener from outside."""
        opened = self.world.tls.probe(self._node(node), command)
        await self._settle()
        return opened

    async def _await_reply(self, node: SimNode, op_id: str, future: asyncio.Future[Reply]) -> Reply:
        """A process that is frozen answers nobody: the operator gives up after a minute of lab time."""
        while True:
            done, _ = await asyncio.wait([future], timeout=PATIENCE / SECOND)
            if done:
                return future.result()
            if node.life == "paused":
                del self._waiting[op_id]
                return Reply(op_id, "indefinite", "node_down", f"{node.name} does not answer")

    def _replied(self, _node: str, reply: Reply) -> None:
        waiting = self._waiting.pop(reply.op_id, None)
        if waiting is not None and not waiting[1].done():
            waiting[1].set_result(reply)

    def _died(self, node: str) -> None:
        for op_id in [op_id for op_id, (where, _) in self._waiting.items() if where == node]:
            text = f"{node} went down before it answered"
            self._replied(node, Reply(op_id, "indefinite", "node_down", text))

    async def wait(self, duration: int) -> None:
        """Let lab time pass."""
        await asyncio.sleep(duration / SECOND)
        await self._settle()

    async def wait_until(self, predicate: Callable[[], bool], within: int) -> bool:
        """Let lab time pass until the predicate holds."""
        limit = self.world.now + within
        await self._settle()
        while not predicate():
            due = self.world.next_due()
            if due is None or due > limit:
                await asyncio.sleep(max(0, limit - self.world.now) / SECOND)
                return predicate()
            await asyncio.sleep((due - self.world.now) / SECOND)
            await self._settle()
        return True

    async def _settle(self) -> None:
        """Let everything that is on its way arrive; timers that are due now run as well."""
        while self.world.broker.in_flight or self._something_is_due():
            self.world.step()
            await asyncio.sleep(0)

    def _something_is_due(self) -> bool:
        due = self.world.next_due()
        return due is not None and due <= self.world.now

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call `watcher` after every event."""

        def step(*_: object) -> None:
            watcher()

        self.world.on_step.append(step)
        return lambda: self.world.on_step.remove(step)

    async def close(self) -> None:
        """Nothing outlives a simulated lab."""

    def _node(self, name: str) -> SimNode:
        node = self.world.nodes.get(name)
        if node is None:
            raise Unusable(f"there is no node {name!r}; there are {', '.join(self.world.nodes)}")
        return node


class _Served:
    """A responder in a story's hands."""

    def __init__(self, lab: SimLab, name: str, place: SimResponder) -> None:
        self._lab, self._name, self._place = lab, name, place
        self.url, self.crl_url = place.url, place.crl_url

    async def start(self) -> None:
        self._place.start()
        await self._lab.outside_acted(self._name, "start")

    async def stop(self) -> None:
        self._place.stop()
        await self._lab.outside_acted(self._name, "stop")

    async def slow(self, delay: int | None) -> None:
        self._place.slow(delay)
        await self._lab.outside_acted(self._name, "slow", delay)


class _Peer:
    """A TLS server in a story's hands."""

    def __init__(self, lab: SimLab, name: str, place: SimPeer) -> None:
        self._lab, self._name, self._place = lab, name, place
        self.address = place.address

    async def start(self) -> None:
        self._place.up = True
        await self._lab.outside_acted(self._name, "start")

    async def stop(self) -> None:
        self._place.stop()
        await self._lab.outside_acted(self._name, "stop")


def with_cause(operation: Operation, cause: str) -> Operation:
    """The operation, told what led to it."""
    return msgspec.structs.replace(operation, cause=cause)
