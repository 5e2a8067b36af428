"""The simulated shell: nodes with their disks on one timeline and one broker, around the real cores.

Everything that could differ between two runs of one seed is forbidden here: no wall clock, no unseeded randomness, no
iteration over sets. Three random streams are kept apart (schedule, faults, workload), so that one draw more in one of
them reshuffles nothing in the others.
"""

import random
from collections import deque
from collections.abc import Callable
from typing import Any, Literal, Protocol

import msgspec

from ucmlab.broker.bus import Will
from ucmlab.broker.codec import BusCodec, Memo
from ucmlab.broker.messages import AnyMessage
from ucmlab.broker.signing import KeyedHashSigner, KeyedHashVerifier
from ucmlab.cluster.access_rules import access_list
from ucmlab.cluster.network import Network
from ucmlab.cluster.sim.bus import SimBroker, SimBus
from ucmlab.cluster.sim.disk import SimDisk
from ucmlab.cluster.sim.exchanges import Performer, SimExchanges
from ucmlab.cluster.sim.keyring import KeyCommand, SimKeyRing
from ucmlab.cluster.sim.outside import SimOutside
from ucmlab.cluster.sim.responders import SimResponders
from ucmlab.cluster.sim.timeline import Timeline
from ucmlab.cluster.sim.tls import SimTls
from ucmlab.node import commands as c
from ucmlab.node.config import NodeConfig
from ucmlab.node.core import NodeCore
from ucmlab.node.events import (
    AnyEvent,
    BusConnected,
    BusDisconnected,
    CommandFailed,
    DiskImage,
    DiskSynced,
    FilesRead,
    MessageArrived,
    ReplicationSet,
    ServiceTroubled,
    Started,
    StopRequested,
    TakenOver,
    TimerFired,
)
from ucmlab.node.instant import Instant
from ucmlab.node.releases import config_at
from ucmlab.node.rulebook import RuleBook
from ucmlab.publisher.core import PublisherCore

Life = Literal["down", "up", "paused"]

MakeCore = Callable[[NodeConfig, RuleBook, BusCodec], NodeCore]
Cores = tuple[MakeCore, MakeCore]
"""What makes a node, and what makes a publisher."""
Step = Callable[["SimNode", AnyEvent, list[c.AnyCommand]], None]


class Journaled(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One line of the journal: when (lab microseconds), where, and what."""

    lab: int
    node: str
    record: c.Record


class Hazard(Protocol):
    """A fault that lies in wait among a node's commands."""

    def before(self, command: c.AnyCommand) -> bool:
        """A command is about to be performed: True kills the process first; OSError has the command fail."""
        ...

    def after(self, command: c.AnyCommand) -> bool:
        """A command was performed: True kills the process."""
        ...


class Wire(Protocol):
    """What stands between a node's end of the bus and the broker while its link suffers."""

    def attach(self, bus: SimBus) -> None:
        """A process has come up with an end of its own."""
        ...


class SimNode:
    """One node: its disk lives on, its core and its link live from start to kill; it hears what its link tells."""

    def __init__(self, world: "World", config: NodeConfig, disk: SimDisk) -> None:
        self._world = world
        self.made = config
        """What it was told when the lab was made."""
        self.config = config
        """The same, of the release that it runs."""
        self.name = config.name
        self.disk = disk
        self.ring = SimKeyRing(config)
        self.life: Life = "down"
        self.core: NodeCore | None = None
        self.bus: SimBus | None = None
        self.timers: dict[str, int] = {}
        """Token to a number of its own, so that one set anew does not run out at its old time."""
        self.held: deque[AnyEvent] = deque()
        """Events that wait for a paused process."""
        self.armed: str | None = None
        self.commands_to_live: int | None = None
        """When set, the process dies after that many more commands: a kill in the middle of a list."""
        self.on_fall: list[Callable[[], None]] = []
        """Who wants to know that the process died of one of these two; forgotten when it ends in any way."""
        self.replication_broken = False
        self.hazards: list[Hazard] = []
        """What may go wrong with a command (a full disk, a failpoint); empty while nothing can."""
        self.troubles: dict[str, ServiceTroubled] = {}
        """Faults of services that the next process suffers as well."""
        self.clock_offset = 0
        """How far the wall clock is off, microseconds."""
        self.backups: dict[str, DiskImage] = {}
        """Copies of the disk by what they are called: `installation`, `last-start`."""
        self.wire: Wire | None = None
        """What the link suffers, across reconnects and restarts."""

    def connected(self) -> None:
        """There is a connection."""
        self._world.deliver(self, BusConnected())

    def disconnected(self) -> None:
        """There is none any more."""
        self._world.deliver(self, BusDisconnected())

    def message(self, topic: str, payload: bytes) -> None:
        """A message arrived."""
        if self.life == "up":
            self._world.handle(self, MessageArrived(topic, payload))
        elif self.life == "paused":
            self.held.append(MessageArrived(topic, payload))

    def duplicate(self) -> None:
        """Another node has our name; the process lives on without the bus, as a real one does."""
        self._world.deliver(self, TakenOver())

    def counted(self) -> None:
        """Nobody waits for counters: what is on its way is the broker's to tell."""


class World(Timeline):
    """One cluster in virtual time."""

    def __init__(
        self,
        configs: tuple[NodeConfig, ...],
        images: dict[str, DiskImage],
        *,
        seed: int,
        wall: int,
        latency: tuple[int, int] = (0, 0),
        memo: Memo | None = None,
        cores: Cores = (NodeCore, PublisherCore),
        streams: Callable[[str], random.Random] = random.Random,
    ) -> None:
        """Nobody runs yet.

        Args:
            images: each node's disk; a node that is missing was never installed.
            latency: of each packet, drawn from this range of microseconds.
            memo: messages opened so far, shared by whoever reads the same bytes.
            cores: makes a node and a publisher.
            streams: makes each random stream of its name; another maker may record what is drawn, or say it.
        """
        super().__init__()
        self.wall_start = wall
        self.faults = streams(f"faults {seed}")
        self.seed = seed
        self.rulebook = RuleBook.load(configs[0].release, configs[0].profile)
        self.cluster = configs[0].cluster
        self.nodes = {
            config.name: SimNode(self, config, SimDisk(images.get(config.name, DiskImage(boot=0))))
            for config in configs
        }
        for name, image in images.items():
            self.nodes[name].backups["installation"] = image
        self.network = Network([config.name for config in configs])
        self._memo: Memo = {} if memo is None else memo
        secret = self.cluster.encode()
        self._signers = {name: KeyedHashSigner(name, secret) for name in self.nodes}
        self.verifier = KeyedHashVerifier(self.nodes, secret)
        self._make_node, self._make_publisher = cores
        schedule = streams(f"schedule {seed}")
        self.broker = SimBroker(self, schedule, access_list(self.cluster, tuple(self.nodes)), latency=latency)
        self.exchanges = SimExchanges(self)
        self.tls = SimTls(self)
        self.journal: list[Journaled] = []
        self.on_step: list[Step] = []
        self.on_reply: Callable[[str, c.Reply], None] = lambda node, reply: None
        self.on_death: Callable[[str], None] = lambda node: None
        self.on_start: Callable[[SimNode], None] = lambda node: None
        self._perform: dict[type[c.Command], Callable[[SimNode, Any], None]] = self._performers()
        self.perform_exchanges(c.OpenTls, self.tls.open_tls)
        self.perform_exchanges(c.CloseLink, self.tls.peers.close_link)
        self.responders = SimResponders(self)
        self.outside = SimOutside(self)
        self._acts = self._timers = self._strays = 0
        self._ended: list[NodeCore | SimBus] = []
        """Cores and links of processes that are dead."""
        self._waiting: deque[AnyEvent] = deque()
        """Answers to commands of the event being handled: they come right after its list."""

    # -- nodes

    def start_node(self, name: str) -> None:
        """Start a node that is down."""
        self.start(self.nodes[name])

    def start(self, node: SimNode) -> None:
        """Start the process of a node, or of somebody who has its name and keys."""
        name = node.name
        self.on_start(node)
        image = node.backups["last-start"] = node.disk.load()
        if node.config.release != (image.release or node.made.release):
            self._run_release(node, image.release)
        codec = BusCodec(
            cluster=self.cluster,
            sender=name,
            boot=image.boot,
            signer=self._signers[name],
            verifier=self.verifier,
            memo=self._memo,
        )
        make = self._make_publisher if node.config.is_publisher else self._make_node
        rulebook = self._rulebook_of(node)
        # Folders of units that a release has not are read by nobody, as on a real disk.
        image = image if node.disk.release == "" else _readable(image, rulebook)
        node.core = make(node.config, rulebook, codec)
        node.life = "up"
        will = Will(*node.core.will())
        node.bus = SimBus(self.broker, f"{self.cluster}-{name}", node, will=will, username=name, counting=False)
        node.bus.stall(stalled=not self.network.on_bus(name))
        if node.wire is not None:
            node.wire.attach(node.bus)
        for warning in node.disk.strays():
            self._note_stray(node, warning)
        for trouble in node.troubles.values():
            self.handle(node, trouble)
        self.handle(node, Started(image))
        if node.replication_broken:
            self.deliver(node, ReplicationSet(broken=True))
        if node.bus is not None:
            node.bus.start()

    def _run_release(self, node: SimNode, release: str) -> None:
        node.config = config_at(node.made, release)
        node.ring.run_release(node.config)
        if node.config.is_publisher:
            self.rulebook = self._rulebook_of(node)

    def _rulebook_of(self, node: SimNode) -> RuleBook:
        return RuleBook.load(node.config.release, node.config.profile)

    def _note_stray(self, node: SimNode, text: str) -> None:
        self._strays += 1
        record = c.Record(f"{node.name}.{node.disk.boot}.disk.{self._strays}", "disk_warning", "", "", {"text": text})
        self._record(node, record)

    def stop_node(self, name: str) -> None:
        """Stop a node in order: it says so on the bus and disconnects, so that no will is published."""
        node = self.nodes[name]
        self.handle(node, StopRequested())
        if node.bus is not None:
            node.bus.leave()
        self.end(node)

    def kill_node(self, name: str) -> None:
        """SIGKILL: what was written is kept, what was asked for and not yet performed is gone."""
        self.end(self.nodes[name])

    def cut_power(self, name: str) -> None:
        """A kill that also loses unsynced writes."""
        node = self.nodes[name]
        self.end(node)
        node.disk.cut_power(self.faults)

    def pause_node(self, name: str) -> None:
        """SIGSTOP."""
        node = self.nodes[name]
        node.life = "paused"
        if node.bus is not None:
            node.bus.frozen = True

    def resume_node(self, name: str) -> None:
        """SIGCONT: it sees what came meanwhile, in order, and the timers that ran out."""
        node = self.nodes[name]
        node.life = "up"
        while node.held and node.life == "up":
            self.handle(node, node.held.popleft())
        if node.bus is not None:
            node.bus.frozen = False
            node.bus.prod()

    def end(self, node: SimNode) -> None:
        """End a process without a word."""
        if node.core is not None:
            self._ended.append(node.core)
        node.core = None
        node.life = "down"
        node.armed = node.commands_to_live = None
        node.on_fall.clear()
        node.timers.clear()
        node.held.clear()
        if node.bus is not None:
            bus, node.bus = node.bus, None
            bus.die()
            self._ended.append(bus)
        self.exchanges.forget(node)
        self.tls.peers.forget(node)
        self.on_death(node.name)

    def set_replication(self, name: str, *, broken: bool) -> None:
        """The fault `replication break|repair`."""
        self.nodes[name].replication_broken = broken
        if self.nodes[name].core is not None:
            self.deliver(self.nodes[name], ReplicationSet(broken))

    def reachability_changed(self) -> None:
        """Stall the links of whoever lost the broker, and let the others' go on."""
        for node in self.nodes.values():
            stalled = not self.network.on_bus(node.name)
            if node.bus is not None and node.bus.stalled != stalled:
                node.bus.stall(stalled=stalled)

    # -- handling and performing

    def deliver(self, node: SimNode, event: AnyEvent) -> None:
        """Give an event to a process: at once, or when it is resumed; a dead one gets nothing."""
        if node.life == "up":
            self.handle(node, event)
        elif node.life == "paused":
            node.held.append(event)

    def handle(self, node: SimNode, event: AnyEvent) -> None:
        """Let the core handle an event, and perform what it wants, until nothing is left or the process is dead."""
        waiting = self._waiting
        core = node.core
        while core is not None:
            before = len(waiting)
            wanted = core.handle(event, Instant(self.now, self.wall_start + self.now + node.clock_offset))
            if node.armed is None and node.commands_to_live is None and not node.hazards:
                perform = self._perform
                for command in wanted:
                    perform[type(command)](node, command)
            else:
                self._perform_doomed(node, wanted)
            for watcher in self.on_step:
                watcher(node, event, wanted)
            if not waiting:
                return
            if before:  # what answers this list comes before what was waiting
                waiting.rotate(len(waiting) - before)
            event = waiting.popleft()
            core = node.core
        waiting.clear()

    def _perform_doomed(self, node: SimNode, wanted: list[c.AnyCommand]) -> None:
        """Perform a list that the process may not live to see the end of."""
        for command in wanted:
            if node.commands_to_live is not None:
                if node.commands_to_live == 0:
                    self._fall(node)
                    return
                node.commands_to_live -= 1
            try:
                if any(hazard.before(command) for hazard in node.hazards):
                    self._fall(node)
                    return
                self._perform[type(command)](node, command)
            except OSError as error:
                op_id: str = getattr(command, "op_id", "")
                self._waiting.append(CommandFailed(type(command).__name__, op_id, str(error)))
                if isinstance(command, c.FILE_COMMANDS) and not op_id:
                    continue
                return
            armed = node.armed is not None and type(command).__name__ == node.armed
            if armed or any(hazard.after(command) for hazard in node.hazards):
                self._fall(node)
                return

    def _fall(self, node: SimNode) -> None:
        told = list(node.on_fall)
        self.end(node)
        for tell in told:
            tell()

    def perform_exchanges(self, kind: type[c.Exchange], performer: Performer) -> None:
        """Have exchanges of a kind carried out."""
        self.exchanges.performers[kind] = performer
        self._perform[kind] = self.exchanges.begin

    def watch_performed(self, kind: type[c.Command], check: Callable[[SimNode, Any], None]) -> None:
        """Have `check(node, command)` called after each command of a kind was really performed."""
        perform = self._perform[kind]

        def performed(node: SimNode, command: Any) -> None:
            perform(node, command)
            check(node, command)

        self._perform[kind] = performed

    def _performers(self) -> dict[type[c.Command], Callable[[SimNode, Any], None]]:
        return {
            c.Publish: self._publish,
            c.Subscribe: self._subscribe,
            c.StartTimer: self._start_timer,
            c.CancelTimer: self._cancel_timer,
            c.WriteFile: lambda node, command: node.disk.write_file(command),
            c.RemoveFile: lambda node, command: node.disk.remove_file(command),
            c.SettleFile: lambda node, command: node.disk.settle_file(command),
            c.ApplyEntry: lambda node, command: node.disk.change_database(command),
            c.InstallSnapshot: lambda node, command: node.disk.change_database(command),
            c.RaiseFloor: lambda node, command: node.disk.raise_floor(command),
            c.AppendLog: lambda node, command: node.disk.append_log(command),
            c.RecordAnswer: lambda node, command: node.disk.record_answer(command),
            c.BeginEpoch: lambda node, command: node.disk.begin_epoch(command),
            c.RecordOrder: lambda node, command: node.disk.record_order(command.op_id),
            c.SetEnabled: lambda node, command: node.disk.enabled.__setitem__(command.service, command.enabled),
            c.SetInstalled: lambda node, command: setattr(node.disk, "installed", True),
            c.SetFips: lambda node, command: setattr(node.disk, "fips", command.enabled),
            c.SetRelease: lambda node, command: node.disk.set_release(command),
            c.ReadFiles: self._read_files,
            c.SyncDisk: self._sync,
            c.MakeIdentity: self._key_work,
            c.InstallIdentity: self._key_work,
            c.ReuseIdentity: self._key_work,
            c.MakeAuthz: self._key_work,
            c.MakeCsr: self._key_work,
            c.DropCsr: self._key_work,
            c.SealShared: self._key_work,
            c.OpenShared: self._key_work,
            c.SealKeys: self._key_work,
            c.OpenKeys: self._key_work,
            c.Reply: lambda node, command: self.on_reply(node.name, command),
            c.TakeUp: lambda node, command: None,  # what is presented is asked of the core itself
            c.LayDown: lambda node, command: None,
            c.Admit: self.tls.admit,
            c.GiveUp: lambda node, command: self.exchanges.give_up(node, command.token),
            c.Halt: lambda node, command: self.end(node),
            c.Record: self._record,
        }

    def _publish(self, node: SimNode, command: c.Publish) -> None:
        if node.bus is not None:
            node.bus.publish(command.topic, command.payload, retain=command.retain)

    def _subscribe(self, node: SimNode, command: c.Subscribe) -> None:
        if node.bus is not None:
            node.bus.subscribe(command.filters)

    def _start_timer(self, node: SimNode, command: c.StartTimer) -> None:
        self._timers += 1
        node.timers[command.token] = self._timers
        self.at(self.now + command.delay, self._timer_due, node, command.token, self._timers)

    def _cancel_timer(self, node: SimNode, command: c.CancelTimer) -> None:
        node.timers.pop(command.token, None)

    def _timer_due(self, node: SimNode, token: str, number: int) -> None:
        if node.timers.get(token) == number:
            del node.timers[token]
            self.deliver(node, TimerFired(token))

    def _read_files(self, node: SimNode, command: c.ReadFiles) -> None:
        self._waiting.append(FilesRead(command.token, node.disk.read_files()))

    def _sync(self, node: SimNode, command: c.SyncDisk) -> None:
        node.disk.sync(files=command.files)
        self._waiting.append(DiskSynced(command.token))

    def sealed(self, topic: str) -> list[tuple[bytes, AnyMessage]]:
        """What was ever sealed for a topic: payload and message, the oldest first."""
        return [(payload, opened.message) for (bound, payload), opened in self._memo.items() if bound == topic]

    def renew(self, node: SimNode, unit: str) -> AnyEvent:
        """Have a node's key ring make an identity again; what the node is to be told."""
        return node.ring.perform(c.MakeIdentity(unit), node.disk, wall=self.wall_start + self.now + node.clock_offset)

    def _key_work(self, node: SimNode, command: KeyCommand) -> None:
        wall = self.wall_start + self.now + node.clock_offset
        self._waiting.append(node.ring.perform(command, node.disk, wall=wall))

    def _record(self, node: SimNode, command: c.Record) -> None:
        self.journal.append(Journaled(self.now, node.name, command))

    # -- the end

    def dismantle(self) -> None:
        """Take everything apart; nothing of it may be used again.

        Cores, links and world refer to each other in circles. Whoever makes thousands of worlds should not leave them
        to the collector: their memory is used again at once, while it is still in the processor's caches.
        """
        for node in self.nodes.values():
            for part in (node.core, node.bus, node):
                if part is not None:
                    vars(part).clear()
        for part in self._ended:
            vars(part).clear()
        vars(self.broker).clear()
        vars(self).clear()

    # -- the lab's own acts

    def act(self, name: str, op_id: str = "", **fields: str | int | bool | None) -> str:
        """Journal what was done from outside; returns the id that what follows has as its cause."""
        self._acts += 1
        record = c.Record(f"lab.{self._acts}", name, "", op_id, fields)
        self.journal.append(Journaled(self.now, "lab", record))
        return record.id


def _readable(image: DiskImage, rulebook: RuleBook) -> DiskImage:
    files = tuple(file for file in image.files if file.unit in rulebook.units)
    return msgspec.structs.replace(image, files=files)
