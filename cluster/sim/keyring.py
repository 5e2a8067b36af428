"""A simulated node's key ring: the commands that need private keys, with the simulation's worthless ones.

Which number a key has is a function of node, unit and generation, and so is every serial number: the same cluster has
the same certificates in every process. Sealing keeps the shape of the real thing (only the addressee opens, for that
cluster, kind and generation) with a keyed hash in place of HPKE.
"""

import hashlib
from collections.abc import Mapping
from itertools import count

import msgspec
from cryptography import x509

from ucmlab.broker.codec import UNREADABLE
from ucmlab.cluster.sim.disk import SimDisk
from ucmlab.cluster.simkeys import sim_key
from ucmlab.node.commands import (
    DropCsr,
    InstallIdentity,
    MakeAuthz,
    MakeCsr,
    MakeIdentity,
    OpenKeys,
    OpenShared,
    ReuseIdentity,
    SealKeys,
    SealShared,
)
from ucmlab.node.config import AUTHZ_KEYS, AuthzKey, NodeConfig
from ucmlab.node.csr import make_csr
from ucmlab.node.events import (
    AuthzMade,
    CsrDropped,
    CsrMade,
    IdentityMade,
    KeysOpened,
    KeysSealed,
    SharedOpened,
    SharedSealed,
)
from ucmlab.node.identity import make_identity
from ucmlab.node.instant import to_datetime
from ucmlab.node.key_commands import AUTHZ, SHORT_SERIAL_BITS
from ucmlab.node.keyring import IdentityKey
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.sharing_rules import may_be_taken

_Installing = InstallIdentity | ReuseIdentity
KeyCommand = MakeIdentity | _Installing | MakeCsr | DropCsr | SealShared | OpenShared | MakeAuthz | SealKeys | OpenKeys

KeyEvent = IdentityMade | CsrMade | CsrDropped | SharedSealed | SharedOpened | AuthzMade | KeysSealed | KeysOpened


class Sealed(msgspec.Struct, frozen=True, array_like=True):
    """What a simulated blob holds; `proof` stands for the encryption to the recipient."""

    recipient: str
    kind: str
    generation: int
    der: bytes
    proof: bytes


class SimKeyRing:
    """Private keys of one node, by name only."""

    def __init__(self, config: NodeConfig) -> None:
        """An empty ring."""
        self._config = config
        self._rulebook = RuleBook.load(config.release, config.profile)
        self._made: dict[str, int] = {}

    def run_release(self, config: NodeConfig) -> None:
        """The node runs another release from now on; what it has made so far counts on."""
        self._config = config
        self._rulebook = RuleBook.load(config.release, config.profile)

    def perform(self, command: KeyCommand, disk: SimDisk, *, wall: int) -> KeyEvent:
        """Do the private part of a command; the event that answers it."""
        match command:
            case MakeIdentity():
                return self._make_identity(command, disk, wall)
            case InstallIdentity() | ReuseIdentity():
                return self._install_identity(command, disk)
            case MakeCsr() | DropCsr() | SealShared() | OpenShared():
                return self._request(command, disk)
            case MakeAuthz():
                disk.keys[AUTHZ] = command.generation
                disk.authz |= dict.fromkeys([command.key] if command.key else AUTHZ_KEYS, command.generation)
                return AuthzMade(command.generation, command.key)
            case SealKeys():
                return self._seal(command, disk)
            case OpenKeys():
                return self._open(command, disk)

    def _make_identity(self, command: MakeIdentity, disk: SimDisk, wall: int) -> IdentityMade:
        unit, form = command.unit, command.form
        profile = self._rulebook.identities[unit]
        self._made[unit] = generation = self._made.get(unit, unit in disk.identities) + 1
        number, key = self._key(unit, generation, profile.key if form is None else form.key, disk)
        if form is not None and form.cn_serial:
            number &= (1 << SHORT_SERIAL_BITS) - 1
        start = to_datetime(wall)
        ou, fqdn = self._rulebook.ou_in_request(asked=False), self._config.fqdn
        der = make_identity(profile, key=key, fqdn=fqdn, serial=number, not_before=start, ou=ou, form=form)
        self._put_in_place(unit, der, command.op_id, disk)
        if profile.scope == "cluster" and profile.distributed_to:
            disk.keys[unit] = generation
        return IdentityMade(unit, der, command.op_id)

    def _install_identity(self, command: _Installing, disk: SimDisk) -> IdentityMade:
        if isinstance(command, ReuseIdentity):
            der = disk.identities[command.source]
        else:
            der = command.der
            del disk.csrs[command.unit]
        self._put_in_place(command.unit, der, command.op_id, disk)
        return IdentityMade(command.unit, der, command.op_id)

    def _put_in_place(self, unit: str, der: bytes, op_id: str, disk: SimDisk) -> None:
        disk.identities[unit] = der
        disk.installed_by.pop(unit, None)
        if op_id:
            disk.installed_by[unit] = op_id

    def _request(
        self, command: MakeCsr | DropCsr | SealShared | OpenShared, disk: SimDisk
    ) -> CsrMade | CsrDropped | SharedSealed | SharedOpened:
        match command:
            case MakeCsr():
                return self._make_csr(command, disk)
            case DropCsr():
                disk.csrs.pop(command.unit, None)
                return CsrDropped(command.op_id)
            case SealShared():
                shared = disk.csrs if command.kind == "request" else disk.identities
                blob = self._sealed(command.recipient, _shared(command), 0, shared.get(command.unit, b""))
                return SharedSealed(command.op_id, command.unit, command.kind, command.recipient, blob)
            case OpenShared():
                return self._open_shared(command, disk)

    def _make_csr(self, command: MakeCsr, disk: SimDisk) -> CsrMade:
        # Numbered as identities are, in a row of their own: a new request has another key than the one before.
        stream = f"{command.unit}.csr"
        self._made[stream] = generation = self._made.get(stream, 0) + 1
        profile = self._rulebook.csrs[self._config.role, command.unit]
        _, key = self._key(stream, generation, command.form.key, disk)
        der = make_csr(command.form, profile, key)
        disk.csrs[command.unit] = der
        return CsrMade(command.op_id, der)

    def _key(self, stream: str, generation: int, kind: str, disk: SimDisk) -> tuple[int, IdentityKey]:
        """The next key with its number; there are few of them, so not one that identity or request has already."""
        unit = stream.removesuffix(".csr")
        taken = [x509.load_der_x509_certificate(disk.identities[unit]).public_key()] if unit in disk.identities else []
        taken += [x509.load_der_x509_csr(disk.csrs[unit]).public_key()] if unit in disk.csrs else []
        for attempt in count():
            number = self._number(stream, generation, attempt)
            key = sim_key(number, kind)
            if key.public_key() not in taken:
                return number, key
        raise AssertionError("a pool of keys has more than two")  # pragma: no cover

    def _number(self, unit: str, generation: int, attempt: int) -> int:
        text = f"{self._config.cluster}|{self._config.name}|{unit}|{generation}" + (f"|{attempt}" if attempt else "")
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big") | 1 << 127

    def _seal(self, command: SealKeys, disk: SimDisk) -> KeysSealed:
        der = msgspec.msgpack.encode(disk.authz) if command.kind == AUTHZ else disk.identities.get(command.kind, b"")
        blob = self._sealed(command.recipient, command.kind, command.generation, der)
        return KeysSealed(command.recipient, command.kind, command.generation, blob)

    def _sealed(self, recipient: str, kind: str, generation: int, der: bytes) -> bytes:
        proof = self._proof(recipient, kind, generation, der)
        return msgspec.msgpack.encode(Sealed(recipient, kind, generation, der, proof))

    def _unsealed(self, blob: bytes, kind: str, generation: int) -> Sealed | None:
        try:
            sealed = msgspec.msgpack.decode(blob, type=Sealed)
        except UNREADABLE:
            return None
        return sealed if sealed.proof == self._proof(self._config.name, kind, generation, sealed.der) else None

    def _open_shared(self, command: OpenShared, disk: SimDisk) -> SharedOpened:
        sealed = self._unsealed(command.blob, _shared(command), 0)
        family = self._rulebook.identities[command.unit].family
        if sealed is None or not may_be_taken(command.kind, sealed.der, family):
            return SharedOpened(command.op_id, command.unit, command.kind, command.sender, b"")
        der = sealed.der
        if command.kind == "request":
            disk.csrs[command.unit] = der
        else:
            self._put_in_place(command.unit, der, command.op_id, disk)
        return SharedOpened(command.op_id, command.unit, command.kind, command.sender, der)

    def _open(self, command: OpenKeys, disk: SimDisk) -> KeysOpened:
        sealed = self._unsealed(command.blob, command.kind, command.generation)
        if sealed is None:
            return KeysOpened(command.kind, command.generation, ok=False)
        disk.keys[command.kind] = command.generation
        if command.kind == AUTHZ:
            disk.authz = msgspec.msgpack.decode(sealed.der, type=dict[AuthzKey, int])
            return KeysOpened(command.kind, command.generation, ok=True)
        if sealed.der:
            disk.identities[command.kind] = sealed.der
        return KeysOpened(command.kind, command.generation, ok=True, der=sealed.der)

    def _proof(self, recipient: str, kind: str, generation: int, der: bytes) -> bytes:
        text = f"{self._config.cluster}|{recipient}|{kind}|{generation}|".encode()
        return hashlib.blake2b(text + der, digest_size=16).digest()


def _shared(command: SealShared | OpenShared) -> str:
    """What is sealed: a request opens as no identity, nor does one operation's as another's."""
    return f"{command.kind} {command.unit} {command.op_id}"


def authz_digests(cluster: str, generations: Mapping[AuthzKey, int]) -> dict[str, str]:
    """What `dump` shows of the authz keys of these generations: SHA-256 of names that stand for the keys."""
    return {
        name: hashlib.sha256(f"{cluster}|authz {name}|{generations[name]}".encode()).hexdigest() for name in AUTHZ_KEYS
    }
