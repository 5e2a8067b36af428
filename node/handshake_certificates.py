"""What OpenSSL sees in a certificate before it uses any key: whose issuer it may be, and what it may be used for."""

from typing import Literal

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.x509.oid import PublicKeyAlgorithmOID, SignatureAlgorithmOID

from ucmlab.node import names
from ucmlab.node.certificates import Certificate, parse
from ucmlab.node.issuing import (
    UNDERSTOOD,
    Standing,
    extensions_of,
    find_extension,
    load,
    named,
    public_key,
    standing,
)
from ucmlab.node.remembered import Remembered
from ucmlab.node.usages import usages_of

RSA_BITS = 919
"""RSA keys from here on have the 80 bits of strength that security level 1 asks for, by OpenSSL's own formula."""
CURVE_BITS = 160
"""The same for EC."""
_WEAK_HASHES = frozenset({"md5", "sha1"})
"""Below the 80 bits of security level 1 since OpenSSL 3.0."""
_PROXY = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.14")
_KINDS = {
    PublicKeyAlgorithmOID.RSAES_PKCS1_v1_5: "rsa",
    PublicKeyAlgorithmOID.RSASSA_PSS: "rsa-pss",
    PublicKeyAlgorithmOID.EC_PUBLIC_KEY: "ec",
    PublicKeyAlgorithmOID.ED25519: "ed25519",
}
_SIGNED = {SignatureAlgorithmOID.RSASSA_PSS: "rsa-pss", SignatureAlgorithmOID.ED25519: "ed25519"}
_SIGNED_RSA, _SIGNED_EC = "1.2.840.113549.1.1.", "1.2.840.10045.4."
"""Arcs under which the other algorithms are."""


class Seen(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What OpenSSL sees in a certificate."""

    certificate: Certificate
    subject: names.Canonical
    issuer: names.Canonical
    told: Standing
    key_issuer: names.Canonical | None
    """The issuer's issuer as the authority key identifier has it, which few do."""
    self_issued: bool
    self_signed: bool
    """It says so: by name, key identifiers and kind of signature; nobody checks the signature."""
    readable: bool
    """Its extensions make sense; one with a key usage that allows nothing is nobody's issuer."""
    critical: str
    """A critical extension that is not understood, dotted, or empty."""
    usages: frozenset[str] | None
    """Key usage, as the bits are called in RFC 5280; None, there is none."""
    extended: frozenset[x509.ObjectIdentifier] | None
    key_kind: str
    weak_key: bool
    signed_by: str
    """The kind of key that its signature needs."""
    weak_signature: bool
    curve_spelt_out: bool

    @property
    def der(self) -> bytes:
        """By which one is told from another: what was forgotten and read again is the same certificate."""
        return self.certificate.der

    @property
    def name(self) -> str:
        """What people know it by."""
        return self.certificate.subject

    @property
    def why_no_ca(self) -> Literal["", "not_a_ca", "key_usage"]:
        """What keeps it from being a CA of any sort."""
        if self.usages is not None and "keyCertSign" not in self.usages:
            return "key_usage"
        if self.told.ca is not None:
            return "" if self.told.ca else "not_a_ca"
        # Without basic constraints: a root of version 1, or whoever may sign certificates by the key usage.
        return "" if self.usages is not None or (self.told.version == 1 and self.self_signed) else "not_a_ca"

    @property
    def plainly_ca(self) -> bool:
        """Whether basic constraints say that it is a CA: only the last of a chain may leave that open."""
        return not self.why_no_ca and bool(self.told.ca)


@Remembered
def see(der: bytes) -> Seen:
    """Read a certificate.

    Raises:
        Refusal: `format`, it is none.
    """
    certificate = parse(der)
    subject, issuer = named(der)
    told = standing(der)
    usage = find_extension(der, x509.KeyUsage)
    extended = find_extension(der, x509.ExtendedKeyUsage)
    key_kind, weak_key = _key(der, certificate)
    signed_by, weak_signature = _signature(der)
    seen = Seen(
        certificate=certificate,
        subject=subject,
        issuer=issuer,
        told=told,
        key_issuer=_key_issuer(der),
        self_issued=subject == issuer,
        self_signed=False,
        readable=usage is None or bool(usages_of(usage)),
        critical=_not_understood(der),
        usages=None if usage is None else usages_of(usage),
        extended=None if extended is None else frozenset(extended),
        key_kind=key_kind,
        weak_key=weak_key,
        signed_by=signed_by,
        weak_signature=weak_signature,
        curve_spelt_out=key_kind == "ec" and not names.curve_is_named(public_key(certificate)),
    )
    return msgspec.structs.replace(seen, self_signed=may_have_issued(seen, seen))


def may_have_issued(issuer: Seen, child: Seen) -> bool:
    """Whether one may have issued the other, by all that can be told without a key."""
    wanted = child.told
    if issuer.subject != child.issuer or not issuer.readable or not child.readable:
        return False
    if wanted.issuer_key_id and issuer.told.key_id and wanted.issuer_key_id != issuer.told.key_id:
        return False
    if wanted.issuer_serial is not None and f"{wanted.issuer_serial:x}" != issuer.certificate.serial:
        return False
    if child.key_issuer is not None and child.key_issuer != issuer.issuer:
        return False
    return child.signed_by == issuer.key_kind or (child.signed_by, issuer.key_kind) == ("rsa-pss", "rsa")


def _key_issuer(der: bytes) -> names.Canonical | None:
    identifier = find_extension(der, x509.AuthorityKeyIdentifier)
    for name in (identifier and identifier.authority_cert_issuer) or ():
        if isinstance(name, x509.DirectoryName):
            return names.canonical(name.value.public_bytes())
    return None


def _not_understood(der: bytes) -> str:
    """The first extension that is not taken; proxy certificates (RFC 3820) never are, critical or not."""
    some = (each for each in extensions_of(der) if each.oid == _PROXY or (each.critical and each.oid not in UNDERSTOOD))
    return next((each.oid.dotted_string for each in some), "")


def _key(der: bytes, certificate: Certificate) -> tuple[str, bool]:
    """Kind of a certificate's key, and whether it is below the security level."""
    kind = _KINDS.get(load(der).public_key_algorithm_oid, certificate.key)
    try:
        key = load_der_public_key(public_key(certificate))
    except (UnsupportedAlgorithm, ValueError):
        return kind, True
    if isinstance(key, rsa.RSAPublicKey):
        return kind, key.key_size < RSA_BITS
    if isinstance(key, ec.EllipticCurvePublicKey):
        return kind, key.curve.key_size < CURVE_BITS
    return kind, False


def _signature(der: bytes) -> tuple[str, bool]:
    """The kind of key that made a certificate's signature, and whether its hash is below the security level."""
    kind = _signer(load(der).signature_algorithm_oid)
    try:
        digest = load(der).signature_hash_algorithm
    except UnsupportedAlgorithm:
        return kind, True
    return kind, digest is not None and digest.name in _WEAK_HASHES


def _signer(oid: x509.ObjectIdentifier) -> str:
    dotted = oid.dotted_string
    if oid in _SIGNED or not dotted.startswith((_SIGNED_RSA, _SIGNED_EC)):
        return _SIGNED.get(oid, dotted)
    return "rsa" if dotted.startswith(_SIGNED_RSA) else "ec"
