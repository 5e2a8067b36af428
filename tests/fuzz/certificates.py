"""Certificates that a fuzzer starts from: good ones of every kind, and every oddity that old and careless CAs made.

All are the same bytes in every run: keys are made from numbers, ECDSA is deterministic, RSA is PKCS#1 or has no salt.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from tests.fuzz import odd_names, raw
from tests.fuzz.der import GENERALIZED_TIME, INTEGER, NULL, OCTET_STRING, SEQUENCE, UTC_TIME, UTF8, integer, oid, value
from tests.fuzz.known_extensions import known_extensions
from tests.fuzz.raw import dates, extension
from tests.unit.node.authorities import issue, usage, version_1
from tests.unit.node.certificate_factory import END, START, PrivateKey, certificate, ec_key, name
from ucmlab.cluster.ca.signatures import resigned
from ucmlab.cluster.simkeys import sim_rsa

ROOT = issue("Corp Root CA", 1)
POLICY = issue("Corp Policy CA", 2, ROOT)
ISSUING = issue("Corp Issuing CA", 3, POLICY)
LEAF = issue("pub.lab.example", 4, ISSUING, ca=False)
LINE = (LEAF, ISSUING, POLICY, ROOT)
"""A chain that is as it should be."""
SERVER = (
    x509.DNSName("pub.lab.example"),
    x509.DNSName("*.lab.example"),
    x509.IPAddress(ipaddress.ip_address("10.0.0.1")),
    x509.IPAddress(ipaddress.ip_address("fe80::1")),
    x509.RFC822Name("admin@lab.example"),
    x509.UniformResourceIdentifier("https://lab.example/x"),
    x509.DirectoryName(name("elsewhere")),
    x509.RegisteredID(x509.ObjectIdentifier("1.2.3.4")),
    x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x04user"),
)
HERE = x509.Name(list(name("x"))[:2])
LIMITS = x509.NameConstraints(
    [
        x509.DNSName("lab.example"),
        x509.IPAddress(ipaddress.ip_network("10.0.0.0/8")),
        x509.DirectoryName(HERE),
        x509.RFC822Name("lab.example"),
        x509.UniformResourceIdentifier(".lab.example"),
    ],
    [
        x509.DNSName("no.lab.example"),
        x509.RFC822Name("nobody@lab.example"),
        x509.IPAddress(ipaddress.ip_network("10.6.6.0/24")),
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3.5")),
        x509.OtherName(x509.ObjectIdentifier("1.2.3.6"), b"\x05\x00"),
    ],
)
LIMITED = issue("Limited CA", 7, ROOT, path_length=1, extensions=[(LIMITS, True)], key_usage=usage("key_cert_sign"))
BELOW = issue(
    "pub.lab.example",
    8,
    LIMITED,
    ca=False,
    extensions=[
        (
            x509.SubjectAlternativeName(
                [
                    x509.DNSName("pub.lab.example"),
                    x509.IPAddress(ipaddress.ip_address("10.0.0.1")),
                    x509.RFC822Name("admin@lab.example"),
                    x509.UniformResourceIdentifier("https://me@pub.lab.example:8443/x"),
                    x509.DirectoryName(name("elsewhere")),
                ]
            ),
            False,
        )
    ],
)
"""What stays within the limits of the one above."""
BITS = (1024, 2048, 3072, 4096)
EXPONENTS = (3, 17, (1 << 32) + 15, (1 << 2047) + 1)
CURVES = (ec.SECP384R1(), ec.SECP521R1(), ec.SECP256K1(), ec.BrainpoolP256R1(), ec.BrainpoolP384R1(), ec.SECP224R1())
TIMES = (
    ("500101000000Z", "491231235959Z"),
    ("20500101000000Z", "99991231235959Z"),
    ("00010101000000Z", "00010101000001Z"),
    ("00000101000000Z", "20300101000000Z"),
    ("19700101000000Z", "20300101000000Z"),
    ("310101000000Z", "260101000000Z"),
    ("2601010000Z", "310101000000Z"),
    ("260101000000Z", "310101000000+0100"),
    ("20260101000000.5Z", "20310101000000Z"),
    ("260230000000Z", "310101000000Z"),
    ("260101246060Z", "310101000000Z"),
    ("26010100000 Z", "3101010000-1Z"),
    ("", ""),
)
"""Dates at their limits, and malformed."""
SERIALS = (0, 1, -1, -128, 127, 128, -(1 << 63), (1 << 159) - 1, 1 << 159, 1 << 800, -(1 << 800), 1 << 16_000)


@lru_cache(maxsize=1)
def certificates() -> Mapping[str, bytes]:
    """All of them by name."""
    kinds = (_usual(), _keys(), _serials_and_dates(), _names(), _alternative_names(), _extensions())
    return {title: der for kind in kinds for title, der in kind}


def _usual() -> Iterator[tuple[str, bytes]]:
    yield from ((f"line {at}", each.der) for at, each in enumerate(LINE))
    yield "server", certificate("pub.lab.example", sans=SERVER[:1], ca=False)
    yield "root", certificate("Corp Root CA", ca=True)
    yield "later root", certificate("Corp Root CA", ca=True, start=START.replace(year=2027))
    yield "version 1", version_1("VeriSign", 6).der
    yield "version 2", raw.certificate(version=bytes.fromhex("a003020101"))
    yield "version 4", raw.certificate(version=bytes.fromhex("a003020103"))
    yield "version 1, said", raw.certificate(version=bytes.fromhex("a003020100"))
    yield "unique ids", raw.certificate(unique_ids=b"\x81\x02\x00\x01\x82\x02\x00\x02")
    yield from (("limited", LIMITED.der), ("below the limited", BELOW.der))


def _keys() -> Iterator[tuple[str, bytes]]:
    for bits in BITS:
        yield f"rsa-{bits}", certificate(f"RSA {bits}", key=sim_rsa(1, bits), ca=True)
    for exponent in EXPONENTS:
        public = rsa.RSAPublicNumbers(exponent, sim_rsa(1).public_key().public_numbers().n).public_key()
        yield f"exponent {exponent.bit_length()}", certificate("Exponent", public=public, ca=True)
    yield "rsa-4104", certificate("Long", public=rsa.RSAPublicNumbers(65537, (1 << 4104) - 1).public_key())
    yield "sha1", resigned(certificate("SHA-1", key=sim_rsa(2), ca=True), sim_rsa(2), "sha1")
    yield "md5", resigned(certificate("MD5", key=sim_rsa(3), ca=True), sim_rsa(3), "md5")
    yield "pss", _pss()
    for curve in CURVES:
        yield curve.name, certificate(curve.name, key=ec.derive_private_key(5, curve), ca=True)
    yield "ed25519", certificate("Ed25519", key=ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)), ca=True)
    for title, key in odd_keys().items():
        yield title, raw.certificate(name=raw.subject(title.encode()), public_key=key)


def odd_keys() -> dict[str, bytes]:
    """Public keys that libraries read, or do not."""
    point = raw.spki(ec_key().public_key())[-65:]
    ec_oid, p256 = oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7")
    compressed = bytes((2 + (point[-1] & 1),)) + point[1:33]
    rsa_null = value(SEQUENCE, oid("1.2.840.113549.1.1.1"), value(NULL))
    tiny = value(SEQUENCE, integer(15), integer(3))
    return {
        "spelt out curve": _spki(value(SEQUENCE, ec_oid, _spelt_out()), point),
        "implicit curve": _spki(value(SEQUENCE, ec_oid, value(NULL)), point),
        "compressed point": _spki(value(SEQUENCE, ec_oid, p256), compressed),
        "point at infinity": _spki(value(SEQUENCE, ec_oid, p256), b"\0"),
        "point off the curve": _spki(value(SEQUENCE, ec_oid, p256), b"\x04" + bytes(64)),
        "no point": _spki(value(SEQUENCE, ec_oid, p256), b""),
        "tiny rsa": _spki(rsa_null, tiny),
        "even rsa": _spki(rsa_null, value(SEQUENCE, integer(1 << 2047), integer(65537))),
        "negative rsa": _spki(rsa_null, value(SEQUENCE, integer(-(1 << 2047)), integer(65537))),
        "giant rsa": _spki(rsa_null, value(SEQUENCE, integer((1 << 60_000) + 1), integer(65537))),
        "exponent one": _spki(rsa_null, value(SEQUENCE, integer((1 << 2047) + 1), integer(1))),
        "x25519": _spki(value(SEQUENCE, oid("1.3.101.110")), bytes(32)),
        "ed448": _spki(value(SEQUENCE, oid("1.3.101.113")), _ed448()),
        "unknown kind": _spki(value(SEQUENCE, oid("1.2.3.4")), bytes(32)),
    }


def _spki(algorithm: bytes, key: bytes) -> bytes:
    return value(SEQUENCE, algorithm, value(0x03, b"\0" + key))


def _ed448() -> bytes:
    return ed448.Ed448PrivateKey.from_private_bytes(bytes(57)).public_key().public_bytes_raw()


def _spelt_out() -> bytes:
    """P-256 as ECParameters (SEC 1, C.2), not by its name."""
    prime = (1 << 256) - (1 << 224) + (1 << 192) + (1 << 96) - 1
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    x = 0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
    y = 0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    return value(
        SEQUENCE,
        integer(1),
        value(SEQUENCE, oid("1.2.840.10045.1.1"), integer(prime)),
        value(SEQUENCE, value(OCTET_STRING, (prime - 3).to_bytes(32)), value(OCTET_STRING, b.to_bytes(32))),
        value(OCTET_STRING, b"\x04" + x.to_bytes(32) + y.to_bytes(32)),
        integer(order),
        integer(1),
    )


def _pss() -> bytes:
    key: PrivateKey = sim_rsa(4)
    builder = x509.CertificateBuilder(name("PSS"), name("PSS"), key.public_key(), 9, START, END)
    # A salt is random; without one the signature is the same in every run.
    without_salt = padding.PSS(padding.MGF1(hashes.SHA256()), 0)
    return builder.sign(sim_rsa(4), hashes.SHA256(), rsa_padding=without_salt).public_bytes(Encoding.DER)


def _serials_and_dates() -> Iterator[tuple[str, bytes]]:
    for at, serial in enumerate(SERIALS):
        yield f"serial {at}", raw.certificate(name=raw.subject(b"Serial %d" % at), serial=integer(serial))
    yield "serial with zeros", raw.certificate(serial=value(INTEGER, b"\0\0\1"))
    yield "no serial", raw.certificate(serial=value(INTEGER))
    for at, (start, end) in enumerate(TIMES):
        yield f"dates {at}", raw.certificate(name=raw.subject(b"Dates %d" % at), validity=dates(start, end))
    early = value(SEQUENCE, value(GENERALIZED_TIME, b"20260101000000Z"), value(UTC_TIME, b"310101000000Z"))
    yield "general where utc belongs", raw.certificate(validity=early)


def _names() -> Iterator[tuple[str, bytes]]:
    for title, odd in odd_names.subjects().items():
        yield f"name: {title}", raw.certificate(name=odd)
    yield "issued by nobody", raw.certificate(issuer=value(SEQUENCE))


def _alternative_names() -> Iterator[tuple[str, bytes]]:
    yield "all alternative names", certificate("All", sans=SERVER)
    for title, content in odd_names.alternative_names().items():
        yield f"names: {title}", raw.certificate(extensions=[extension("2.5.29.17", content)])


def _extensions() -> Iterator[tuple[str, bytes]]:
    for kind, known in known_extensions().items():
        yield f"extension {kind}", raw.certificate(name=raw.subject(kind.encode()), extensions=[known])
    for title, extensions in odd_extensions().items():
        yield title, raw.certificate(name=raw.subject(title.encode()), extensions=extensions)


def odd_extensions() -> dict[str, list[bytes]]:
    """Extensions that are there twice, unknown, empty, or say too much."""
    ca = extension("2.5.29.19", bytes.fromhex("30030101ff"), critical=True)
    unknown = extension("1.2.3.4", b"\x05\x00", critical=True)
    notice = value(SEQUENCE, value(SEQUENCE, oid("1.3.6.1.5.5.7.2.2"), value(SEQUENCE, value(UTF8, b"a notice"))))
    return {
        "ca": [ca],
        "ca twice": [ca, ca],
        "unknown and critical": [ca, unknown],
        "unknown": [extension("1.2.3.4", b"no DER at all")],
        "empty constraints": [extension("2.5.29.19", b"\x30\x00")],
        "nothing in it": [extension("2.5.29.19", b"")],
        "huge path length": [extension("2.5.29.19", value(SEQUENCE, b"\x01\x01\xff", integer(1 << 70)))],
        "negative path length": [extension("2.5.29.19", value(SEQUENCE, b"\x01\x01\xff", integer(-1)))],
        "no usage": [ca, extension("2.5.29.15", b"\x03\x01\x00")],
        "long usage": [ca, extension("2.5.29.15", b"\x03\x05\x00\xff\xff\xff\xff")],
        "no extended usage": [extension("2.5.29.37", b"\x30\x00")],
        "key ids": [extension("2.5.29.14", b"\x04\x02\x01\x02"), extension("2.5.29.35", b"\x30\x04\x80\x02\x01\x02")],
        "a key id without name": [extension("2.5.29.35", b"\x30\x03\x82\x01\x05")],
        "a policy with a notice": [
            extension("2.5.29.32", value(SEQUENCE, value(SEQUENCE, oid("2.5.29.32.0"), notice)))
        ],
        "a policy for nobody": [extension("2.5.29.32", b"\x30\x00")],
        "limits without any": [ca, extension("2.5.29.30", b"\x30\x00", critical=True)],
        "distribution point": [extension("2.5.29.31", bytes.fromhex("30123010a00ea00c860a687474703a2f2f782f79"))],
        "transparency": [extension("1.3.6.1.4.1.11129.2.4.2", b"\x04\x04\x00\x02\x00\x00")],
        "features": [extension("1.3.6.1.5.5.7.1.24", b"\x30\x03\x02\x01\x05")],
        "a template": [extension("1.3.6.1.4.1.311.21.7", value(SEQUENCE, oid("1.2.3.4.5"), integer(1)))],
        "many": [extension(f"1.2.3.4.{number}", b"\x05\x00") for number in range(300)],
    }
