"""Certificates as the core sees them: read once, then values. Also which of them a trust store takes.

Nothing here makes a key, signs, or needs a clock: `cryptography` parses, the rest is comparison. Whatever an operator
or a peer sends ends as a `Certificate` or as a `Refusal`, never as another exception.
"""

import base64
import hashlib
import re
import warnings
from typing import Literal

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from ucmlab.node import names
from ucmlab.node.errors import Refusal
from ucmlab.node.instant import from_datetime, rfc3339
from ucmlab.node.remembered import Remembered

KEY_LIMIT_BITS = 4096
"""B.4."""
_SUPPORTED = ("rsa", "ec")
"""R-026, X-06: the product knows RSA and EC keys. All others are refused. [ASSUMED]"""
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
MALFORMED = (
    ValueError,
    TypeError,
    KeyError,  # a TLS feature that the library has no name for (RFC 7633)
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What `cryptography` raises while it reads a certificate or a request, beside `UnsupportedAlgorithm`."""
_FILE_NAME_LIMIT = 120
"""Characters of a common name that a file name keeps; with serial, suffix and temporary names it stays below 255."""
_FILE_SERIAL_LIMIT = 40
"""Digits of a serial number that a file name keeps: RFC 5280 allows twenty octets, certificates have had more."""


class Certificate(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One X.509 certificate, with what the rules ask about it."""

    der: bytes
    fingerprint: str
    """Lower-case hex SHA-256 of `der`."""
    serial: str
    """Lower-case hex without leading zeros."""
    subject: str
    """RFC 4514, as is `issuer`."""
    issuer: str
    common_name: str
    """The last CN of the subject, or empty."""
    first_name: str
    """The first attribute value of the subject, or empty: what a certificate without a CN is filed under."""
    not_before: int
    """Microseconds since 1970 UTC, as is `not_after`; both instants are inside the validity."""
    not_after: int
    key: str
    """`rsa-2048`, `ec-256`, `ed25519`, ..., `unknown`."""
    key_bits: int
    is_ca: bool
    self_signed: bool
    """Subject and issuer are equal; no signature was checked."""
    sans: tuple[str, ...]
    """DNS names and IP addresses of the subject alternative name, in the order of the certificate."""

    def validity(self, wall: int) -> Literal["valid", "expired", "not_yet_valid"]:
        """How the certificate stands at a wall instant; both ends count as valid (RFC 5280, 4.1.2.5)."""
        if wall > self.not_after:
            return "expired"
        return "valid" if wall >= self.not_before else "not_yet_valid"


@Remembered
def parse(der: bytes) -> Certificate:
    """Read one DER certificate.

    Raises:
        Refusal: `format`, it is none or a malformed one.
    """
    try:
        # Certificates of old CAs have a serial number zero or a long country code: cryptography warns, we accept.
        with warnings.catch_warnings(action="ignore"):
            return _read(der)
    except MALFORMED:
        # The library's text is dropped: it may quote what was uploaded.
        raise Refusal("format", "this is no well-formed X.509 certificate") from None


def names_content(fingerprint: str, der: bytes) -> bool:
    """Whether it is a certificate (DER), and the one of that fingerprint: else a row names nobody's certificate."""
    try:
        return parse(der).fingerprint == fingerprint
    except Refusal:
        return False


def check_trust_certificate(certificate: Certificate, wall: int) -> None:
    """Judge whether a trust store may take it, at this node's wall clock (B.10, in its order of checks).

    Raises:
        Refusal: `key_type`, `key_over_4096`, `wildcard`, `expired` or `not_yet_valid`.
    """
    if certificate.key.partition("-")[0] not in _SUPPORTED:
        raise Refusal("key_type", certificate.key)
    if certificate.key_bits > KEY_LIMIT_BITS:
        raise Refusal("key_over_4096", certificate.key)
    for name in (certificate.common_name, *certificate.sans):
        if name.startswith("*."):
            raise Refusal("wildcard", name)
    # Only "expired" is stated as refused (B.10). "Check validity" comes first in its same-CN sequence, and the
    # product's Java checks both ends at once, so a certificate of tomorrow is refused as well. [INFERRED]
    match certificate.validity(wall):
        case "expired":
            raise Refusal("expired", f"not after {rfc3339(certificate.not_after)}")
        case "not_yet_valid":
            raise Refusal("not_yet_valid", f"not before {rfc3339(certificate.not_before)}")
        case "valid":
            return


def pem(der: bytes) -> str:
    """Write a certificate as PEM, 64 columns and LF, without text around it: clients compare it byte for byte."""
    text = base64.b64encode(der).decode()
    body = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"


def trust_file_stem(der: bytes, style: Literal["cn", "cn_serial"]) -> str:
    """Name the file of a trust certificate (DER), without its suffix (B.5): `<CN>`, or `<CN>_<serial>` from 14SU1.

    Blanks become `_` as in the product. Every other byte outside `A-Za-z0-9._-` is written `%XX`, so that a name
    cannot leave its folder and different names stay different. A long name, and a serial number longer than RFC 5280
    allows, end in a digest of the whole.
    """
    name, serial = _file_words(der)
    return name if style == "cn" else f"{name}_{serial}"


@Remembered
def _file_words(der: bytes) -> tuple[str, str]:
    """Name and serial number as file names have them."""
    # Not `parse`: a node names every certificate of its cluster at its start, and asks no more of most of them.
    parts = names.cut(der)
    subject = names.read(parts.subject)
    name = _file_name(subject.common_name or subject.first_value or "unnamed")
    # Whole bytes, as the product writes serial 1 as `01`.
    serial = f"{parts.serial_number:x}"
    digits = serial.zfill(len(serial) + len(serial) % 2)
    return name, _shortened(digits, _FILE_SERIAL_LIMIT, whole=serial)


def _read(der: bytes) -> Certificate:
    loaded = x509.load_der_x509_certificate(der)
    parts = names.cut(der)
    subject = names.read(parts.subject)
    issuer = names.read(parts.issuer)
    key, key_bits = _key(loaded)
    is_ca, sans = _extensions(loaded)
    return Certificate(
        der=der,
        fingerprint=hashlib.sha256(der).hexdigest(),
        serial=f"{loaded.serial_number:x}",
        subject=subject.text,
        issuer=issuer.text,
        common_name=subject.common_name,
        first_name=subject.first_value,
        not_before=from_datetime(loaded.not_valid_before_utc),
        not_after=from_datetime(loaded.not_valid_after_utc),
        key=key,
        key_bits=key_bits,
        is_ca=is_ca,
        self_signed=subject == issuer,
        sans=sans,
    )


def _key(loaded: x509.Certificate) -> tuple[str, int]:
    try:
        public = loaded.public_key()
    except UnsupportedAlgorithm:
        # A well-formed certificate with a key that we cannot use; refused later, as `key_type`.
        return "unknown", 0
    return _describe(public)


def _describe(public: CertificatePublicKeyTypes) -> tuple[str, int]:
    if isinstance(public, rsa.RSAPublicKey):
        return f"rsa-{public.key_size}", public.key_size
    if isinstance(public, ec.EllipticCurvePublicKey):
        # Only the NIST curves that the product offers are called by their size.
        prefix = "ec" if public.curve.name in _CURVES else public.curve.name
        return f"{prefix}-{public.key_size}", public.key_size
    if isinstance(public, ed25519.Ed25519PublicKey):
        return "ed25519", 256
    return "unknown", 0


def _extensions(loaded: x509.Certificate) -> tuple[bool, tuple[str, ...]]:
    is_ca, sans = False, list[str]()
    for extension in loaded.extensions:
        value = extension.value
        if isinstance(value, x509.BasicConstraints):
            is_ca = value.ca
        elif isinstance(value, x509.SubjectAlternativeName):
            sans = [str(name.value) for name in value if isinstance(name, (x509.DNSName, x509.IPAddress))]
    return is_ca, tuple(sans)


_PLAIN = re.compile(r"[A-Za-z0-9._-]+")


@Remembered
def _file_name(name: str) -> str:
    kept = name.replace(" ", "_")
    if not _PLAIN.fullmatch(kept):
        kept = "".join(_file_character(character) for character in name)
    if kept.startswith("."):
        kept = f"%2E{kept[1:]}"
    return _shortened(kept, _FILE_NAME_LIMIT, whole=name)


def _shortened(text: str, limit: int, *, whole: str) -> str:
    """At most so many characters; what is longer ends in a digest of the whole."""
    if len(text) <= limit:
        return text
    return f"{text[: limit - 9]}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"


def _file_character(character: str) -> str:
    if character == " ":
        return "_"
    if character.isascii() and (character.isalnum() or character in "._-"):
        return character
    return "".join(f"%{byte:02X}" for byte in character.encode())
