"""An input brought to whole nodes in the simulation: exactly one reply, and a disk that a refusal leaves as it was.

Each input meets a cluster of its own, a publisher and a subscriber with the same few trust certificates, so what a seed
does depends on no other. They hear each other's messages.
"""

import contextlib
import ipaddress
import time
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import msgspec
from cryptography import x509

from tests.fuzz.certificates import ISSUING, POLICY, certificates
from tests.fuzz.identities import signed_by_an_authority, waiting
from tests.fuzz.inputs import Mutant
from tests.fuzz.surfaces import REASONS, Seen
from tests.playbook import Playbook, config, file_of, row
from ucmlab.broker.limits import Limits
from ucmlab.cluster.ca.requests import read_request
from ucmlab.node.certificates import parse
from ucmlab.node.commands import AnyCommand, Publish, Reply
from ucmlab.node.config import Policy
from ucmlab.node.csr import csr_pem
from ucmlab.node.events import AnyEvent, Delete, DiskImage, FileImage, LogImage, MessageArrived, ReplicaImage, Upload
from ucmlab.node.instant import MINUTE, SECOND
from ucmlab.node.leaf_rules import has_key_of
from ucmlab.node.trust_files import TrustFiles
from ucmlab.node.upload_files import read_upload

PUB, SUB = "pub", "sub1"
PACKET = Limits().max_packet_size - 1_000
"""Bytes that a payload may have, with its topic and what else a packet holds."""
POLICIES: tuple[Policy, ...] = ("faithful", "modern", "legacy")
RELEASES = ("14SU2", "12.5")
"""They name files otherwise."""


def upload(mutant: Mutant, seen: Seen, folder: Path) -> float:
    """An operator uploads it, on the publisher or on a subscriber; what was accepted comes twice, and is deleted.

    Args:
        mutant: the file, and what for.
        seen: counts.
        folder: where real files may be made.

    Returns:
        Seconds of processor time that the longest operation took, on all nodes together.
    """
    number = mutant.seed // 8
    der_pkcs7 = number % 5 == 0
    cluster = Cluster(release=RELEASES[number % 2], replication=POLICIES[number % 3], der_pkcs7=der_pkcs7)
    where = (PUB, SUB)[number // 2 % 2]
    node = cluster.nodes[where]
    before = node.disk.image()
    reply = cluster.asks(where, Upload("op-fuzz", mutant.purpose, mutant.data, mutant.description))
    seen[f"node: {reply.outcome} {reply.reason}".rstrip()] += 1
    if reply.outcome == "refused":
        assert node.disk.image() == before, f"refused ({reply.reason}), and the disk has changed"
    elif node.rulebook.units[mutant.purpose].kind == "trust":
        new = kept(node, mutant, before)
        filed(new, folder)
        cluster.follows(where, new)
        again(cluster, where, mutant)
        deleted(cluster, where, mutant.purpose, new)
    if cluster.replication != "legacy":  # where what was deleted comes back
        after = node.disk.read_files()
        node.restart()
        assert node.disk.read_files() == after, "other files after a restart"
    return cluster.longest


def identity(mutant: Mutant, seen: Seen) -> float:
    """An operator uploads what a CA made of a request; as with `upload`, but an identity is signed by somebody."""
    node = Playbook(config(PUB), image=waiting().image).up()
    before = node.disk.image()
    seconds, reply = asked(node, Upload("op-fuzz", mutant.purpose, mutant.data))
    seen[f"identity: {reply.outcome} {reply.reason}".rstrip()] += 1
    if reply.outcome == "refused":
        assert node.disk.image() == before, f"refused ({reply.reason}), and the disk has changed"
        return seconds
    there = [each for each in read_upload(mutant.data) if each.der == node.disk.identities[mutant.purpose]]
    assert there, "an identity of other bytes than were uploaded"
    assert has_key_of(there[0], before.csrs[mutant.purpose]), "an identity with another key than the request's"
    assert signed_by_an_authority(there[0]), "an identity that nobody signed"
    assert (mutant.purpose, there[0].fingerprint) in {each.key for each in node.disk.replica().rows}
    after = node.disk.image()
    node.restart()
    assert node.disk.identities == after.identities
    assert node.disk.read_files() == after.files, "other files after a restart"
    return seconds


def order(mutant: Mutant, seen: Seen) -> float:
    """An operator wants a certificate signing request, on the publisher and on a subscriber."""
    longest = 0.0
    for where in (PUB, SUB):
        node = Playbook(config(where), image=installed(where)).up()
        before = node.disk.image()
        seconds, reply = asked(node, mutant.order)
        longest = max(longest, seconds)
        seen[f"order: {reply.outcome} {reply.reason}".rstrip()] += 1
        if reply.outcome == "refused":
            assert node.disk.image() == before, f"refused ({reply.reason}), and the disk has changed"
        else:
            made = read_request(csr_pem(node.disk.csrs[mutant.order.unit]).encode())
            assert _names(made.extensions) >= set(map(_normal, mutant.order.san)), "other names than asked for"
    return longest


class Cluster:
    """A publisher and a subscriber, connected."""

    def __init__(self, *, release: str, replication: Policy, der_pkcs7: bool) -> None:
        self.replication = replication
        self.longest = 0.0
        self.nodes = {
            name: Playbook(
                msgspec.structs.replace(config(name, release=release, replication=replication), der_pkcs7=der_pkcs7),
                image=image,
            )
            for name, image in images().items()
        }
        for node in self.nodes.values():
            node.start()
        for name, commands in [(name, node.connect()) for name, node in self.nodes.items()]:
            self.carry(name, commands)

    def asks(self, where: str, event: AnyEvent) -> Reply:
        """An operator asks a node; its one reply."""
        node = self.nodes[where]
        node.commands.clear()
        begun = time.process_time()
        self.carry(where, node.does(event))
        self.longest = max(self.longest, time.process_time() - begun)
        (reply,) = node.all(Reply)
        told(reply)
        return reply

    def carry(self, sender: str, commands: Iterable[AnyCommand]) -> None:
        """Each hears what the other says, until nobody says anything."""
        other = SUB if sender == PUB else PUB
        for each in commands:
            if isinstance(each, Publish):
                assert len(each.payload) < PACKET, f"a message of {len(each.payload)} bytes, which no broker takes"
                self.carry(other, self.nodes[other].does(MessageArrived(each.topic, each.payload)))

    def follows(self, where: str, new: list[FileImage]) -> None:
        """Rows of it are on the other node too, and files, where Change Notification brings them."""
        other = self.nodes[SUB if where == PUB else PUB]
        units = other.rulebook.units
        rows = {(each.unit, each.der) for each in other.disk.replica().rows}
        assert {(file.unit, file.der) for file in new} <= rows, "the other node has no row of it"
        files = {(file.unit, file.der) for file in other.disk.read_files()}
        assert {(file.unit, file.der) for file in new if units[file.unit].replicated} <= files, "nor a file"


def asked(node: Playbook, event: AnyEvent) -> tuple[float, Reply]:
    """An operator asks a node that is alone; how long it takes, and its one reply, for which others may be awaited."""
    begun = time.process_time()
    wanted = node.does(event)
    seconds = time.process_time() - begun
    (reply,) = [each for each in (*wanted, *node.wait(MINUTE)) if isinstance(each, Reply)]
    told(reply)
    return seconds, reply


def told(reply: Reply) -> None:
    """An answer that programs and people can read."""
    assert reply.outcome in ("done", "refused"), f"{reply.outcome}, though the publisher is there"
    if reply.outcome == "refused":
        assert reply.reason in REASONS, f"the reason {reply.reason!r} is no word of the contract"
        assert reply.text, f"{reply.reason} without a text"
    msgspec.msgpack.encode(reply)


def kept(node: Playbook, mutant: Mutant, before: DiskImage) -> list[FileImage]:
    """What is new on the disk is what was in the file, byte for byte; its last certificate is there in any case."""
    ders = [each.der for each in read_upload(mutant.data, der_pkcs7=node.config.der_pkcs7)]
    old = set(before.files)
    new = [file for file in node.disk.read_files() if file not in old]
    assert {file.der for file in new} <= set(ders), "a file holds other bytes than were uploaded"
    known = {each.key for each in before.replica.rows}
    assert {each.der for each in node.disk.replica().rows if each.key not in known} <= set(ders), "a row, likewise"
    held = {(file.unit, file.der) for file in node.disk.read_files()}
    assert (mutant.purpose, ders[-1]) in held, "accepted, and there is no file of it"
    return new


def filed(new: list[FileImage], folder: Path) -> None:
    """A real disk takes the files and gives them back."""
    files = TrustFiles({file.unit: folder / file.unit for file in new})
    for file in new:
        files.write(file.unit, file.name, der=file.der, description=file.description, op_id=file.op_id)
    assert set(files.read()[0]) == set(new), "other files on a real disk"
    for file in new:
        files.remove(file.unit, file.name)


def again(cluster: Cluster, where: str, mutant: Mutant) -> None:
    """Once more under another id: files that are there already stay as they are."""
    before = cluster.nodes[where].disk.image()
    reply = cluster.asks(where, Upload("op-again", mutant.purpose, mutant.data, mutant.description))
    after = cluster.nodes[where].disk.image()
    assert after.files == before.files, "uploaded twice, and the files have changed"
    assert reply.outcome == "done" or after == before, f"refused ({reply.reason}), and the disk has changed"


def deleted(cluster: Cluster, where: str, unit: str, new: list[FileImage]) -> None:
    """What came can go."""
    node = cluster.nodes[where]
    for fingerprint in [parse(file.der).fingerprint for file in new if file.unit == unit][:2]:
        reply = cluster.asks(where, Delete(f"op-{fingerprint}", unit, fingerprint))
        assert reply.outcome == "done", reply
        assert fingerprint not in node.files(unit), "deleted, and the file is there"


@lru_cache(maxsize=1)
def images() -> dict[str, DiskImage]:
    """What the disks of both nodes hold: some of what is uploaded is there already, or in a later edition."""
    rows = (
        row(der=ISSUING.der),
        row(der=certificates()["later root"]),
        row(der=POLICY.der, unit="CallManager-trust"),
    )
    image = DiskImage(
        boot=0,
        installed=True,
        replica=ReplicaImage(epoch=1, rows=rows),
        files=tuple(map(file_of, rows)),
        keys={"authz": 1, "ITLRecovery": 1},
    )
    return {PUB: msgspec.structs.replace(image, log=LogImage(epoch=1)), SUB: image}


@lru_cache(maxsize=2)
def installed(name: str) -> DiskImage:
    """The disk of a node that has its identities."""
    made = Playbook(config(name), image=DiskImage(boot=0)).up()
    made.wait(SECOND)
    return made.disk.image()


def _names(extensions: Iterable[x509.Extension[x509.ExtensionType]]) -> set[str]:
    alternative = next(each.value for each in extensions if isinstance(each.value, x509.SubjectAlternativeName))
    return {_normal(str(each.value)) for each in alternative}


def _normal(name: str) -> str:
    """A host's name as it is compared; of an address one of its spellings."""
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(name))
    return name.lower()
