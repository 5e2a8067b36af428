"""CAs for tests: roots, intermediates, leaves, cross-signed and crooked ones, quickly (EC keys made from numbers)."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from tests.unit.node.certificate_factory import END, START, name
from ucmlab.node import names
from ucmlab.node.certificates import Certificate, parse

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
NO_USAGE: dict[str, bool] = dict.fromkeys(
    (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    ),
    False,
)


class Authority(msgspec.Struct, frozen=True):
    """A name with a key, and the certificate that it has; a leaf is one that happens to sign nothing."""

    certificate: Certificate
    key: PrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.der


@lru_cache(maxsize=256)
def numbered_key(number: int) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(1 + number, ec.SECP256R1())


def usage(*bits: str) -> x509.KeyUsage:
    return x509.KeyUsage(**(NO_USAGE | dict.fromkeys(bits, True)))


def issue(
    common_name: str | x509.Name,
    key: int | PrivateKey,
    issuer: Authority | None = None,
    *,
    ca: bool | None = True,
    path_length: int | None = None,
    key_usage: x509.KeyUsage | None = None,
    key_ids: bool = True,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    issuer_name: x509.Name | None = None,
    serial: int = 7,
    start: datetime = START,
    end: datetime = END,
) -> Authority:
    """A certificate, self-signed unless there is an issuer; `ca` None leaves basic constraints out."""
    own = numbered_key(key) if isinstance(key, int) else key
    subject = name(common_name) if isinstance(common_name, str) else common_name
    signer = own if issuer is None else issuer.key
    above = subject if issuer is None else x509.load_der_x509_certificate(issuer.der).subject
    builder = x509.CertificateBuilder(
        subject_name=subject,
        issuer_name=issuer_name or above,
        public_key=own.public_key(),
        serial_number=serial,
        not_valid_before=start,
        not_valid_after=end,
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
    if key_usage is not None:
        builder = builder.add_extension(key_usage, critical=True)
    if key_ids:
        mine, theirs = own.public_key(), signer.public_key()
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(mine), critical=False)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(theirs), critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    repeatable = True if isinstance(signer, ec.EllipticCurvePrivateKey) else None
    made = builder.sign(signer, hashes.SHA256(), ecdsa_deterministic=repeatable)
    return Authority(parse(made.public_bytes(Encoding.DER)), own)


def version_1(common_name: str, key: int, issuer: Authority | None = None) -> Authority:
    """A certificate of version 1: no extensions, as roots of the 1990s have none; no library makes them any more."""
    own = numbered_key(key)
    signer = own if issuer is None else issuer.key
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    plain = issue(common_name, key, issuer, ca=None, key_ids=False).der
    _, *rest = names._values(names._contents(names._contents(plain)), count=7)
    return Authority(parse(_signed(rest, signer)), own)


P256 = """
    3081e0020101302c06072a8648ce3d0101022100ffffffff00000001000000000000000000000000ffffffffffffffffffffffff30440420
    ffffffff00000001000000000000000000000000fffffffffffffffffffffffc04205ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f6
    3bce3c3e27d2604b0441046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e
    162bce33576b315ececbb6406837bf51f5022100ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551020101"""
"""The curve's parameters spelled out (SEC 1, C.2), as some made them in the 2000s."""


def with_curve_spelled_out(key: bytes) -> bytes:
    """A public key (SubjectPublicKeyInfo) on P-256 that does not name its curve."""
    oid = names.encode(0x06, bytes.fromhex("2a8648ce3d0201"))
    algorithm = names.encode(names.SEQUENCE, oid + bytes.fromhex(P256.replace("\n", "").replace(" ", "")))
    return names.encode(names.SEQUENCE, algorithm + key[key.rindex(b"\x03\x42\x00") :])


def spelling_out(common_name: str, key: int, issuer: Authority) -> Authority:
    """A leaf whose key does not name its curve; no library makes them any more."""
    assert isinstance(issuer.key, ec.EllipticCurvePrivateKey)
    plain = issue(common_name, key, issuer, ca=False)
    parts = names._values(names._contents(names._values(names._contents(plain.der))[0]))
    parts[6] = with_curve_spelled_out(parts[6])
    return Authority(parse(_signed(parts, issuer.key)), plain.key)


def _signed(parts: Sequence[bytes], signer: ec.EllipticCurvePrivateKey) -> bytes:
    """A certificate of these parts, signed anew; the signature's algorithm comes after the serial number."""
    to_be_signed = names.encode(names.SEQUENCE, b"".join(parts))
    algorithm = parts[[part[0] for part in parts].index(names.SEQUENCE)]
    signature = signer.sign(to_be_signed, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    bits = names.encode(0x03, b"\0" + signature)
    return names.encode(names.SEQUENCE, to_be_signed + algorithm + bits)
