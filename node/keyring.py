"""A node's private keys: the only place that holds them, on disk and in memory.

The core speaks of keys by name; here are the bytes. They leave in two ways only: as a signature, or sealed to another
member. RSA keys are taken from `private/spare/` where the lab has put some (50 to 67 ms each to make), else made.
"""

import hashlib
import secrets
from collections.abc import Iterable
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
)

from ucmlab.node.config import AuthzAsked
from ucmlab.node.csr_reading import UNREADABLE_CSR, read_csr
from ucmlab.node.errors import SealBroken
from ucmlab.node.privatefile import TEMPORARY, private_folder, read_private, sync_folder, write_private
from ucmlab.node.rulebook import Unit
from ucmlab.node.sealing import BusIdentity, Secret, seal, unseal
from ucmlab.node.sharing_rules import may_be_taken

IdentityKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PUBLIC_EXPONENT = 65537
AUTHZ_BITS = 2048
"""R-125 says RSA; the length is [ASSUMED]."""
ENCRYPTION_KEY_BYTES = 32
_CURVES: dict[str, type[ec.EllipticCurve]] = {"ec-256": ec.SECP256R1, "ec-384": ec.SECP384R1, "ec-521": ec.SECP521R1}
_NAMED_BY = 16
"""Hex digits of the public key's SHA-256 that are in the name of a request's key file."""
_TAKEN = f"{TEMPORARY}taken-"


class AuthzDigests(msgspec.Struct, frozen=True):
    """What may be shown of the OAuth keys (`show key authz`): lower-case hex SHA-256, and which generation they are."""

    generation: int
    signing: str
    """Over the public key (SubjectPublicKeyInfo, DER)."""
    encryption: str


class _Authz(Secret, frozen=True):
    generation: int
    signing: bytes
    """PKCS#8 DER."""
    encryption: bytes


class _SealedIdentity(Secret, frozen=True, array_like=True):
    certificate: bytes
    key: bytes


class _SealedCsr(Secret, frozen=True, array_like=True):
    request: bytes
    key: bytes


class KeyRing:
    """The private keys of one node, below its home. One process owns a home; nothing here is for two at a time."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._private = home / "private"
        self._bus: BusIdentity | None = None

    def __repr__(self) -> str:
        return f"KeyRing({str(self._home)!r})"

    @property
    def bus_file(self) -> Path:
        """Where the lab puts this member's `BusIdentity` before the node's first start."""
        return self._private / "bus.json"

    @property
    def bus(self) -> BusIdentity:
        """This member's keys of the bus.

        Raises:
            FileNotFoundError: the lab has not provisioned them.
        """
        if self._bus is None:
            self._bus = BusIdentity.load(self.bus_file)
        return self._bus

    def clean(self, units: Iterable[Unit]) -> None:
        """Remove what a crash left half done; call it once, before anything else."""
        units = tuple(units)
        for unit in units:
            if not (self._home / unit.csr_file).exists():
                self.drop_csr_keys(unit)
        folders = [self._private, self._spare, *((self._home / unit.key_file).parent for unit in units)]
        for folder in folders:
            for leftover in folder.glob(f"{TEMPORARY}*"):
                leftover.unlink()

    def stock(self, keys: Iterable[bytes]) -> None:
        """Put spare RSA keys by (PKCS#8 DER, made by ucmlab), for identities that are made later."""
        for der in keys:
            key = _load_der(der)
            if isinstance(key, rsa.RSAPrivateKey):
                write_private(self.spare_places(key.key_size, 1)[0], der)

    def spare_places(self, bits: int, number: int) -> list[Path]:
        """Where so many further spare RSA keys are to be put: private files, PKCS#8 DER, made by ucmlab.

        Makes the folder.
        """
        private_folder(self._private)
        folder = private_folder(self._spare)
        return [folder / f"rsa-{bits}-{secrets.token_hex(8)}.der" for _ in range(number)]

    def make_identity_key(self, unit: Unit, kind: str) -> IdentityKey:
        """Make the next key of an identity (`rsa-2048`, `ec-384`) and store it, durably.

        The one before it stays beside it: until the new certificate is in place too, a crash must leave a pair.

        Raises:
            ValueError: no such kind of key.
            OSError: it could not be stored.
        """
        key = self._make(kind)
        self._store(unit, key)
        return key

    def identity_key(self, unit: Unit, certificate: bytes) -> IdentityKey:
        """The key that belongs to the certificate (DER).

        Raises:
            KeyError: the node does not have it.
        """
        return _load_pem(read_private(self.identity_key_file(unit, certificate)))

    def identity_key_file(self, unit: Unit, certificate: bytes) -> Path:
        """The PEM file with the key that belongs to the certificate (DER), for `ssl`, which reads files only.

        Raises:
            KeyError: the node does not have it.
        """
        wanted = _public_bytes(x509.load_der_x509_certificate(certificate).public_key())
        for path in self._key_files(unit):
            if path.exists() and _public_bytes(_load_pem(read_private(path)).public_key()) == wanted:
                return path
        raise KeyError(f"no key for this certificate of {unit.name}")

    def make_csr_key(self, unit: Unit, kind: str) -> IdentityKey:
        """Make the key of a certificate signing request and store it, durably; the keys of earlier ones stay.

        Until the new request is in place too, a crash must leave a pair: see `drop_other_csr_keys`.

        Raises:
            ValueError: no such kind of key.
            OSError: it could not be stored.
        """
        key = self._make(kind)
        self._store_csr_key(unit, key)
        return key

    def drop_other_csr_keys(self, unit: Unit, csr: bytes) -> None:
        """Forget the keys of earlier requests: the one of this request (DER) has taken their place (R-151)."""
        kept = self._csr_key_file(unit, x509.load_der_x509_csr(csr).public_key())
        for path in kept.parent.glob(f"{unit.name}_csr_*_priv.pem"):
            if path != kept:
                path.unlink()

    def install_csr_key(self, unit: Unit, certificate: bytes) -> None:
        """Make the key of a request the identity's, durably: the certificate (DER) that a CA made of it has come.

        Call it before the certificate is put in place; the request's own key file stays until `drop_csr_keys`.

        Raises:
            KeyError: the node has no request with this certificate's key.
            OSError: it could not be stored.
        """
        path = self._csr_key_file(unit, x509.load_der_x509_certificate(certificate).public_key())
        if not path.exists():
            raise KeyError(f"no request of {unit.name} has the key of this certificate")
        self._store(unit, _load_pem(read_private(path)))

    def drop_csr_keys(self, unit: Unit) -> None:
        """Forget the keys of all requests: there is none that waits any more."""
        for path in (self._home / unit.key_file).parent.glob(f"{unit.name}_csr_*_priv.pem"):
            path.unlink()

    def seal_csr(self, unit: Unit, csr: bytes, *, recipient_public: bytes, info: bytes) -> bytes:
        """Seal a request (DER) and its key to another member (B.8: one key for several nodes).

        Raises:
            KeyError: the node does not have the key of this request.
        """
        path = self._csr_key_file(unit, x509.load_der_x509_csr(csr).public_key())
        if not path.exists():
            raise KeyError(f"no key for this request of {unit.name}")
        key = _private_der(_load_pem(read_private(path)))
        return seal(recipient_public, msgspec.msgpack.encode(_SealedCsr(csr, key)), info=info)

    def open_csr(self, unit: Unit, blob: bytes, *, info: bytes, family: str) -> bytes:
        """Open what `seal_csr` sealed to this node, store the key, and return the request (DER).

        Raises:
            SealBroken: it does not open, key and request do not belong together, or it is no multi-server request with
                a key of that family (`rsa`, `ec`): others' requests for one node are nobody's to replace.
        """
        csr, key = _request_of(unseal(self.bus.sealing_private, blob, info=info))
        if not may_be_taken("request", csr, family):
            raise SealBroken
        self._store_csr_key(unit, key)
        return csr

    def seal_identity(self, unit: Unit, certificate: bytes, *, recipient_public: bytes, info: bytes) -> bytes:
        """Seal an identity of the cluster, certificate and key, to another member (ITLRecovery, multi-server).

        Raises:
            KeyError: the node does not have the key of this certificate.
        """
        key = _private_der(self.identity_key(unit, certificate))
        return seal(recipient_public, msgspec.msgpack.encode(_SealedIdentity(certificate, key)), info=info)

    def open_identity(self, unit: Unit, blob: bytes, *, info: bytes) -> bytes:
        """Open and store what `seal_identity` sealed to this node; return the certificate (DER).

        Raises:
            SealBroken: it does not open, or key and certificate do not belong together.
        """
        certificate, key = _identity_of(unseal(self.bus.sealing_private, blob, info=info))
        self._store(unit, key)
        return certificate

    def open_shared_identity(self, unit: Unit, blob: bytes, *, info: bytes, family: str) -> bytes:
        """Open and store an identity of several nodes that another of them sealed; return the certificate (DER).

        Raises:
            SealBroken: as `open_identity`, or it is no multi-server certificate with a key of that family.
        """
        certificate, key = _identity_of(unseal(self.bus.sealing_private, blob, info=info))
        if not may_be_taken("identity", certificate, family):
            raise SealBroken
        self._store(unit, key)
        return certificate

    def reuse_identity(self, source: Unit, certificate: bytes, unit: Unit) -> None:
        """Make the key of one identity's certificate (DER) the key of another identity as well, durably.

        Raises:
            KeyError: the node does not have it.
            OSError: it could not be stored.
        """
        self._store(unit, self.identity_key(source, certificate))

    def make_authz(self, generation: int, key: AuthzAsked = "") -> AuthzDigests:
        """Make and store new OAuth keys (R-125: the signing key is RSA, the encryption key symmetric).

        Args:
            generation: of the pair.
            key: the one to be made, while the other stays (R-123); empty, or without any keys yet: both.
        """
        kept = self._authz_keys()
        signing = None if kept is None or key != "encryption" else kept.signing
        encryption = None if kept is None or key != "signing" else kept.encryption
        return self._store_authz(
            _Authz(
                generation,
                _private_der(self._make(f"rsa-{AUTHZ_BITS}")) if signing is None else signing,
                secrets.token_bytes(ENCRYPTION_KEY_BYTES) if encryption is None else encryption,
            )
        )

    def authz(self) -> AuthzDigests | None:
        """What may be shown of the OAuth keys; `None` before the node has any."""
        keys = self._authz_keys()
        return None if keys is None else _digests(keys)

    def _authz_keys(self) -> _Authz | None:
        path = self._private / "authz.json"
        return msgspec.json.decode(read_private(path), type=_Authz) if path.exists() else None

    def seal_authz(self, *, recipient_public: bytes, info: bytes) -> bytes:
        """Seal the OAuth keys to another member (R-133).

        Raises:
            FileNotFoundError: the node has none.
        """
        # What is on disk is JSON already; the receiver decodes it before it trusts it.
        return seal(recipient_public, read_private(self._private / "authz.json"), info=info)

    def open_authz(self, blob: bytes, *, info: bytes) -> AuthzDigests:
        """Open and store what `seal_authz` sealed to this node.

        Raises:
            SealBroken: it does not open, or holds something else.
        """
        opened = unseal(self.bus.sealing_private, blob, info=info)
        try:
            return self._store_authz(msgspec.json.decode(opened, type=_Authz))
        except (msgspec.DecodeError, ValueError):
            raise SealBroken from None

    @property
    def _spare(self) -> Path:
        return self._private / "spare"

    def _key_files(self, unit: Unit) -> tuple[Path, Path]:
        current = self._home / unit.key_file
        return current, current.with_name(f"{unit.name}_priv_before.pem")

    def _store_csr_key(self, unit: Unit, key: IdentityKey) -> None:
        path = self._csr_key_file(unit, key.public_key())
        private_folder(path.parent)
        write_private(path, _private_pem(key))

    def _csr_key_file(self, unit: Unit, public: object) -> Path:
        # [ASSUMED] the name: the product's is not public. Named by the key, since a file of two is written first.
        digest = hashlib.sha256(_public_bytes(public)).hexdigest()[:_NAMED_BY]
        return (self._home / unit.key_file).with_name(f"{unit.name}_csr_{digest}_priv.pem")

    def _make(self, kind: str) -> IdentityKey:
        curve = _CURVES.get(kind)
        if curve is not None:
            return ec.generate_private_key(curve())
        family, _, bits = kind.partition("-")
        if family != "rsa" or not bits.isdecimal():
            raise ValueError(f"{kind!r} is no kind of key; write it like rsa-2048 or ec-384")
        return self._take_spare(kind) or rsa.generate_private_key(PUBLIC_EXPONENT, int(bits))

    def _take_spare(self, kind: str) -> IdentityKey | None:
        for path in sorted(self._spare.glob(f"{kind}-*.der")):
            # Renamed before it is read: whatever happens next, this key is not taken a second time.
            taken = path.with_name(_TAKEN + path.name)
            path.rename(taken)
            der = read_private(taken)
            taken.unlink()
            return _load_der(der)
        return None

    def _store(self, unit: Unit, key: IdentityKey) -> None:
        current, before = self._key_files(unit)
        private_folder(current.parent)
        # A key of an attempt that failed takes nobody's place: the one before it may be the certificate's.
        if current.exists() and self._in_use(unit, current):
            current.replace(before)
            sync_folder(current.parent)
        # The product protects the file with a passphrase that lies beside it (B.5); not simulated: it protects nothing.
        write_private(current, _private_pem(key))

    def _in_use(self, unit: Unit, key: Path) -> bool:
        """Whether a key file may belong to the certificate in place: in doubt, yes."""
        try:
            certificate = x509.load_pem_x509_certificate((self._home / unit.certificate_file).read_bytes())
            return _public_bytes(_load_pem(read_private(key)).public_key()) == _public_bytes(certificate.public_key())
        except (FileNotFoundError, *UNREADABLE_CSR):
            return True

    def _store_authz(self, keys: _Authz) -> AuthzDigests:
        digests = _digests(keys)
        write_private(self._private / "authz.json", msgspec.json.encode(keys))
        return digests


def _digests(keys: _Authz) -> AuthzDigests:
    public = _public_bytes(_load_der(keys.signing).public_key())
    return AuthzDigests(
        keys.generation, hashlib.sha256(public).hexdigest(), hashlib.sha256(keys.encryption).hexdigest()
    )


def _identity_of(opened: bytes) -> tuple[bytes, IdentityKey]:
    try:
        sealed = msgspec.msgpack.decode(opened, type=_SealedIdentity)
        key = _load_der(sealed.key)
        named = x509.load_der_x509_certificate(sealed.certificate).public_key()
    except (msgspec.DecodeError, *UNREADABLE_CSR):
        raise SealBroken from None
    if _public_bytes(key.public_key()) != _public_bytes(named):
        raise SealBroken
    return sealed.certificate, key


def _request_of(opened: bytes) -> tuple[bytes, IdentityKey]:
    try:
        sealed = msgspec.msgpack.decode(opened, type=_SealedCsr)
        key = _load_der(sealed.key)
        named = read_csr(sealed.request).public_key()
    except (msgspec.DecodeError, *UNREADABLE_CSR):
        raise SealBroken from None
    if _public_bytes(key.public_key()) != _public_bytes(named):
        raise SealBroken
    return sealed.request, key


def _load_pem(content: bytes) -> IdentityKey:
    # Without validation (0.013 in place of 38 ms): only ever for files that this class wrote.
    return _ours(load_pem_private_key(content, None, unsafe_skip_rsa_key_validation=True))


def _load_der(content: bytes) -> IdentityKey:
    # As above: spare keys and sealed keys are made by ucmlab, and arrive in private files or signed and sealed.
    return _ours(load_der_private_key(content, None, unsafe_skip_rsa_key_validation=True))


def _ours(key: object) -> IdentityKey:
    if isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)):
        return key
    raise ValueError("a key file of ours holds another kind of key")


def _private_der(key: IdentityKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _private_pem(key: IdentityKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _public_bytes(key: object) -> bytes:
    if isinstance(key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey)):
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b""
