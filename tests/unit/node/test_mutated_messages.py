"""Mutated bus messages: what is not signed changes nothing, and nothing that a member signs takes a node down."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import msgspec
import psutil
import pytest

from tests.playbook import CLUSTER, SECRET, TOPICS, LogBook, Playbook, codec, follower, publisher, row
from tests.soak_sizes import MUTATED_MESSAGES
from tests.unit.broker.mutation import mutated
from ucmlab.broker.codec import VERSION, signed_bytes
from ucmlab.broker.messages import (
    Ack,
    Answer,
    AnyMessage,
    Birth,
    CatchUp,
    Entries,
    Envelope,
    Head,
    KeysInstalled,
    LogEntry,
    PeerAnswer,
    PeerCertificate,
    PeerKey,
    Proposal,
    SealedKeys,
    ServiceOrder,
    ServiceReport,
    Setting,
    Snapshot,
)
from ucmlab.broker.signing import KeyedHashSigner
from ucmlab.node.commands import Record
from ucmlab.node.events import MessageArrived, Upload
from ucmlab.node.identity_rows import CHANGED, FOUND
from ucmlab.node.instant import HOUR, Instant

SLICE = 4_000
LIFE = 500
"""Messages that one node hears before another takes its place: what it was told may have left it deaf."""
GROWTH = 32 << 20
"""Bytes that the process may grow by once everything that is bounded has filled up."""
CA, OTHER = row("Corp Root CA"), row("Other Root CA")
OWN = row("sub1.lab.test", "tomcat", holders=("sub1",))
IDENTITY = (OWN, row("sub1.lab.test", "tomcat-trust"), OTHER)
"""An identity, its copy and a CA that came along."""
ENTRY = LogEntry(1, 1, b"", "op-1", "pub", "upload", (), (CA,), 0)

SETTINGS = (Setting("cluster", "Use TLS", "true"), Setting("cucm", "Check Every", "7"))
SET = LogEntry(1, 1, b"", "op-1", "pub", "parameter", (), (), 0, SETTINGS)


class Voice(msgspec.Struct, frozen=True):
    """A message of the corpus: who says it, where it arrives, what the signature is bound to."""

    sender: str
    topic: str
    binding: str
    said: AnyMessage


def _says(sender: str, topic: str, said: AnyMessage, binding: str = "") -> Voice:
    return Voice(sender, topic, binding or topic, said)


TO_FOLLOWERS = (
    _says("pub", TOPICS.log("tomcat-trust"), ENTRY, TOPICS.log_binding()),
    _says("pub", TOPICS.log("tomcat-trust"), SET, TOPICS.log_binding()),
    _says("pub", TOPICS.head(), Head(1, 5, b"x", "y", 0, "z")),
    _says("pub", TOPICS.answer("sub1", "propose"), Answer("op-1", "done", "", "", 1, 1, {"sub2": "done"})),
    _says("pub", TOPICS.answer("sub1", "catchup"), Entries(1, (), 9)),
    _says(
        "pub",
        TOPICS.answer("sub1", "catchup"),
        Snapshot(1, 9, 9, b"", 0, 1, (CA,), (("tomcat-trust", "ab", 3),), SETTINGS),
    ),
    _says("pub", TOPICS.service_order("sub1", "Cisco Tomcat"), ServiceOrder("op-1", "Cisco Tomcat", "stop", HOUR)),
    _says("pub", TOPICS.keys("sub1"), SealedKeys(2, "authz", b"blob")),
    _says("pub", TOPICS.birth("pub"), Birth("lost", 9, {"authz": 1}, {"Cisco Tomcat": "started"})),
    _says("sub2", TOPICS.birth("sub2"), Birth("up", 2, {}, {"Cisco Tomcat": "started"})),
    _says("sub2", TOPICS.peer("sub2", "sub1"), PeerKey("op-4", "tomcat", "request", b"blob", HOUR)),
    _says("sub2", TOPICS.peer("sub2", "sub1"), PeerCertificate("op-5", "tomcat", CA.der, "of a CA", HOUR)),
    _says("sub2", TOPICS.peer("sub2", "sub1"), PeerAnswer("op-6", "done", "")),
)
TO_THE_PUBLISHER = (
    _says("sub1", TOPICS.request("sub1", "propose"), Proposal("op-2", "upload", (), (OTHER,), HOUR)),
    _says("sub1", TOPICS.request("sub1", "propose"), Proposal("op-3", "delete", (CA.key,), (), HOUR)),
    _says("sub1", TOPICS.request("sub1", "propose"), Proposal("op-10", "parameter", (), (), HOUR, SETTINGS)),
    _says("sub1", TOPICS.request("sub1", "propose"), Proposal("op-7", CHANGED, (), IDENTITY, HOUR)),
    _says("sub1", TOPICS.request("sub1", "propose"), Proposal("op-8", FOUND, (), IDENTITY, HOUR)),
    _says("sub1", TOPICS.peer("sub1", "pub"), PeerCertificate("op-9", "CallManager", CA.der, "", HOUR)),
    _says("sub1", TOPICS.request("sub1", "catchup"), CatchUp(1, 1, 0, b"")),
    _says("sub1", TOPICS.ack("sub1"), Ack(1, 1, "digest", 1)),
    _says("sub1", TOPICS.birth("sub1"), Birth("up", 2, {"authz": 1}, {"Cisco Tomcat": "stopped"})),
    _says(
        "sub1",
        TOPICS.service_state("sub1", "Cisco Tomcat"),
        ServiceReport("op-1", "Cisco Tomcat", "stopped", True, 0, "done", "", "", 1),
    ),
    _says("sub1", TOPICS.request("sub1", "keys"), KeysInstalled(1, "authz")),
)


class Attacked:
    """A node and whoever speaks to it."""

    def __init__(self, seed: int, make: Callable[[], Playbook], voices: tuple[Voice, ...]) -> None:
        self.random = Random(seed)
        self.make = make
        self.node = make().up()
        self.voices = voices
        self.genuine = {(each.topic, codec(each.sender).seal(each.binding, each.said)) for each in voices}
        self.payloads = [payload for _, payload in sorted(self.genuine)]
        self.bodies = [msgspec.msgpack.encode(each.said) for each in voices]
        self.refused = self.heard = 0

    def from_outside(self, count: int) -> None:
        """So many payloads that nobody signed as they are: each is refused, and that is all."""
        before, image = self.node.core.status(), self.node.disk.image()
        for _ in range(count):
            topic, payload = self.random.choice(self.voices).topic, mutated(self.random, self.payloads)
            if (topic, payload) in self.genuine:
                continue
            wanted = self.node.core.handle(MessageArrived(topic, payload), Instant(0, 0))
            assert wanted, (topic, payload)
            assert all(isinstance(each, Record) and each.name == "bus_refused" for each in wanted), wanted
            self.refused += 1
        assert (self.node.core.status(), self.node.disk.image()) == (before, image)

    def from_inside(self, count: int) -> None:
        """So many bodies that a member has signed, whatever is in them: the node may believe it, and lives."""
        for number in range(count):
            if not number % LIFE:
                self.node = self.make().up()
            voice = self.random.choice(self.voices)
            # By bytes much is malformed; by values nearly all is read, and something must be made of it.
            body = astray(self.random, voice.said) if number % 2 else mutated(self.random, self.bodies)
            wanted = self.node.all_of(MessageArrived(voice.topic, sealed(voice, body)))
            self.heard += any(not isinstance(each, Record) for each in wanted)
        self.node.core.status()
        self.node = self.make().up()
        assert self.node.all_of(Upload("op-last", "tomcat-trust", OTHER.der))


def astray(random: Random, said: AnyMessage) -> bytes:
    """The body of a message with one or two of its values, however deep, taking others of their kind."""
    whole = [msgspec.msgpack.decode(msgspec.msgpack.encode(said))]
    for _ in range(random.randint(1, 2)):
        holder, at = random.choice(list(_places(whole)))
        holder[at] = _another(random, holder[at])
    return msgspec.msgpack.encode(whole[0])


def _places(holder: list[Any] | dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Every value inside, as what holds it and where."""
    for at, held in enumerate(holder) if isinstance(holder, list) else holder.items():
        yield holder, at
        if isinstance(held, list | dict):
            yield from _places(held)


def _another(random: Random, value: object) -> object:
    match value:
        case int():
            return max(
                -(2**63), min(random.choice((0, 1, -1, value + 1, value - 1, -value, 2**63 - 1, -(2**63))), 2**63 - 1)
            )
        case str():
            return random.choice(
                ("", "pub", "sub1", "nobody", "tomcat-trust", "tomcat", "authz", "\0", value[:-1], "é" * 99)
            )
        case bytes():
            return random.choice((b"", value[:-1], value + b"\0", random.randbytes(8)))
        case list():
            return random.choice(([], value[:-1], value * 2, value[::-1]))
        case dict():
            return random.choice(({}, {"pub": 1, "nobody": -1}, {"": ""}))
        case _:
            return random.choice((0, "", b"", [], {}, ["sub1"], ["nobody"]))


def sealed(voice: Voice, body: bytes) -> bytes:
    """The envelope of a member who signs anything."""
    signature = KeyedHashSigner(voice.sender, SECRET).sign(
        signed_bytes(CLUSTER, voice.binding, voice.sender, 1, "", body)
    )
    return msgspec.msgpack.encode(Envelope(VERSION, CLUSTER, voice.sender, 1, "", body, signature))


def a_follower() -> Playbook:
    return follower(LogBook(rows=(CA,)), files=(CA,))


def a_publisher() -> Playbook:
    return publisher((CA,), files=(CA,))


NODES: dict[str, tuple[Callable[[], Playbook], tuple[Voice, ...]]] = {
    "follower": (a_follower, TO_FOLLOWERS),
    "publisher": (a_publisher, TO_THE_PUBLISHER),
}


@pytest.mark.rule("S5", "S15")
@pytest.mark.parametrize("who", NODES)
def test_a_slice_of_mutated_messages_is_survived(who: str) -> None:
    attacked = Attacked(1, *NODES[who])
    attacked.from_outside(SLICE)
    attacked.from_inside(SLICE)
    # It is worth nothing unless much is refused and something is believed.
    assert attacked.refused > SLICE * 0.9
    assert attacked.heard > SLICE // 100


@pytest.mark.soak
@pytest.mark.rule("S5", "S15")
@pytest.mark.parametrize("who", NODES)
def test_mutated_messages_are_survived_in_bounded_memory(
    who: str, record_property: Callable[[str, object], None]
) -> None:
    attacked, share = Attacked(2, *NODES[who]), MUTATED_MESSAGES // len(NODES) // 2
    attacked.from_outside(share // 10)
    attacked.from_inside(share // 10)
    process = psutil.Process()
    before = process.memory_info().rss
    attacked.from_outside(share - share // 10)
    attacked.from_inside(share - share // 10)
    growth = process.memory_info().rss - before
    record_property("mutated messages", 2 * share)
    record_property("of them refused", attacked.refused)
    record_property("of them signed and acted on", attacked.heard)
    record_property("growth in KB", growth // 1024)
    assert growth < GROWTH
