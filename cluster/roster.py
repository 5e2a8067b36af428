"""The processes of one lab: who runs, what each told last, and how to ask them all at once."""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from ucmlab.broker.bus import BusEndpoint
from ucmlab.broker.codec import BusCodec
from ucmlab.broker.signing import Ed25519Signer, Ed25519Verifier
from ucmlab.cluster.agenda import Agenda
from ucmlab.cluster.carriers.members import LocalMosquitto, ObservedBroker, SomebodysBroker
from ucmlab.cluster.carriers.mosquitto import find_mosquitto, write_configuration
from ucmlab.cluster.carriers.observer import Observer
from ucmlab.cluster.chaos_proxy import ChaosProxy, stillness
from ucmlab.cluster.control_messages import (
    BrokerSpec,
    Detour,
    Fire,
    MosquittoSpec,
    NodeSpec,
    Places,
    Prod,
    SetClock,
    SetTime,
    Stall,
)
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.members import LocalBroker, LocalNode, NodeAct, Process
from ucmlab.cluster.network import Network
from ucmlab.cluster.provision import LabHome
from ucmlab.cluster.spawning import ForkServerProcess
from ucmlab.cluster.stepping import BrokerLife, Echoes, Evidence, Member
from ucmlab.node.clock import ClockSetting, LabClock
from ucmlab.node.commands import Reply
from ucmlab.node.status import NodeStatus

PAUSE_POLL_S = 0.0005


class BrokerPlace(msgspec.Struct, frozen=True):
    """Where the lab's broker listens."""

    host: str
    port: int
    tls: bool

    @property
    def url(self) -> str:
        """As MQTT clients write it."""
        return f"{'mqtts' if self.tls else 'mqtt'}://{self.host}:{self.port}"


class Roster:
    """All processes of a lab but the fork server. What `Stepper` steps."""

    def __init__(
        self,
        home: LabHome,
        fork_server: ForkServerProcess,
        *,
        clock: LabClock,
        place: BrokerPlace,
        hosts: Mapping[str, str],
        replied: Callable[[Reply], None],
        published: Callable[[tuple[tuple[str, bytes], ...]], None],
    ) -> None:
        """Everything is down; `hosts` tells at which address each node's services listen."""
        self.clock = clock
        self._hosts = hosts
        self.agenda = Agenda(clock)
        self.felt: Callable[[int], None] = lambda number: None
        """Hears the number of a fault that a node felt."""
        self.starting: Callable[[str], None] = lambda name: None
        """Hears that a node's process is about to be asked for."""
        self.place = place
        self.outside: dict[str, tuple[str, int]] = {}
        """Where the lab's servers outside the cluster are, for whoever is started from now on."""
        self.network = Network(home.topology.names)
        self.changed = asyncio.Event()
        self.acts = 0
        self._home = home
        self._fork_server = fork_server
        self._probes = 0
        self._kept = b""
        """Retained messages for the broker's next life."""
        self._observed: ObservedBroker | None = None
        self.broker_node = self._broker_of_the_lab(published)
        self._endpoints: dict[str, BusEndpoint] = {}
        self.nodes: dict[str, LocalNode] = {}
        self.clones: dict[str, LocalNode] = {}
        """Second processes of nodes, by the name that they took."""
        for name in home.topology.names:
            self._add(name, replied)

    def _add(self, name: str, replied: Callable[[Reply], None]) -> None:
        place = self.place
        endpoint = self._home.endpoint(name, host=place.host, port=place.port, tls=place.tls)
        self._endpoints[name] = endpoint
        self.nodes[name] = LocalNode(
            self._home.node_config(name),
            self._home.node_home(name),
            client_id=endpoint.client_id,
            changed=self.changed.set,
            replied=replied,
            felt=self._felt,
            on_bus=self.network.on_bus,
        )

    def endpoint(self, name: str) -> BusEndpoint:
        """How a node reaches the broker."""
        return self._endpoints[name]

    # What Stepper asks.

    @property
    def broker(self) -> BrokerLife:
        """How the broker is."""
        if not self.broker_node.alive:
            return "down"
        return "paused" if self.broker_node.paused else "up"

    def live(self) -> Iterable[LocalNode]:
        """The nodes that run and are not paused, and their clones."""
        return [node for node in self._with_clones() if node.running]

    def _with_clones(self) -> Iterable[LocalNode]:
        return (*self.nodes.values(), *self.clones.values())

    def gone(self) -> Iterable[str]:
        """Client ids of the nodes that do not run, as far as the broker can know."""
        return [node.client_id for node in self._noticed_dead()]

    def lab(self) -> int:
        """Lab time."""
        return self.clock.lab()

    def announce(self, lab: int) -> None:
        """Stepped: tell all live nodes what time it is."""
        self.clock.advance(lab)
        for node in self.live():
            node.tell(SetTime(lab))

    def fire(self, member: Member) -> None:
        """Stepped: let a node's due timers fire."""
        node = next(node for node in self.live() if node is member)
        node.act(Fire())

    def next_due(self) -> int | None:
        """When the lab itself has something to do."""
        return self.agenda.next_due()

    async def run_due(self) -> bool:
        """Do what is due by now."""
        return await self.agenda.run_due()

    def stillness(self) -> object:
        """Something that is the same as long as nothing moves on links that suffer; None while something does."""
        return stillness(node.link for node in self.nodes.values() if node.link is not None)

    async def probe(self) -> Evidence:
        """Ask every live node for its pulse, and the broker for its counts or everybody for an echo."""
        self._probes += 1
        number = self._probes
        broker_asked = self.broker == "up"
        echoes = broker_asked and self._observed is not None
        noticed = self._observed is None or self._observed.noticed(self._dead())
        asked = [*self.live(), *([self.broker_node] if broker_asked else [])]
        for member in asked:
            await member.spawned()  # it may be heard before the fork server has told its process id
            if isinstance(member, LocalNode):
                # A link that is only slow agrees in its counts; but an echo would wait there for lab time to go on.
                mute = member.suffers or (echoes and member.troubled)
                member.probe(number, echo=echoes and member.on_bus and not mute, written=mute)
            else:
                member.probe(number)
        while any(member.answered < number and member.alive and not member.paused for member in asked):
            self.changed.clear()
            await self.changed.wait()
        if echoes:
            return Echoes(noticed)
        return self.broker_node.counts if broker_asked and self.broker == "up" else None

    # Processes.

    def start_broker(self) -> None:
        """Start the broker, which must be down."""
        self.acts += 1
        if isinstance(self.broker_node, SomebodysBroker):
            self.broker_node.attach()
            return
        if isinstance(self.broker_node, LocalMosquitto):
            self.broker_node.begin(*self._fork_server.spawn(self._mosquitto(), self.broker_node.ended))
            return
        place = self.place
        tls = str(self._home.broker_certificate([place.host])) if place.tls else None
        kept, self._kept = self._kept, b""
        accounts = self._home.accounts()
        spec = BrokerSpec(self._home.lab.name, place.host, place.port, accounts, tls, awaits_retained=bool(kept))
        self.broker_node.begin(*self._fork_server.spawn(spec, self.broker_node.ended))
        if kept:
            self.broker_node.take_retained(kept)
        if any(node.refused or node.will_is_late for node in self.nodes.values()):
            self.obey_faults()
        self._tell_broker_who_is_cut_off()

    def start_clone(self, name: str, home: Path) -> None:
        """Start a second process with a node's name, keys and place on the bus, in a home of its own."""
        self.acts += 1
        node = self.nodes[name]
        clone = LocalNode(
            node.config,
            home,
            client_id=node.client_id,
            changed=self.changed.set,
            replied=lambda reply: None,
            felt=lambda number: None,
            on_bus=lambda _clone: self.network.on_bus(name),
        )
        clone.name = f"the clone of {name}"
        self.clones[name] = clone
        logs = self._home.logs / "clones"
        logs.mkdir(mode=0o700, exist_ok=True)
        spec = msgspec.structs.replace(self._spec(node), home=str(home), logs=str(logs), troubles=(), suffers=())
        clone.begin(*self._fork_server.spawn(spec, clone.ended))

    def _spec(self, node: LocalNode) -> NodeSpec:
        return NodeSpec(
            lab=self._home.lab.name,
            config=node.config,
            home=str(node.home),
            logs=str(self._home.logs),
            endpoint=self._endpoints[node.config.name],
            host=self._hosts[node.config.name],
            ports=self._home.ports,
            admins=self._home.admins(),
            clock=self._setting_for(node),
            stalled=node.stalled,
            replication_broken=node.replication_broken,
            troubles=tuple(node.troubles.values()),
            suffers=tuple(node.faults.values()),
            detour=None if node.link is None else Detour(*node.link.address),
            outside=self.outside,
        )

    async def keep_retained(self) -> None:
        """Have the next broker begin with what this one retains, as one does that keeps it on a disk.

        Raises:
            Unusable: this lab's broker tells nobody.
        """
        broker = self.embedded("keep its retained messages")
        broker.ask_retained()
        while broker.alive and not broker.retained:
            self.changed.clear()
            await self.changed.wait()
        self._kept = broker.retained

    def start_node(self, name: str) -> None:
        """Start a node, which must be down."""
        self.acts += 1
        node = self.nodes[name]
        self.starting(name)
        self._home.reread()
        node.config = self._home.node_config(name)
        node.stalled = not node.on_bus
        node.begin(*self._fork_server.spawn(self._spec(node), node.ended))

    def embedded(self, what: str) -> LocalBroker:
        """The broker, if it is ours and does what no other is asked to do.

        Raises:
            Unusable: it is another.
        """
        if isinstance(self.broker_node, ObservedBroker):
            raise Unusable(f"only the embedded broker can be made to {what}; this lab's is another")
        return self.broker_node

    def obey_faults(self) -> None:
        """Tell the embedded broker whom it refuses, and whose wills it keeps back."""
        if not isinstance(self.broker_node, ObservedBroker):
            self.acts += 1
            self.broker_node.refuse(node.name for node in self.nodes.values() if node.refused)
            self.broker_node.hold_wills(node.client_id for node in self.nodes.values() if node.will_is_late)

    async def detour(self, node: LocalNode) -> ChaosProxy:
        """Have a node reach the broker through a chaos proxy of its own; it connects anew if it did not before.

        Raises:
            Unusable: there is no place for it to listen.
        """
        if node.link is None:
            place = self.place
            link = ChaosProxy(self.agenda, (place.host, place.port))
            try:
                # Where the broker is, if that is here: nodes go on speaking to the same address.
                await link.open(place.host if place.host.startswith("127.") else "127.0.0.1")
            except OSError as error:
                raise Unusable(f"no chaos proxy for {node.name}: {error.strerror or error}") from error
            node.link = link
            self.act(node, Detour(*link.address))
        return node.link

    def act(self, node: LocalNode, message: NodeAct) -> None:
        """Do something to a node; to one that is down, nothing."""
        self.acts += 1
        node.act(message)

    async def stop(self, node: LocalNode, message: NodeAct, patience_s: float) -> None:
        """Have a node end itself; after `patience_s` of machine time it is killed."""
        self.act(node, message)
        try:
            async with asyncio.timeout(patience_s):
                await node.gone()
        except TimeoutError:
            await self.kill(node)

    async def stop_broker(self, patience_s: float) -> None:
        """Have the broker end itself; after `patience_s` of machine time it is killed."""
        self.acts += 1
        self.broker_node.stop()
        try:
            async with asyncio.timeout(patience_s):
                await self.broker_node.gone()
        except TimeoutError:
            await self.kill(self.broker_node)

    async def kill(self, member: Process) -> None:
        """SIGKILL; returns when it has been reaped."""
        self.acts += 1
        await member.spawned()
        member.kill()
        await member.gone()

    async def pause(self, member: Process) -> None:
        """SIGSTOP; returns when it stands."""
        self.acts += 1
        await member.spawned()
        if isinstance(member, LocalNode):
            member.read_status()  # what it can still tell is what `view` shows while it is frozen
        member.pause()
        while not member.stands:  # noqa: ASYNC110  only the kernel knows, and it tells nobody but the parent
            await asyncio.sleep(PAUSE_POLL_S)

    def resume(self, node: LocalNode) -> None:
        """Let a paused node go on. It is told the time before it can read anything else (design 6)."""
        self.acts += 1
        node.tell(SetClock(self._setting_for(node)))
        node.resume()

    def obey_network(self) -> None:
        """Stall the links that the network has cut, and let the others go on."""
        self.acts += 1
        self._tell_broker_who_is_cut_off()
        for node in self.nodes.values():
            if node.alive and node.stalled == node.on_bus:
                node.stalled = not node.on_bus
                node.act(Stall(node.stalled))

    def set_clock(self, setting: ClockSetting) -> None:
        """Run the lab's time like this, everywhere."""
        self.clock.set(setting)
        self.agenda.wind()
        for node in self._with_clones():
            node.tell(SetClock(self._setting_for(node)))

    def set_offset(self, node: LocalNode, offset: int) -> None:
        """Let one node's wall clock be wrong."""
        self.acts += 1
        node.clock_offset = offset
        node.tell(SetClock(self._setting_for(node)))

    def place_outside(self, name: str, address: tuple[str, int]) -> None:
        """A server outside the cluster is there: all nodes find it by its name."""
        self.outside[name] = address
        for node in self._with_clones():
            node.tell(Places({name: address}))

    async def end_all(self) -> None:
        """Kill every process, and wait until they are gone."""
        self.agenda.clear()
        for node in self.nodes.values():
            if node.link is not None:
                node.link.close()
        members = [*self._with_clones(), self.broker_node]
        if isinstance(self.broker_node, LocalMosquitto):
            self.broker_node.stop()  # so that its end is none by itself
            await self.broker_node.let_go()
        for member in members:
            await member.spawned()
            member.kill()
        for member in members:
            await member.gone()
        if isinstance(self.broker_node, SomebodysBroker):
            await self.broker_node.let_go()  # after the wills of its members, which are retained as well

    def statuses(self) -> list[NodeStatus | None]:
        """How every core is now, the publisher first: asked at the same time, then read."""
        for node in self.nodes.values():
            node.ask_status()
        return [node.read_status() for node in self.nodes.values()]

    def crashes(self) -> dict[str, str]:
        """Tracebacks of processes that a bug of ours ended."""
        return {member.name: member.crash for member in (*self._with_clones(), self.broker_node) if member.crash}

    def _setting_for(self, node: LocalNode) -> ClockSetting:
        setting = self.clock.setting
        lab = self.clock.lab() if setting.stepped else setting.lab
        return msgspec.structs.replace(setting, lab=lab, offset=node.clock_offset)

    def _felt(self, number: int) -> None:
        self.felt(number)

    def _dead(self) -> list[str]:
        return [node.name for node in self._noticed_dead()]

    def _noticed_dead(self) -> Iterable[LocalNode]:
        """Nodes that are down, as far as the broker can know by now: a clone keeps its node's place."""
        placed = {name for name, clone in self.clones.items() if clone.alive}
        return [
            node for name, node in self.nodes.items() if not node.alive and _noticeable(node) and name not in placed
        ]

    def _broker_of_the_lab(self, published: Callable[[tuple[tuple[str, bytes], ...]], None]) -> LocalBroker:
        changed, listening = self.changed.set, self._broker_listens
        kind = self._home.carrier.kind
        if kind == "embedded":
            return LocalBroker(changed=changed, listening=listening, published=published)
        log = self._home.logs / "broker.log"
        self._observed = broker = (
            LocalMosquitto(log=log, changed=changed, listening=listening, published=published)
            if kind == "mosquitto"
            else SomebodysBroker(changed=changed, listening=listening, published=published)
        )
        broker.observe(self._observer(broker, published))
        return broker

    def _observer(self, broker: ObservedBroker, published: Callable[[tuple[tuple[str, bytes], ...]], None]) -> Observer:
        home, place = self._home, self.place
        config = home.node_config(home.topology.publisher)
        # It seals nothing: the signer is there because a codec has one.
        codec = BusCodec(
            cluster=config.cluster,
            sender="observer",
            boot=0,
            signer=Ed25519Signer(secrets.token_bytes(32)),
            verifier=Ed25519Verifier({member.name: member.signing for member in config.members}),
        )
        client_id = f"observer-{secrets.token_hex(4)}"
        return Observer(
            home.observer_endpoint(client_id, host=place.host, port=place.port, tls=place.tls),
            cluster=config.cluster,
            codec=codec,
            connected=broker.observer_connected,
            published=published,
        )

    def _mosquitto(self) -> MosquittoSpec:
        home, place = self._home, self.place
        configuration = write_configuration(
            home.path / "bus" / "mosquitto",
            host=place.host,
            port=place.port,
            certificate=home.broker_certificate([place.host]),
            passwords=home.passwords(),
            rules={account.username: account.rules for account in home.accounts()},
        )
        return MosquittoSpec(home.lab.name, find_mosquitto(), str(configuration), str(home.logs / "broker.log"))

    def _tell_broker_who_is_cut_off(self) -> None:
        self.broker_node.cut(tuple(node.client_id for node in self.nodes.values() if not node.on_bus))

    def _broker_listens(self) -> None:
        for node in self.nodes.values():
            if node.alive:
                node.act(Prod())


def _noticeable(node: LocalNode) -> bool:
    """Whether the broker can know by now that a node is gone."""
    return node.on_bus and not node.suffers
