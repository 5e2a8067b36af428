"""The bus contract under any history: proper clients, lost connections and lost packets, and what must hold after all.

`test_core_model` predicts each packet of short histories. Here nothing is predicted: clients keep their side of MQTT's
delivery protocols, connections break with packets under way in both directions, and at the end everybody comes back.
Then every message has a history that can be judged.
"""

from collections import Counter, deque
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace

from tests.unit.broker.playbook import SECOND, Playbook, lasting
from ucmlab.broker.events import ConnectionPaused, ConnectionResumed
from ucmlab.broker.packets import (
    V5,
    V311,
    ConnAck,
    Connect,
    Packet,
    PubAck,
    PubComp,
    Publish,
    PublishProperties,
    PubRec,
    PubRel,
    SubAck,
    Subscribe,
    Subscription,
)

pytestmark = pytest.mark.slow

WINDOW = 3
TOPICS = ("t/a", "t/b")
READERS = {"r2": "t/#", "r1": "t/#", "g1": "$share/g/t/#", "g2": "$share/g/t/#"}
QUALITY = {"r2": 2, "r1": 1, "g1": 2, "g2": 2}
WRITERS = ("w1", "w2")
readers = st.sampled_from(["r2", "r2", *READERS])
few = st.sampled_from([1, 1, 2, 3])
qualities = st.lists(st.sampled_from([0, 1, 2, 2]), min_size=1, max_size=4)
versions = st.sampled_from([V311, V5])


@dataclass
class Peer:
    """A client that keeps the protocols: what it remembers over its connections, and what is under way to it."""

    name: str
    conn: int | None = None
    version: int = V311
    inbox: deque[Packet] = field(default_factory=deque)
    begun: set[int] = field(default_factory=set)
    """Messages at QoS 2 that it has and that are not released."""
    got: list[Publish] = field(default_factory=list)
    since: int = 0
    """How many messages the broker had taken when this subscription began."""
    open: dict[int, Publish | PubRel] = field(default_factory=dict)
    """What it sent and what was not answered for good."""
    last_id: int = 0


@dataclass
class Taken:
    """A message that reached the broker."""

    topic: str
    payload: bytes
    qos: int
    expires: int | None


class BusContract(RuleBasedStateMachine):
    """Every message has a payload of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.play = Playbook()
        self.peers = {name: Peer(name) for name in (*READERS, *WRITERS)}
        self.taken: list[Taken] = []
        self.first: dict[bytes, int] = {}
        self.retained: dict[str, Taken] = {}
        self.count = 0

    @initialize(data=st.data())
    def everybody_is_there(self, data: st.DataObject) -> None:
        for name in self.peers:
            self.connect(name, data.draw(versions))

    # --- what happens ---

    @rule(name=readers | st.sampled_from(WRITERS), version=versions)
    def connect(self, name: str, version: int) -> None:
        """The client connects, for the first time, again, or in place of itself."""
        peer = self.peers[name]
        present = self.open(peer, lasting(name, version, receive_maximum=WINDOW if version == V5 else None))
        if name in READERS and not present:
            self.subscribe(peer)
        for packet in list(peer.open.values()):
            self.send(peer, replace(packet, dup=True) if isinstance(packet, Publish) else packet)

    @rule(name=st.sampled_from(["r1", "r2"]), version=versions)
    def start_anew(self, name: str, version: int) -> None:
        """A reader leaves its session behind, and all that waits in it."""
        peer = self.peers[name]
        self.open(peer, Connect(name, version))
        peer.begun, peer.got = set(), []
        self.subscribe(peer)
        self.connect(name, version)  # so that this session lasts as well

    @rule(name=readers | st.sampled_from(WRITERS))
    def drop(self, name: str) -> None:
        """The connection is lost with what was under way to the client."""
        peer = self.peers[name]
        if peer.conn is not None:
            self.play.lose(peer.conn)
            peer.conn = None
            peer.inbox.clear()

    @rule(
        name=st.sampled_from(WRITERS), topic=st.sampled_from(TOPICS), qualities=qualities, retain=st.booleans(),
        expiry=st.sampled_from([None, None, 1, 3]), arrive=st.integers(0, 9),
    )  # fmt: skip
    def publish(
        self,
        name: str,
        topic: str,
        qualities: list[int],
        retain: bool,  # noqa: FBT001  drawn by Hypothesis
        expiry: int | None,
        arrive: int,
    ) -> None:
        """A writer sends a burst; if not all of it arrives, its connection is lost."""
        peer = self.peers[name]
        if peer.conn is None:
            self.connect(name, peer.version)
        for place, qos in enumerate(qualities):
            self.count += 1
            peer.last_id += 1
            properties = PublishProperties(message_expiry_interval=expiry) if expiry and peer.version == V5 else None
            packet_id = peer.last_id if qos else 0
            packet = Publish(topic, b"%d" % self.count, qos, retain, packet_id=packet_id, properties=properties)
            if qos:
                peer.open[packet_id] = packet
            if place < arrive:
                self.send(peer, packet)
        if arrive < len(qualities):
            self.drop(name)

    @rule(name=readers | st.sampled_from(WRITERS), count=few)
    def read(self, name: str, count: int) -> None:
        """The client takes some of what is there for it, and answers."""
        peer = self.peers[name]
        for _ in range(count):
            if peer.inbox:
                self.take(peer, peer.inbox.popleft())

    @rule(name=readers, stuck=st.booleans())
    def stall(self, name: str, stuck: bool) -> None:  # noqa: FBT001  drawn by Hypothesis
        """The client does not read from its socket for a while, or does again."""
        conn = self.peers[name].conn
        if conn is not None:
            self.play.does(ConnectionPaused(conn) if stuck else ConnectionResumed(conn))
            self.collect()

    @rule(seconds=st.integers(1, 2))
    def wait(self, seconds: int) -> None:
        self.play.wait(seconds)
        self.collect()

    # --- what must hold ---

    @invariant()
    def the_window_is_kept(self) -> None:
        for name in READERS:
            peer = self.peers[name]
            if peer.conn is not None and peer.version == V5:
                unanswered = sum(isinstance(packet, Publish) and packet.qos > 0 for packet in peer.inbox)
                assert unanswered + len(peer.begun) <= WINDOW + self.left_from_before(peer)

    def teardown(self) -> None:
        """Everybody comes back and reads until nothing more comes; then the books are closed."""
        for name in self.peers:
            if self.peers[name].conn is None:
                self.connect(name, V5)
            self.stall(name, stuck=False)
        while any(peer.inbox for peer in self.peers.values()):
            for name in self.peers:
                self.read(name, 1000)
        assert all(not peer.open and not peer.begun for peer in self.peers.values())
        for name in ("r1", "r2"):
            self.judge(self.peers[name].got, self.taken[self.peers[name].since :], QUALITY[name])
        group = self.peers["g1"].got + self.peers["g2"].got
        self.judge_copies(group, self.taken, 2)
        self.judge_retained()
        assert all(each.inflight == 0 for each in self.play.core.stats().clients.values())

    def judge(self, got: list[Publish], taken: list[Taken], quality: int) -> None:
        self.judge_copies(got, taken, quality)
        # Of a message that expired while it waited, a repetition by its writer may come, and then it comes late.
        mortal = {each.payload for each in taken if each.expires is not None}
        for topic in TOPICS:
            for qos in (0, 1, 2):
                sent = [each.payload for each in taken if (each.topic, each.qos) == (topic, qos)]
                first = dict.fromkeys(message.payload for message in got if self.sent_as(message) == (topic, qos))
                order = {payload: place for place, payload in reversed(list(enumerate(sent)))}
                places = [order[payload] for payload in first if payload not in mortal]
                assert places == sorted(places), "order within one topic and quality"

    def judge_copies(self, got: list[Publish], taken: list[Taken], quality: int) -> None:
        copies = Counter(message.payload for message in got)
        known = {each.payload: each for each in taken}
        assert copies.keys() <= known.keys(), "every delivery was published"
        arrivals = Counter(each.payload for each in taken)
        for payload, each in known.items():
            qos = min(each.qos, quality)
            if qos and each.expires is None:
                assert copies[payload], "nothing acknowledged is lost"
            if each.qos == qos == 2:
                assert copies[payload] <= 1, "exactly once"
            if not qos:
                assert copies[payload] <= arrivals[payload], "at most once"

    def judge_retained(self) -> None:
        self.play.wait(0)
        conn = self.play.connect(Connect("late"))
        found = dict(self.play.messages(conn)) | {
            packet.topic: packet.payload
            for packet in self.play.subscribe(conn, Subscription("t/#"))
            if isinstance(packet, Publish)
        }
        now = self.play.now
        assert found == {
            topic: each.payload for topic, each in self.retained.items() if each.expires is None or each.expires > now
        }

    # --- the clients' side ---

    def open(self, peer: Peer, packet: Connect) -> bool:
        peer.inbox.clear()
        peer.conn, peer.version = self.play.open(), packet.version
        answer, *rest = self.play.sends(peer.conn, packet)
        assert isinstance(answer, ConnAck)
        peer.inbox.extend(rest)
        self.collect()
        return answer.session_present

    def subscribe(self, peer: Peer) -> None:
        assert peer.conn is not None
        peer.since = len(self.taken)
        asked = Subscription(READERS[peer.name], QUALITY[peer.name], retain_handling=2)
        answer, *_ = self.play.sends(peer.conn, Subscribe(1, (asked,)))
        assert isinstance(answer, SubAck)

    def send(self, peer: Peer, packet: Packet) -> None:
        """A packet reaches the broker."""
        if peer.conn is None:
            return
        if isinstance(packet, Publish):
            self.note(peer, packet)
        self.play.does_send(peer.conn, packet)
        self.collect()

    def note(self, peer: Peer, packet: Publish) -> None:
        # A repetition at QoS 2 of what reached the broker before is no new message.
        if packet.qos == 2 and packet.payload in self.first:
            return
        self.first[packet.payload] = packet.qos
        interval = packet.properties.message_expiry_interval if packet.properties and peer.version == V5 else None
        expires = None if interval is None else self.play.now + interval * SECOND
        self.taken.append(Taken(packet.topic, packet.payload, packet.qos, expires))
        if packet.retain:
            self.retained[packet.topic] = self.taken[-1]

    def collect(self) -> None:
        for peer in self.peers.values():
            if peer.conn is not None:
                peer.inbox.extend(self.play.got(peer.conn))

    def take(self, peer: Peer, packet: Packet) -> None:
        match packet:
            case Publish():
                self.take_message(peer, packet)
            case PubRel(packet_id):
                peer.begun.discard(packet_id)
                self.send(peer, PubComp(packet_id))
            case PubAck(packet_id) | PubComp(packet_id):
                peer.open.pop(packet_id, None)
            case PubRec(packet_id):
                peer.open[packet_id] = PubRel(packet_id)
                self.send(peer, PubRel(packet_id))
            case _:
                raise AssertionError(packet)

    def take_message(self, peer: Peer, packet: Publish) -> None:
        if packet.qos < 2 or packet.packet_id not in peer.begun:
            peer.got.append(packet)
        if packet.qos == 1:
            self.send(peer, PubAck(packet.packet_id))
        elif packet.qos == 2:
            peer.begun.add(packet.packet_id)
            self.send(peer, PubRec(packet.packet_id))

    def sent_as(self, message: Publish) -> tuple[str, int]:
        return message.topic, self.first[message.payload]

    def left_from_before(self, peer: Peer) -> int:
        """Messages of an earlier connection that had a larger window, whose release is still to come."""
        return sum(isinstance(packet, PubRel) for packet in peer.inbox)


TestBusContract = pytest.mark.rule("S16")(BusContract.TestCase)
TestBusContract.settings = settings(max_examples=100, stateful_step_count=60, deadline=None, derandomize=True)
