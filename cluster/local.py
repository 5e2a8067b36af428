"""The lab of real processes behind the port: what a story does and sees in mode `local`, and what `up` serves."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Literal

import msgspec

from ucmlab.broker.filters import filter_matches
from ucmlab.cluster.addresses import BROKER_PORT, Block, free_port, take_block
from ucmlab.cluster.backups import INSTALLATION, LAST_START, Backups
from ucmlab.cluster.bundle import Anchors, Bundle, bundle_path
from ucmlab.cluster.carriers.mosquitto import find_mosquitto
from ucmlab.cluster.carriers.reaching import reach
from ucmlab.cluster.control_messages import Suffer, act
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.flowing import Flow
from ucmlab.cluster.journal_reader import JournalReader
from ucmlab.cluster.labclock import ClockFile
from ucmlab.cluster.local_faults.performing import LocalFaults
from ucmlab.cluster.local_view import life_of, loaded_of, outline_of, standing_of, view_of
from ucmlab.cluster.members import LocalNode
from ucmlab.cluster.outside.outside import Outside
from ucmlab.cluster.outside.place import Holding
from ucmlab.cluster.outside.received import Logged, Mail, in_order
from ucmlab.cluster.port import LabFacts, NodeView, Operation, Outline, ServedPeer, ServedResponder, Standing
from ucmlab.cluster.probing import probe
from ucmlab.cluster.provision import LabHome
from ucmlab.cluster.requests import Glanced, Mustered, Presence, Present
from ucmlab.cluster.roster import BrokerPlace, Roster
from ucmlab.cluster.spawning import ForkServerProcess
from ucmlab.cluster.stepping import Stepper
from ucmlab.cluster.tls_contexts import Identity
from ucmlab.node.clock import LabClock, machine_ns
from ucmlab.node.commands import OpenTls, Record, Reply
from ucmlab.node.connections import listener_name
from ucmlab.node.events import Connect, ReplicationSet, StopRequested, TlsOpened
from ucmlab.node.instant import DAY, SECOND
from ucmlab.node.journal_file import JournalFile
from ucmlab.node.layout import HomeLayout
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.status import NodeStatus

if TYPE_CHECKING:
    from ucmlab.cluster.ca.responder import Responder

PATIENCE = 60 * SECOND
"""Lab time after which an operator gives up on a node that is frozen."""
READY_WITHIN = DAY
STOP_TIMEOUT_S = 10.0
"""Machine time for a node to stop in order before it is killed."""
MESSAGES_KEPT, MESSAGES_KEPT_FLOWING = 100_000, 1_000
"""Of what was published on the bus, for stories and in flowing time: a lab that runs for weeks must not grow for weeks,
and nobody there looks far back."""
BROKER = "broker"
NOBODYS = 0
"""Number of what nodes suffer and nobody asks about: faults of the catalogue count from 1."""
SHOWN_OTHERWISE = ("partition", "isolate", "kill", "stop", "torn", "pause", "replication", "broker-kill", "clock")
"""Faults that the state of network, nodes and broker tells already, however they came about."""


class ProcessCrashed(Exception):
    """A bug of ours ended a process of the lab."""

    def __init__(self, name: str, text: str) -> None:
        """Keep whose it was and the traceback."""
        super().__init__(f"{name} crashed:\n{text}")
        self.name = name


class LabLost(Exception):
    """The fork server is gone, and every process of the lab with it."""

    def __init__(self) -> None:
        """There is nothing more to say."""
        super().__init__("the fork server of the lab is gone, and every process with it")


class LocalLab:
    """A lab of real processes, used on one event loop of the main thread.

    Args:
        home: the lab's home.
        fork_server: its fork server, started as early as possible; `close` ends it.
        stepped: whether lab time stands still while nobody waits (stories), or flows (`up`).
        speed: lab seconds in a machine second, when it flows.
        listen: the broker's address; None is the lab's own loopback block. TLS is mandatory elsewhere (design 5).
        tls: whether the broker speaks TLS on loopback too.
    """

    mode: Literal["sim", "local"] = "local"

    def __init__(
        self,
        home: LabHome,
        fork_server: ForkServerProcess,
        *,
        stepped: bool,
        speed: float = 1.0,
        listen: str | None = None,
        tls: bool = False,
    ) -> None:
        self.home = home
        self.lost = False
        self._closed = False
        self._fork_server = fork_server
        self._listen = listen
        self._tls = tls
        self._clock_file = ClockFile(home.path)
        wall_zero = home.lab.wall_start
        self.clock = LabClock(self._clock_file.resume(wall_zero=wall_zero, speed=speed, stepped=stepped))
        self._reader = JournalReader(home.logs)
        self._published: deque[tuple[str, bytes]] = deque(maxlen=MESSAGES_KEPT if stepped else MESSAGES_KEPT_FLOWING)
        self._replies: dict[str, Reply | None] = {}
        self._journal = JournalFile(home.logs / "lab.jsonl", "lab")
        # By a reader of its own, which goes: a lab that was used for weeks must not begin with weeks in memory.
        self._acts = sum(1 for event in JournalReader(home.logs).fresh() if event.get("node") == "lab")
        self._block: Block | None = None
        self._backing_up = Lock()
        """Whoever copies a node's home holds it: a node may be started again while all are copied in the background."""
        self._taking: asyncio.Future[None] | None = None
        """The first backups, while they are made."""
        self._broken = LocalFaults(self)
        self.roster: Roster
        self.outside: Outside
        self._time: Stepper | Flow

    @property
    def names(self) -> Sequence[str]:
        """The nodes, the publisher first."""
        return self.home.topology.names

    async def open(self) -> None:
        """Start broker and nodes; returns when every node is installed and all agree.

        Raises:
            Unusable: the lab cannot be had, or does not become ready.
            ProcessCrashed: a bug of ours.
        """
        self._block = take_block(self.home.path)
        hosts = [self._block.node(number) for number, _ in enumerate(self.names)]
        self.home.ports.see_that_they_can_be_had(hosts, self.home.topology.rulebook.ports)
        self._put_together(self._block)
        if self.home.carrier.kind == "url":
            await reach(self.roster.endpoint(self.names[0]))
        await self.outside.open(self._block.outside)
        self.roster.outside = self.outside.addresses()
        self._check()  # a fork server that went meanwhile tells nobody of processes that are asked of it now
        self._clock_file.save(self.clock.setting, self.now())
        self.note("lab_started", nodes=",".join(self.names))
        self.roster.start_broker()
        publisher, *others = self.names
        self.roster.start_node(publisher)
        # The others propose their certificates to it at once; what it does not hear they repeat seconds later.
        await self.wait_until(lambda: self._listens(publisher), READY_WITHIN)
        for name in others:
            self.roster.start_node(name)
        if not await self.wait_until(self.ready, READY_WITHIN):
            raise Unusable(f"the lab did not become ready; its journals in {self.home.logs} tell why")
        self._back_up_installation()

    def layout(self, node: str) -> HomeLayout:
        """Where a node keeps what."""
        config = self._node(node).config
        return HomeLayout(self.home.node_home(node), RuleBook.load(config.release, config.profile))

    def backups(self, node: str) -> Backups:
        """The copies of a node's folder."""
        return Backups(self.home.path / "backups" / node, self.layout(node))

    def _back_up_installation(self) -> None:
        """Once every node is installed. Nobody waits for it while time flows: a lab is ready without."""

        def take() -> None:
            for name in self.names:
                with self._backing_up:
                    for what in (INSTALLATION, LAST_START):
                        if not self.backups(name).has(what):
                            self.backups(name).take(what)

        if self.clock.stepped:
            take()
        else:
            self._taking = asyncio.get_running_loop().run_in_executor(None, take)

    def _back_up_start(self, node: str) -> None:
        # The first start is of an empty home: what can be put back is what it has become when the lab is ready.
        with self._backing_up:
            if self.backups(node).has(INSTALLATION):
                self.backups(node).take(LAST_START)

    def _put_together(self, block: Block) -> None:
        carrier = self.home.carrier
        if carrier.kind == "mosquitto":
            find_mosquitto()
        host = self._listen or block.broker
        tls = self._tls or carrier.kind == "mosquitto" or not host.startswith("127.")
        place = (
            BrokerPlace(carrier.host, carrier.port, carrier.tls)
            if carrier.kind == "url"
            else BrokerPlace(host, free_port(host, BROKER_PORT), tls)
        )
        self.roster = Roster(
            self.home,
            self._fork_server,
            clock=self.clock,
            place=place,
            hosts={name: block.node(number) for number, name in enumerate(self.names)},
            replied=self._replied,
            published=self._published.extend,
        )
        self.outside = Outside(
            Holding(self.roster.agenda, node=self.roster.nodes.get, changed=self.roster.changed.set),
            wall=self.wall,
            keep=MESSAGES_KEPT if self.clock.stepped else MESSAGES_KEPT_FLOWING,
            acted=self._outside_acted,
        )
        self.roster.felt = self._broken.stage.felt
        self.roster.starting = self._back_up_start
        stepped = self.clock.stepped
        if not stepped:  # a story has no clients of its own
            self._keep_bundle(Bundle(self.home))
        self._time = Stepper(self.roster) if stepped else Flow(self.roster, self.clock)
        self._fork_server.attach(self._fork_server_lost)

    def _keep_bundle(self, bundle: Bundle) -> None:
        def take(node: str, anchors: Anchors) -> None:
            try:
                bundle.take(node, anchors)
            except OSError as error:
                self.note("disk_warning", text=f"{bundle_path(self.home)} cannot be written: {error}")

        for node in self.roster.nodes.values():
            node.on_presented = take

    def ready(self) -> bool:
        """Whether every node is installed and connected, has nothing open, and the cluster has converged.

        Asked again and again while a lab starts, so it reads no disk: what a core tells of its rows and files is what
        it has put there.
        """
        self._check()
        nodes = tuple(self.roster.nodes.values())
        if not all(node.running and node.pulse is not None and node.pulse.connected for node in nodes):
            return False
        if not self.clock.stepped:
            # Nobody waits for the answers of busy nodes. While time stands still they are quiet, and it must stand.
            for node in nodes:
                node.keep_status()
            if not _in_step([node.status for node in nodes]):
                return False
        return _in_step(self.roster.statuses())

    def _listens(self, node: str) -> bool:
        self._check()
        pulse = self.roster.nodes[node].pulse
        return pulse is not None and pulse.connected and pulse.unanswered == 0 and pulse.received > 0

    # -- reading

    def now(self) -> int:
        """Lab microseconds."""
        return self.clock.lab()

    def wall(self) -> int:
        """The lab's wall clock, unskewed."""
        return self.clock.now().wall

    def view(self, node: str) -> NodeView:
        """Look at a node: its disk as it is now, its core as it tells now."""
        return view_of(self._node(node), lab=self.now())

    def outline(self, node: str) -> Outline:
        """The same without its certificates; its files are not read."""
        return outline_of(self._node(node), lab=self.now())

    def standing(self, node: str) -> Standing:
        """How a node stands, as its core tells now."""
        return standing_of(self._node(node))

    def facts(self) -> LabFacts:
        """Look at the lab."""
        lab, topology, roster = self.home.lab, self.home.topology, self.roster
        publisher = roster.nodes[topology.publisher]
        status = publisher.read_status() if publisher.running else None
        return LabFacts(
            name=lab.name,
            mode=self.mode,
            release=topology.release,
            profile=topology.profile,
            replication=topology.replication,
            wall=self.wall(),
            broker={"kind": self.home.carrier.kind, "url": roster.place.url, "pid": roster.broker_node.pid},
            faults=self._faults(),
            head=status.head if status is not None else None,
        )

    def muster(self) -> Mustered:
        """Tell who runs, and where."""
        roster, block = self.roster, self._block
        if block is None:
            raise Unusable("the lab was not opened")
        nodes = {
            name: Present(node.pid, block.node(number), node.config.fqdn, str(node.home))
            for number, (name, node) in enumerate(roster.nodes.items())
        }
        return Mustered(roster.place.url, roster.broker_node.pid, nodes)

    def glance(self, nodes: Collection[str]) -> Glanced:
        """Tell how everybody is, and what the services of `nodes` have loaded; reads no disk."""
        for name in nodes:
            self._node(name)
        seen = {
            name: Presence(life_of(node), loaded_of(node) if name in nodes else None)
            for name, node in self.roster.nodes.items()
        }
        return Glanced(self.home.carrier.kind != "url" and not self.roster.broker_node.alive, seen)

    def _faults(self) -> tuple[dict[str, str], ...]:
        nodes = self.roster.nodes.values()
        return (
            *self.roster.network.faults(),
            *({"fault": "replication", "node": node.name} for node in nodes if node.replication_broken),
            *({"fault": "clock", "node": node.name} for node in nodes if node.clock_offset),
            *({"fault": "paused", "node": node.name} for node in nodes if node.paused),
            *self.outside.faults(),
            *(fact for fact in self._broken.ledger.facts() if fact["fault"] not in SHOWN_OTHERWISE),
        )

    def events(self, name: str | None = None, node: str | None = None) -> list[dict[str, object]]:
        """The journal so far."""
        return [
            event
            for event in self._reader.read()
            if name in (None, event.get("event")) and node in (None, event.get("node"))
        ]

    def messages(self, topic_filter: str) -> list[tuple[str, bytes]]:
        """What was published on the bus so far on matching topics."""
        return [(topic, payload) for topic, payload in self._published if filter_matches(topic_filter, topic)]

    # -- outside

    def mail(self) -> list[Mail]:
        """What the lab's mail server has taken."""
        return in_order(self.outside.mail.box.after())

    def syslog(self) -> list[Logged]:
        """What the lab's syslog collector has been told."""
        return in_order(self.outside.syslog.box.after())

    async def stop_place(self, place: str) -> None:
        """Stop a server outside."""
        found = self.outside.place(place)
        self.note("fault", fault="stop", target=place)
        await found.stop()
        await self._outside_changed()

    async def start_place(self, place: str) -> None:
        """Start a server outside again, and let it be as it should."""
        found = self.outside.place(place)
        self.note("fault", fault="start", target=place)
        await found.start()
        await self._outside_changed()

    async def slow_place(self, place: str, delay: int | None) -> None:
        """Have a server outside take its time, or answer nothing."""
        found = self.outside.place(place)
        self.note("fault", fault="slow", target=place, delay_us=delay)
        found.slow(delay)
        await self._outside_changed()

    async def serve_responder(self, name: str, responder: "Responder") -> ServedResponder:
        """Open an OCSP responder outside the cluster; see `LabPort`."""
        return await self.outside.serve_responder(name, responder)

    async def serve_peer(
        self, name: str, *, chain: Sequence[bytes], key: bytes, trusted: Sequence[bytes]
    ) -> ServedPeer:
        """Open a TLS server outside the cluster; see `LabPort`."""
        identity = Identity(chain=tuple(chain), key=key)
        served = await self.outside.serve_peer(name, identity=identity, trusted=trusted)
        host, _, port = served.address.rpartition(":")
        self.roster.place_outside(name, (host, int(port)))
        return served

    async def _outside_acted(self, name: str, act: str, delay: int | None) -> None:
        self.note("fault", fault=act, target=name, delay_us=delay)
        await self._outside_changed()

    async def _outside_changed(self) -> None:
        self.roster.acts += 1
        await self.settle()

    # -- nodes

    async def start_node(self, node: str) -> None:
        """Start a node that is down."""
        if not self._node(node).alive:
            self.note("fault", fault="start", target=node)
            self.roster.start_node(node)
            self._broken.mended("kill", "stop", "torn", target=node)
        await self.settle()

    async def stop_node(self, node: str) -> None:
        """Stop a node in order. One that is paused is resumed for it: a frozen process does nothing in order."""
        found = self._node(node)
        if found.alive:
            self.note("fault", fault="stop", target=node)
            if found.paused:
                self.roster.resume(found)
            await self.roster.stop(found, act(StopRequested()), STOP_TIMEOUT_S)
        await self.settle()

    async def reboot_node(self, node: str) -> None:
        """Stop a node in order and start it again."""
        found = self._node(node)
        if found.alive:
            self.note("reboot", target=node)
            if found.paused:
                self.roster.resume(found)
            await self.roster.stop(found, act(StopRequested()), STOP_TIMEOUT_S)
            await self.settle()
            self.roster.start_node(node)
        await self.settle()

    async def kill_node(self, node: str, at: str | None = None) -> None:
        """Kill a node, now or right after its next command of a name."""
        found = self._node(node)
        if found.alive:
            self.note("fault", fault="kill", target=node, at_command=at)
            if at is None:
                await self.roster.kill(found)
            else:
                self.roster.act(found, Suffer(NOBODYS, "kill", {"at": at}))
        await self.settle()

    async def pause_node(self, node: str) -> None:
        """Freeze a node."""
        found = self._node(node)
        if found.running:
            self.note("fault", fault="pause", target=node)
            await self.roster.pause(found)
        await self.settle()

    async def resume_node(self, node: str) -> None:
        """Let a frozen node go on."""
        found = self._node(node)
        if found.paused:
            self.note("fault", fault="resume", target=node)
            self.roster.resume(found)
            self._broken.mended("pause", target=node)
        await self.settle()

    async def set_replication(self, node: str, *, broken: bool) -> None:
        """Break or repair what the publisher replicates to a node."""
        found = self._node(node)
        self.note("fault", fault="replication", target=node, state="broken" if broken else "repaired")
        found.replication_broken = broken
        if not broken:
            self._broken.mended("replication", target=node)
        self.roster.act(found, act(ReplicationSet(broken)))
        await self.settle()

    async def set_clock_offset(self, node: str, offset: int) -> None:
        """Let a node's wall clock be wrong by `offset` microseconds."""
        found = self._node(node)
        self.note("fault", fault="clock", target=node, offset_us=offset)
        self.roster.set_offset(found, offset)
        self._broken.mended("clock", target=node)
        await self.settle()

    # -- broker and network

    async def kill_broker(self) -> None:
        """Kill the broker."""
        self.own_broker("killed")
        if self.roster.broker_node.alive:
            self.note("fault", fault="kill", target=BROKER)
            await self.roster.kill(self.roster.broker_node)
        await self.settle()

    async def stop_broker(self) -> None:
        """End the broker in order: it says goodbye to everybody."""
        self.own_broker("stopped")
        if self.roster.broker_node.alive:
            self.note("fault", fault="stop", target=BROKER)
            await self.roster.stop_broker(STOP_TIMEOUT_S)
        await self.settle()

    async def start_broker(self) -> None:
        """Start the broker again, empty."""
        self.own_broker("started")
        if not self.roster.broker_node.alive:
            self.note("fault", fault="start", target=BROKER)
            self.roster.start_broker()
            self._broken.mended("broker-kill")
        await self.settle()

    def own_broker(self, done: str) -> None:
        """See that the broker is one that the lab may do this to.

        Raises:
            Unusable: it is somebody else's.
        """
        if self.home.carrier.kind == "url":
            raise Unusable(
                f"the broker {self.home.carrier.text} is not this lab's and cannot be {done} from here;"
                " make a lab with --broker mosquitto or embedded for that"
            )

    async def partition(self, groups: Sequence[Sequence[str]], broker: int | None = None) -> None:
        """Cut the network into groups."""
        self.roster.network.partition(groups, broker)
        self.note("fault", fault="partition", groups=" / ".join(",".join(group) for group in groups))
        await self._reachability_changed()

    async def isolate(self, node: str) -> None:
        """Take one node away from everything."""
        self.roster.network.isolate(node)
        self.note("fault", fault="isolate", target=node)
        await self._reachability_changed()

    async def heal(self, node: str | None = None) -> None:
        """Make the network whole again, or rejoin one node."""
        self.roster.network.heal(node)
        if node is None or self.roster.network.whole:
            self._broken.mended("partition", "isolate")
        else:
            self._broken.mended("isolate", target=node)
        self.note("fault", fault="heal", target=node)
        await self._reachability_changed()

    async def _reachability_changed(self) -> None:
        self.roster.obey_network()
        await self.settle()

    # -- the catalogue

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
        await self._broken.inject(fault, target, parameters, count=count, until=until)
        await self.settle()

    async def end_fault(self, fault: str, target: str) -> None:
        """End a fault that was injected."""
        await self._broken.end(fault, target)
        await self.settle()

    def unfired(self) -> list[str]:
        """The faults that were injected and never took effect."""
        return self._broken.unfired()

    # -- operations

    async def operate(self, node: str, operation: Operation) -> Reply:
        """Do an operation on a node; see `LabPort`."""
        found = self._node(node)
        kind = type(operation).__name__.lower()
        cause = self.note("operation", operation.op_id, phase="asked", kind=kind, target=node)
        if not found.alive:
            text = self.home.topology.rulebook.refusal_text("node_down", node=node)
            return Reply(operation.op_id, "refused", "node_down", text)
        self._replies[operation.op_id] = None
        if isinstance(operation, Connect):
            operation = self._directed(found, operation)
        self.roster.act(found, act(msgspec.structs.replace(operation, cause=cause)))
        try:
            return await self._reply(found, operation.op_id)
        finally:
            del self._replies[operation.op_id]

    def _directed(self, caller: LocalNode, connect: Connect) -> Connect:
        """A connection with the address of its other end, and whether the network lets it through."""
        if not connect.node:
            return connect
        target = self._node(connect.node)
        listener = listener_name(self.home.topology.rulebook, connect)
        return msgspec.structs.replace(
            connect,
            address=target.addresses.get(listener, ""),
            reachable=self.roster.network.reaches(caller.name, target.name) and not target.paused,
        )

    async def probe(self, node: str, command: OpenTls) -> TlsOpened:
        """Connect to a node's listener from outside."""
        address = self._node(node).addresses.get(command.listener, "")
        opened = await probe(msgspec.structs.replace(command, address=address))
        await self.settle()
        return opened

    async def _reply(self, node: LocalNode, op_id: str) -> Reply:
        # A node that was started again meanwhile has forgotten the question, however alive it looks.
        life = node.lives

        def over() -> bool:
            return self._replies[op_id] is not None or not node.alive or node.lives != life

        while True:
            ended = await self.wait_until(over, PATIENCE)
            reply = self._replies[op_id]
            if reply is not None:
                return reply
            if ended:
                return Reply(op_id, "indefinite", "node_down", f"{node.name} went down before it answered")
            if node.paused:
                return Reply(op_id, "indefinite", "node_down", f"{node.name} does not answer")

    def _replied(self, reply: Reply) -> None:
        if reply.op_id in self._replies:
            self._replies[reply.op_id] = reply

    # -- time

    async def wait(self, duration: int) -> None:
        """Let lab time pass."""
        await self._time.until(_never, self.now() + duration)
        self._check()

    async def wait_until(self, predicate: Callable[[], bool], within: int) -> bool:
        """Let lab time pass until the predicate holds."""
        met = await self._time.until(predicate, self.now() + within)
        self._check()
        return met

    async def advance(self, duration: int) -> None:
        """Flowing: jump over `duration`, stepping through every timer that is due on the way, then flow on."""
        setting = self.clock.setting
        self._set_clock(stepped=True, speed=setting.speed)
        try:
            await Stepper(self.roster).until(_never, self.now() + duration)
        finally:
            self._set_clock(stepped=setting.stepped, speed=setting.speed)
        self._check()

    def set_speed(self, speed: float) -> None:
        """Flowing: let the lab's time run faster or slower from now on."""
        self._set_clock(stepped=self.clock.stepped, speed=speed)

    def _set_clock(self, *, stepped: bool, speed: float) -> None:
        setting = msgspec.structs.replace(
            self.clock.setting, stepped=stepped, speed=speed, lab=self.now(), machine=machine_ns()
        )
        self.roster.set_clock(setting)
        self._clock_file.save(setting, self.now())

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call `watcher` after every settled round."""
        return self._time.watch(watcher)

    async def close(self) -> None:
        """End the lab; nothing is left behind. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._taking is not None:
                await asyncio.wait([self._taking])
            if self._block is not None:
                self.outside.close()
                if not self.lost:
                    await self.roster.end_all()
        finally:
            self._fork_server.close()
            if self._block is not None:
                self._clock_file.save(self.clock.setting, self.now())
                self._block.release()
            self._journal.close()

    # -- within

    async def settle(self) -> None:
        """Wait until nothing is in flight."""
        await self._time.settle()
        self._check()

    def _check(self) -> None:
        if self.lost:
            raise LabLost
        if self.roster.agenda.error is not None:
            raise self.roster.agenda.error
        for name, text in self.roster.crashes().items():
            raise ProcessCrashed(name, text)

    def note(self, name: str, op_id: str = "", **fields: str | int | bool | None) -> str:
        """Journal what was done from outside; returns the id that what follows has as its cause."""
        self._acts += 1
        record = Record(f"lab.{self._acts}", name, "", op_id, fields)
        self._journal.write(record, self.clock.now())
        return record.id

    def _node(self, name: str) -> LocalNode:
        node = self.roster.nodes.get(name)
        if node is None:
            raise Unusable(f"there is no node {name!r}; there are {', '.join(self.names)}")
        return node

    def _fork_server_lost(self) -> None:
        self.lost = True
        self.roster.changed.set()


def _in_step(statuses: Sequence[NodeStatus | None]) -> bool:
    """Whether the cores, the publisher's first, are installed and converged (`ucmlab.cluster.state.convergence_of`)."""
    publisher = statuses[0]
    return publisher is not None and all(
        status is not None
        and status.installed
        and not status.open_operations
        and (status.epoch, status.seq) == publisher.head
        and (status.digest, status.settings) == (publisher.digest, publisher.settings)
        and (status.files_agree or not status.change_notification)
        and not any(service.state in {"starting", "stopping"} for service in status.services.values())
        for status in statuses
    )


def _never() -> bool:
    return False
