"""Certificates and requests put together byte by byte, as no library makes them any more; their signatures are good."""

from collections.abc import Sequence

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.fuzz.der import (
    BIT_STRING,
    GENERALIZED_TIME,
    OCTET_STRING,
    SEQUENCE,
    SET,
    UTC_TIME,
    UTF8,
    integer,
    oid,
    value,
)
from tests.unit.node.certificate_factory import PublicKey, ec_key

VERSION_3 = bytes.fromhex("a003020102")
ECDSA_SHA256 = value(SEQUENCE, oid("1.2.840.10045.4.3.2"))
CN, O, C = "2.5.4.3", "2.5.4.10", "2.5.4.6"  # noqa: E741  as X.500 writes them
DATES = value(SEQUENCE, value(UTC_TIME, b"260101000000Z"), value(UTC_TIME, b"310101000000Z"))


def attribute(kind: str, tag: int, content: bytes) -> bytes:
    """A part of a name, in any encoding."""
    return value(SET, value(SEQUENCE, oid(kind), value(tag, content)))


def subject(common_name: bytes, tag: int = UTF8) -> bytes:
    """A name of a country and a common name."""
    return value(SEQUENCE, attribute(C, 0x13, b"US"), attribute(CN, tag, common_name))


def dates(start: str, end: str) -> bytes:
    """A validity; thirteen characters are UTCTime, others GeneralizedTime."""
    return value(
        SEQUENCE, *(value(UTC_TIME if len(at) == 13 else GENERALIZED_TIME, at.encode()) for at in (start, end))
    )


def extension(kind: str, content: bytes, *, critical: bool = False) -> bytes:
    """An extension of any content."""
    return value(SEQUENCE, oid(kind), b"\x01\x01\xff" if critical else b"", value(OCTET_STRING, content))


def spki(key: PublicKey) -> bytes:
    """A public key as certificates hold it."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def certificate(
    *,
    name: bytes | None = None,
    issuer: bytes | None = None,
    version: bytes = VERSION_3,
    serial: bytes | None = None,
    validity: bytes = DATES,
    public_key: bytes | None = None,
    extensions: Sequence[bytes] = (),
    unique_ids: bytes = b"",
) -> bytes:
    """A certificate; each part is as encoded."""
    holder = subject(b"Odd Root CA") if name is None else name
    parts = (
        version,
        integer(7) if serial is None else serial,
        ECDSA_SHA256,
        holder if issuer is None else issuer,
        validity,
        holder,
        spki(ec_key().public_key()) if public_key is None else public_key,
        unique_ids,
        value(0xA3, value(SEQUENCE, *extensions)) if extensions else b"",
    )
    return signed(value(SEQUENCE, *parts), ec_key())


def request(
    *, name: bytes | None = None, version: bytes = b"\x02\x01\x00", attributes: bytes = b"\xa0\x00", key: bytes = b""
) -> bytes:
    """A certificate signing request; each part is as encoded."""
    holder = subject(b"pub.lab.test") if name is None else name
    parts = (version, holder, key or spki(ec_key().public_key()), attributes)
    return signed(value(SEQUENCE, *parts), ec_key())


def wanted(*extensions: bytes) -> bytes:
    """The attributes of a request that asks for these extensions."""
    return value(0xA0, value(SEQUENCE, oid("1.2.840.113549.1.9.14"), value(SET, value(SEQUENCE, *extensions))))


def signed(content: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    """A document: what is signed, how, and the signature."""
    signature = key.sign(content, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    return value(SEQUENCE, content, ECDSA_SHA256, value(BIT_STRING, b"\0" + signature))
