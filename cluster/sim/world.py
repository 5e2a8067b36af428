"""The simulated shell: one event heap, a virtual clock, links to one broker, disks; around the real cores.

Everything that could differ between two runs of one seed is forbidden here: no wall clock, no unseeded randomness, no
iteration over sets. Three random streams are kept apart (schedule, faults, workload), so that one draw more in one of
them reshuffles nothing in the others.

Two things are cheaper than on a real wire, and change nothing that a node could notice: packets travel as objects (the
codec has its own suite), and a PUBACK takes no time of its own.
"""

import random
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, Literal

import msgspec

from ucmlab.broker.access import Action, ClientIdentity
from ucmlab.broker.codec import BusCodec, Memo
from ucmlab.broker.core import BrokerCore
from ucmlab.broker.events import CloseConnection, ConnectionLost, ConnectionOpened, PacketReceived, SendPacket
from ucmlab.broker.packets import ConnAck, Connect, Disconnect, PubAck, Publish, Subscribe, Subscription, Will
from ucmlab.broker.signing import KeyedHashSigner, KeyedHashVerifier
from ucmlab.cluster.access_rules import access_list
from ucmlab.cluster.network import Network
from ucmlab.cluster.sim.disk import SimDisk
from ucmlab.cluster.sim.keyring import SimKeyRing
from ucmlab.node import commands as c
from ucmlab.node.config import NodeConfig
from ucmlab.node.core import NodeCore
from ucmlab.node.events import (
    AnyEvent,
    BusConnected,
    BusDisconnected,
    DiskImage,
    DiskSynced,
    FilesRead,
    MessageArrived,
    ReplicationSet,
    Started,
    StopRequested,
    TimerFired,
)
from ucmlab.node.instant import MILLISECOND, Instant
from ucmlab.node.rulebook import RuleBook
from ucmlab.publisher.core import PublisherCore

Life = Literal["down", "up", "paused"]
RECONNECT_WITHIN = 50 * MILLISECOND

MakeCore = Callable[[NodeConfig, RuleBook, BusCodec], NodeCore]
Step = Callable[["SimNode", AnyEvent, list[c.AnyCommand]], None]


class Journaled(msgspec.Struct, frozen=True, array_like=True):
    """One line of the journal: when (lab microseconds), where, and what."""

    lab: int
    node: str
    record: c.Record


class Link:
    """A node's connection to the broker: first in, first out in both directions; `open` while neither end is gone."""

    def __init__(self, number: int, node: "SimNode") -> None:
        self.number = number
        self.node = node
        self.open = True
        self.last_up = 0
        self.last_down = 0
        self.stalled: list[tuple[Callable[..., None], tuple[object, ...]]] = []


class SimNode:
    """One node: its disk lives on, its core lives from start to kill."""

    def __init__(self, config: NodeConfig, disk: SimDisk) -> None:
        self.config = config
        self.name = config.name
        self.disk = disk
        self.ring = SimKeyRing(config)
        self.life: Life = "down"
        self.core: NodeCore | None = None
        self.link: Link | None = None
        self.wants_connection = False
        self.timers: dict[str, tuple[int, int]] = {}
        self.held: deque[AnyEvent] = deque()
        """Events that wait for a paused process."""
        self.armed: str | None = None
        self.commands_to_live: int | None = None
        """When set, the process dies after that many more commands: a kill in the middle of a list."""


class World:
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
        cores: tuple[MakeCore, MakeCore] = (NodeCore, PublisherCore),
    ) -> None:
        """Nobody runs yet.

        Args:
            images: each node's disk; a node that is missing was never installed.
            latency: of each packet, drawn from this range of microseconds.
            memo: messages opened so far, shared by whoever reads the same bytes.
            cores: makes a node and a publisher.
        """
        self.now = 0
        self.wall_start = wall
        self.schedule = random.Random(f"schedule {seed}")  # noqa: S311  # a simulation's, not a secret's
        self.faults = random.Random(f"faults {seed}")  # noqa: S311
        self.seed = seed
        self._latency = latency
        self.rulebook = RuleBook.load(configs[0].release, configs[0].profile)
        self.cluster = configs[0].cluster
        self.nodes = {
            config.name: SimNode(config, SimDisk(images.get(config.name, DiskImage(boot=0)))) for config in configs
        }
        self.network = Network([config.name for config in configs])
        self._cut: frozenset[str] = frozenset()
        """Nodes that do not reach the broker: the network's matrix, looked up for every packet."""
        self._memo: Memo = {} if memo is None else memo
        secret = self.cluster.encode()
        self._signers = {name: KeyedHashSigner(name, secret) for name in self.nodes}
        self._verifier = KeyedHashVerifier(self.nodes, secret)
        self._make_node, self._make_publisher = cores
        self._heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._counter = 0
        self.in_flight = 0
        self.broker: BrokerCore | None = None
        self._links: dict[int, Link] = {}
        self._link_count = 0
        self.journal: list[Journaled] = []
        self.published: list[tuple[str, bytes]] | None = None
        self.on_step: list[Step] = []
        self.on_reply: Callable[[str, c.Reply], None] = lambda node, reply: None
        self.on_death: Callable[[str], None] = lambda node: None
        self.events_handled = 0
        self._perform: dict[type[c.Command], Callable[[SimNode, Any], None]] = self._performers()
        self._acts = 0
        self._waiting: deque[AnyEvent] = deque()
        """Answers to commands of the event being handled: they come right after its list."""

    # -- the heap

    def at(self, due: int, action: Callable[..., None], *arguments: object) -> None:
        """Do something at a lab instant; equal instants keep their order."""
        self._counter += 1
        heappush(self._heap, (due, self._counter, action, arguments))

    def next_due(self) -> int | None:
        """When the next thing happens; None when nothing ever will."""
        return self._heap[0][0] if self._heap else None

    def step(self) -> None:
        """Let the next thing happen."""
        due, _, action, arguments = heappop(self._heap)
        self.now = max(self.now, due)
        self.events_handled += 1
        action(*arguments)

    def run_until(self, instant: int) -> None:
        """Let everything happen up to and including a lab instant."""
        heap = self._heap
        while heap and heap[0][0] <= instant:
            due, _, action, arguments = heappop(heap)
            self.now = max(self.now, due)
            self.events_handled += 1
            action(*arguments)
        self.now = max(self.now, instant)

    # -- nodes

    def start_node(self, name: str) -> None:
        """Start a node that is down."""
        node = self.nodes[name]
        image = node.disk.load()
        codec = BusCodec(
            cluster=self.cluster,
            sender=name,
            boot=image.boot,
            signer=self._signers[name],
            verifier=self._verifier,
            memo=self._memo,
        )
        make = self._make_publisher if node.config.is_publisher else self._make_node
        node.core = make(node.config, self.rulebook, codec)
        node.life = "up"
        node.wants_connection = True
        self.handle(node, Started(image))
        if node.life == "up":
            self._connect_soon(node)

    def stop_node(self, name: str) -> None:
        """Stop a node in order: it says so on the bus and disconnects, so that no will is published."""
        node = self.nodes[name]
        self.handle(node, StopRequested())
        if node.link is not None:
            self._send_up(node.link, Disconnect())
        self._end(node)

    def kill_node(self, name: str) -> None:
        """SIGKILL: what was written is kept, what was asked for and not yet performed is gone."""
        self._end(self.nodes[name])

    def cut_power(self, name: str) -> None:
        """A kill that also loses unsynced writes."""
        node = self.nodes[name]
        self._end(node)
        node.disk.cut_power(self.faults)

    def pause_node(self, name: str) -> None:
        """SIGSTOP."""
        self.nodes[name].life = "paused"

    def resume_node(self, name: str) -> None:
        """SIGCONT: it sees what came meanwhile, in order, and the timers that ran out."""
        node = self.nodes[name]
        node.life = "up"
        while node.held and node.life == "up":
            self.handle(node, node.held.popleft())
        if node.wants_connection and node.link is None and node.life == "up":
            self._connect_soon(node)

    def _end(self, node: SimNode) -> None:
        node.core = None
        node.life = "down"
        node.wants_connection = False
        node.armed = node.commands_to_live = None
        node.timers.clear()
        node.held.clear()
        if node.link is not None:
            link, node.link = node.link, None
            self._up(link, self._link_lost, link)
        self.on_death(node.name)

    def set_replication(self, name: str, *, broken: bool) -> None:
        """The fault `replication break|repair`."""
        if self.nodes[name].core is not None:
            self.deliver(self.nodes[name], ReplicationSet(broken))

    # -- broker and network

    def start_broker(self) -> None:
        """Start the broker, empty."""
        accounts = self._access()
        # The simulation's network lets only members speak; names and passwords are the real broker's affair and tested
        # there. What a member may say where is part of the rules, so the access list applies here too.
        self.broker = BrokerCore(lambda client_id, username, password: True, accounts)
        for node in self.nodes.values():
            if node.wants_connection and node.life == "up":
                self._connect_soon(node)

    def _access(self) -> Callable[[ClientIdentity, Action, str], bool]:
        return access_list(self.cluster, tuple(self.nodes))

    def kill_broker(self) -> None:
        """Every connection is reset; what the broker held in memory is gone."""
        self.broker = None
        for link in list(self._links.values()):
            self._down(link, self._link_reset, link)
        self._links.clear()

    def reachability_changed(self) -> None:
        """Whoever can talk again does: what was stalled goes on, who hung in a connection attempt tries anew."""
        self._cut = frozenset(name for name in self.nodes if not self.network.on_bus(name))
        for node in self.nodes.values():
            if node.name in self._cut:
                continue
            if node.link is not None:
                self._release(node.link)
            elif node.wants_connection and node.life == "up":
                self._connect_soon(node)
        for link in list(self._links.values()):
            if link.stalled and link.node.name not in self._cut:
                self._release(link)

    def _release(self, link: Link) -> None:
        stalled, link.stalled = link.stalled, []
        for action, arguments in stalled:
            if action in (self._node_gets, self._link_reset):
                self._down(link, action, *arguments)
            else:
                self._up(link, action, *arguments)

    def _connect_soon(self, node: SimNode) -> None:
        delay = self.schedule.randint(0, RECONNECT_WITHIN) if self._latency[1] else 0
        self.in_flight += 1
        self.at(self.now + delay, self._connect, node, node.core)

    def _connect(self, node: SimNode, core: NodeCore | None) -> None:
        self.in_flight -= 1
        if node.core is not core or core is None or node.link is not None or node.life != "up":
            return
        if self.broker is None or node.name in self._cut:
            return
        self._link_count += 1
        link = node.link = Link(self._link_count, node)
        self._links[link.number] = link
        self._broker_handles(ConnectionOpened(link.number))
        topic, payload = core.will()
        will = Will(topic, payload, qos=1, retain=True)
        self._send_up(link, Connect(f"{self.cluster}-{node.name}", username=node.name, will=will))

    # Both directions are first in, first out, and stand still while the link is cut.

    def _up(self, link: Link, action: Callable[..., None], *arguments: object) -> None:
        if link.node.name in self._cut:
            link.stalled.append((action, arguments))
            return
        link.last_up = max(link.last_up, self.now + self._delay())
        self.in_flight += 1
        self.at(link.last_up, self._arrive, action, arguments)

    def _down(self, link: Link, action: Callable[..., None], *arguments: object) -> None:
        if link.node.name in self._cut:
            link.stalled.append((action, arguments))
            return
        link.last_down = max(link.last_down, self.now + self._delay())
        self.in_flight += 1
        self.at(link.last_down, self._arrive, action, arguments)

    def _arrive(self, action: Callable[..., None], arguments: tuple[object, ...]) -> None:
        self.in_flight -= 1
        action(*arguments)

    def _delay(self) -> int:
        low, high = self._latency
        return low + int(self.schedule.random() * (high - low)) if high else 0

    def _send_up(self, link: Link, packet: object) -> None:
        self._up(link, self._broker_gets, link, packet)

    def _broker_gets(self, link: Link, packet: Any) -> None:
        if link.open and self.broker is not None and link.number in self._links:
            if self.published is not None and type(packet) is Publish:
                self.published.append((packet.topic, packet.payload))
            self._broker_handles(PacketReceived(link.number, packet))

    def _link_lost(self, link: Link) -> None:
        """The node's end is gone; the broker publishes its will unless it said goodbye."""
        if link.open and self.broker is not None and link.number in self._links:
            link.open = False
            del self._links[link.number]
            self._broker_handles(ConnectionLost(link.number))

    def _link_reset(self, link: Link) -> None:
        """The broker's end is gone."""
        link.open = False
        node = link.node
        if node.link is link:
            node.link = None
            self.deliver(node, BusDisconnected())
            if node.life == "up" and node.wants_connection:
                self._connect_soon(node)

    def _broker_handles(self, event: Any) -> None:
        assert self.broker is not None  # noqa: S101  # callers look first
        for command in self.broker.handle(event, self.now):
            if type(command) is SendPacket:
                link = self._links.get(command.conn)
                if link is not None and type(command.packet) is not PubAck:
                    self._down(link, self._node_gets, link, command.packet)
            elif type(command) is CloseConnection:
                closed = self._links.pop(command.conn, None)
                if closed is not None:
                    self._down(closed, self._link_reset, closed)

    def _node_gets(self, link: Link, packet: Any) -> None:
        node = link.node
        if node.link is not link:
            return
        if type(packet) is Publish:
            if packet.qos and link.number in self._links and self.broker is not None:
                self._broker_handles(PacketReceived(link.number, PubAck(packet.packet_id)))
            self.deliver(node, MessageArrived(packet.topic, packet.payload))
        elif type(packet) is ConnAck:
            self.deliver(node, BusConnected())

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
            wanted = core.handle(event, Instant(self.now, self.wall_start + self.now))
            if node.armed is None and node.commands_to_live is None:
                perform = self._perform
                for command in wanted:
                    perform[type(command)](node, command)
            else:
                self._perform_doomed(node, wanted)
            for watcher in self.on_step:
                watcher(node, event, wanted)
            if not waiting:
                return
            event = waiting.popleft()
            core = node.core
        waiting.clear()

    def _perform_doomed(self, node: SimNode, wanted: list[c.AnyCommand]) -> None:
        """Perform a list that the process may not live to see the end of."""
        for command in wanted:
            if node.commands_to_live is not None:
                if node.commands_to_live == 0:
                    self.kill_node(node.name)
                    return
                node.commands_to_live -= 1
            self._perform[type(command)](node, command)
            if node.armed is not None and type(command).__name__ == node.armed:
                self.kill_node(node.name)
                return

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
            c.ReadFiles: self._read_files,
            c.SyncDisk: self._sync,
            c.MakeIdentity: self._key_work,
            c.MakeAuthz: self._key_work,
            c.SealKeys: self._key_work,
            c.OpenKeys: self._key_work,
            c.Reply: lambda node, command: self.on_reply(node.name, command),
            c.Halt: lambda node, command: self.kill_node(node.name),
            c.Record: self._record,
        }

    def _publish(self, node: SimNode, command: c.Publish) -> None:
        if node.link is not None:
            packet = Publish(command.topic, command.payload, 1, command.retain, packet_id=1)
            self._send_up(node.link, packet)

    def _subscribe(self, node: SimNode, command: c.Subscribe) -> None:
        if node.link is not None:
            self._send_up(node.link, Subscribe(1, tuple(Subscription(each, 1) for each in command.filters)))

    def _start_timer(self, node: SimNode, command: c.StartTimer) -> None:
        due = self.now + command.delay
        self._counter += 1
        node.timers[command.token] = (due, self._counter)
        heappush(self._heap, (due, self._counter, self._timer_due, (node, command.token, self._counter)))

    def _cancel_timer(self, node: SimNode, command: c.CancelTimer) -> None:
        node.timers.pop(command.token, None)

    def _timer_due(self, node: SimNode, token: str, number: int) -> None:
        timer = node.timers.get(token)
        if timer is not None and timer[1] == number:
            del node.timers[token]
            self.deliver(node, TimerFired(token))

    def _read_files(self, node: SimNode, command: c.ReadFiles) -> None:
        self._waiting.append(FilesRead(command.token, tuple(node.disk.files.values())))

    def _sync(self, node: SimNode, command: c.SyncDisk) -> None:
        node.disk.sync(files=command.files)
        self._waiting.append(DiskSynced(command.token))

    def _key_work(self, node: SimNode, command: c.MakeIdentity | c.MakeAuthz | c.SealKeys | c.OpenKeys) -> None:
        self._waiting.append(node.ring.perform(command, node.disk, wall=self.wall_start + self.now))

    def _record(self, node: SimNode, command: c.Record) -> None:
        self.journal.append(Journaled(self.now, node.name, command))

    # -- the lab's own acts

    def act(self, name: str, op_id: str = "", **fields: str | int | bool | None) -> str:
        """Journal what was done from outside; returns the id that what follows has as its cause."""
        self._acts += 1
        record = c.Record(f"lab.{self._acts}", name, "", op_id, fields)
        self.journal.append(Journaled(self.now, "lab", record))
        return record.id
