"""Performs the core's commands about private keys: makes identities and OAuth keys, seals them, opens what was sealed.

The core asks by name and hears public values; the bytes stay between here and the key ring. Nothing is decided here:
which certificate is made, and when, is the core's; how it looks is the rule book's.
"""

import secrets
from contextlib import suppress
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ucmlab.node.commands import (
    Command,
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
from ucmlab.node.config import NodeConfig
from ucmlab.node.csr import csr_pem, make_csr
from ucmlab.node.durable import PUBLIC, remove_file, replace_file
from ucmlab.node.errors import SealBroken
from ucmlab.node.events import (
    AuthzMade,
    CsrDropped,
    CsrMade,
    Event,
    IdentityMade,
    KeysOpened,
    KeysSealed,
    SharedOpened,
    SharedSealed,
)
from ucmlab.node.identity import make_identity
from ucmlab.node.identity_files import write_identity
from ucmlab.node.installed_by import note_installation
from ucmlab.node.instant import Instant, to_datetime
from ucmlab.node.keyring import KeyRing
from ucmlab.node.layout import HomeLayout, read_counted
from ucmlab.node.privatefile import sync_folder, write_private
from ucmlab.node.rulebook import RuleBook, Unit
from ucmlab.node.sealing import sealing_info

AUTHZ = "authz"
SHORT_SERIAL_BITS = 63
"""Where the serial number is part of the common name, which has 64 characters."""
SERIAL_BITS = 158
"""RFC 5280, 4.1.2.2 bounds a serial number at 20 octets, of which the first bit is the sign."""


class KeyCommands:
    """The shell's side of everything private on one node."""

    def __init__(self, home: Path, config: NodeConfig, rulebook: RuleBook, ring: KeyRing) -> None:
        """Tidy up after whatever ended the last run."""
        self._home = home
        self._config = config
        self._rulebook = rulebook
        self._ring = ring
        self._layout = HomeLayout(home, rulebook)
        ring.clean(unit for unit in rulebook.units.values() if unit.kind == "identity")

    def perform(self, command: Command, now: Instant) -> Event:
        """Perform one command, completely.

        Raises:
            OSError: it could not be performed.
            TypeError: the command does not concern keys.
        """
        try:
            return self._perform(command, now)
        except (ValueError, KeyError, msgspec.MsgspecError) as error:
            # A damaged or missing file of ours: for the core that is a disk that failed.
            raise OSError(f"{type(command).__name__}: {error}") from error

    def _perform(self, command: Command, now: Instant) -> Event:
        match command:
            case MakeIdentity() | InstallIdentity() | ReuseIdentity():
                return self._identity(command, now)
            case MakeCsr() | DropCsr() | SealShared() | OpenShared():
                return self._request(command)
            case MakeAuthz(generation=generation, key=key):
                self._ring.make_authz(generation, key)
                return AuthzMade(generation, key)
            case SealKeys():
                return self._seal(command)
            case OpenKeys():
                return self._open(command)
            case _:
                raise TypeError(f"{type(command).__name__} does not concern keys")

    def _identity(self, command: MakeIdentity | InstallIdentity | ReuseIdentity, now: Instant) -> IdentityMade:
        match command:
            case MakeIdentity():
                return IdentityMade(command.unit, self._make_identity(command, now), command.op_id)
            case InstallIdentity():
                return self._install_identity(command)
            case ReuseIdentity():
                return self._reuse_identity(command)

    def _make_identity(self, command: MakeIdentity, now: Instant) -> bytes:
        unit, form = self._rulebook.units[command.unit], command.form
        profile = self._rulebook.identities[unit.name]
        # The key is durable before the certificate: a certificate without its key serves nobody.
        key = self._ring.make_identity_key(unit, profile.key if form is None else form.key)
        der = make_identity(
            profile,
            key=key,
            fqdn=self._config.fqdn,
            serial=1 + secrets.randbits(SHORT_SERIAL_BITS if form is not None and form.cn_serial else SERIAL_BITS),
            not_before=to_datetime(now.wall),
            ou=self._rulebook.ou_in_request(asked=False),
            form=form,
        )
        if command.op_id and profile.distributed_to:
            # Made once more: who has the one before it must be told from who has this one. A count too many, after a
            # kill, has everybody get the same again.
            self._count(unit.name, read_counted(self._layout.generations).get(unit.name, 1) + 1)
        self._put_in_place(unit.name, der, command.op_id)
        return der

    def _install_identity(self, command: InstallIdentity) -> IdentityMade:
        unit = self._rulebook.units[command.unit]
        self._ring.install_csr_key(unit, command.der)
        self._put_in_place(unit.name, command.der, command.op_id)
        # From here on the request is consumed; what a kill leaves of it, `disk` tidies up.
        with suppress(OSError):
            remove_file(self._home / unit.csr_file)
            self._ring.drop_csr_keys(unit)
        return IdentityMade(unit.name, command.der, command.op_id)

    def _reuse_identity(self, command: ReuseIdentity) -> IdentityMade:
        source = self._rulebook.units[command.source]
        der = self._certificate(source)
        self._ring.reuse_identity(source, der, self._rulebook.units[command.unit])
        self._put_in_place(command.unit, der, command.op_id)
        return IdentityMade(command.unit, der, command.op_id)

    def _put_in_place(self, unit: str, der: bytes, op_id: str) -> None:
        if op_id:
            note_installation(self._layout.installed_by, unit, der, op_id)
        write_identity(self._layout.identity_files[unit], der)

    def _count(self, kind: str, generation: int) -> None:
        counted = {**read_counted(self._layout.generations), kind: generation}
        write_private(self._layout.generations, msgspec.json.encode(counted))

    def _request(self, command: MakeCsr | DropCsr | SealShared | OpenShared) -> Event:
        match command:
            case MakeCsr():
                return CsrMade(command.op_id, self._make_csr(command))
            case DropCsr():
                self._drop_csr(self._rulebook.units[command.unit])
                return CsrDropped(command.op_id)
            case SealShared():
                return self._seal_shared(command)
            case OpenShared():
                return self._open_shared(command)

    def _make_csr(self, command: MakeCsr) -> bytes:
        unit, form = self._rulebook.units[command.unit], command.form
        key = self._ring.make_csr_key(unit, form.key)
        der = make_csr(form, self._rulebook.csrs[self._config.role, unit.name], key)
        self._put_request_in_place(unit, der)
        return der

    def _drop_csr(self, unit: Unit) -> None:
        # The request first: a key that nobody asks for is tidied up at the next start, a request without its key not.
        file = self._home / unit.csr_file
        if remove_file(file):
            sync_folder(file.parent)
        with suppress(OSError):
            self._ring.drop_csr_keys(unit)
            sync_folder(file.parent)

    def _put_request_in_place(self, unit: Unit, der: bytes) -> None:
        # From here on this request counts, and its key is told by its name.
        replace_file(self._home / unit.csr_file, csr_pem(der).encode(), mode=PUBLIC, durable=True)
        self._ring.drop_other_csr_keys(unit, der)

    def _seal_shared(self, command: SealShared) -> SharedSealed:
        unit, recipient = self._rulebook.units[command.unit], command.recipient
        info = self._shared_info(command, sender=self._config.name, recipient=recipient)
        public = self._sealing_key(recipient)
        if command.kind == "request":
            text = (self._home / unit.csr_file).read_bytes()
            der = x509.load_pem_x509_csr(text).public_bytes(Encoding.DER)
            blob = self._ring.seal_csr(unit, der, recipient_public=public, info=info)
        else:
            blob = self._ring.seal_identity(unit, self._certificate(unit), recipient_public=public, info=info)
        return SharedSealed(command.op_id, unit.name, command.kind, recipient, blob)

    def _open_shared(self, command: OpenShared) -> SharedOpened:
        try:
            der = self._take_shared(command)
        except SealBroken:
            der = b""
        return SharedOpened(command.op_id, command.unit, command.kind, command.sender, der)

    def _take_shared(self, command: OpenShared) -> bytes:
        unit = self._rulebook.units[command.unit]
        info = self._shared_info(command, sender=command.sender, recipient=self._config.name)
        family = self._rulebook.identities[unit.name].family
        if command.kind == "request":
            der = self._ring.open_csr(unit, command.blob, info=info, family=family)
            self._put_request_in_place(unit, der)
        else:
            der = self._ring.open_shared_identity(unit, command.blob, info=info, family=family)
            self._put_in_place(unit.name, der, command.op_id)
        return der

    def _shared_info(self, command: SealShared | OpenShared, *, sender: str, recipient: str) -> bytes:
        operation = f"{command.kind}/{command.unit}/{command.op_id}"
        return sealing_info(cluster=self._config.cluster, operation=operation, sender=sender, recipient=recipient)

    def _certificate(self, unit: Unit) -> bytes:
        text = (self._home / unit.certificate_file).read_bytes()
        return x509.load_pem_x509_certificate(text).public_bytes(Encoding.DER)

    def _sealing_key(self, member: str) -> bytes:
        return next(each.sealing for each in self._config.members if each.name == member)

    def _seal(self, command: SealKeys) -> KeysSealed:
        kind, recipient = command.kind, command.recipient
        public = self._sealing_key(recipient)
        info = self._info(kind, command.generation, sender=self._config.name, recipient=recipient)
        if kind == AUTHZ:
            blob = self._ring.seal_authz(recipient_public=public, info=info)
        else:
            unit = self._rulebook.units[kind]
            blob = self._ring.seal_identity(unit, self._certificate(unit), recipient_public=public, info=info)
        return KeysSealed(recipient, kind, command.generation, blob)

    def _open(self, command: OpenKeys) -> KeysOpened:
        kind, generation = command.kind, command.generation
        info = self._info(kind, generation, sender=command.sender, recipient=self._config.name)
        try:
            der = self._store(kind, command.blob, info)
        except SealBroken:
            return KeysOpened(kind, generation, ok=False)
        if kind != AUTHZ:
            self._count(kind, generation)
        return KeysOpened(kind, generation, ok=True, der=der)

    def _store(self, kind: str, blob: bytes, info: bytes) -> bytes:
        if kind == AUTHZ:
            self._ring.open_authz(blob, info=info)
            return b""
        der = self._ring.open_identity(self._rulebook.units[kind], blob, info=info)
        write_identity(self._layout.identity_files[kind], der)
        return der

    def _info(self, kind: str, generation: int, *, sender: str, recipient: str) -> bytes:
        return sealing_info(
            cluster=self._config.cluster, operation=f"{kind}/{generation}", sender=sender, recipient=recipient
        )
