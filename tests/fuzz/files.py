"""Files that people upload or send to a CA, good and wrong: chains, bundles, keys, requests, lists, other things."""

import base64
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import lru_cache, reduce

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import AttributeOID

from tests.fuzz import odd_names, raw
from tests.fuzz.certificates import CURVES, LINE, SERVER, odd_extensions, odd_keys
from tests.fuzz.der import NULL, OCTET_STRING, SEQUENCE, SET, UTF8, endless, integer, oid, value
from tests.fuzz.known_extensions import known_extensions
from tests.fuzz.raw import extension
from tests.unit.node.certificate_factory import START, PrivateKey, ec_key, name
from ucmlab.cluster.simkeys import sim_rsa

SIGNED_DATA, DATA = oid("1.2.840.113549.1.7.2"), oid("1.2.840.113549.1.7.1")
_KEY_FORMS = ("ec old", "rsa old", "ed25519", "encrypted")
ED25519 = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
KEYS: tuple[PrivateKey, ...] = (ec_key(), sim_rsa(1), ED25519, ec.derive_private_key(5, CURVES[3]))
GIANT = 1 << 14
"""Bytes from which on a file of the corpus is taken seldom: it costs as much as a hundred others."""


def armoured(label: str, der: bytes, *, columns: int = 64) -> bytes:
    """A PEM block."""
    text = base64.b64encode(der).decode()
    body = "".join(f"{text[at : at + columns]}\n" for at in range(0, len(text), columns))
    return f"-----BEGIN {label}-----\n{body}-----END {label}-----\n".encode()


def chain_file(ders: Sequence[bytes], *, ber: bool = False) -> bytes:
    """A PKCS#7 chain (RFC 2315: SignedData without signers), DER or BER."""
    encode = endless if ber else value
    signed = encode(
        SEQUENCE, integer(1), value(SET), value(SEQUENCE, DATA), encode(0xA0, *ders) if ders else b"", value(SET)
    )
    return encode(SEQUENCE, SIGNED_DATA, encode(0xA0, signed))


@lru_cache(maxsize=1)
def requests() -> Mapping[str, bytes]:
    """Certificate signing requests (DER) by name."""
    plain = x509.CertificateSigningRequestBuilder(name("pub.lab.example"))
    with_names = plain.add_extension(x509.SubjectAlternativeName(SERVER), critical=False)
    made = {f"key {at}": _signed(with_names, key) for at, key in enumerate(KEYS)}
    made["plain"] = _signed(plain, ec_key())
    made["challenge"] = _signed(plain.add_attribute(AttributeOID.CHALLENGE_PASSWORD, b"secret"), ec_key())
    made |= {f"name: {title}": raw.request(name=odd) for title, odd in odd_names.subjects().items()}
    made |= {title: raw.request(attributes=raw.wanted(*wanted)) for title, wanted in odd_extensions().items()}
    made |= {kind: raw.request(attributes=raw.wanted(known)) for kind, known in known_extensions().items()}
    made |= {title: raw.request(key=key) for title, key in odd_keys().items()}
    for title, content in odd_names.alternative_names().items():
        made[f"names: {title}"] = raw.request(attributes=raw.wanted(extension("2.5.29.17", content)))
    made["version 2"] = raw.request(version=integer(1))
    made["no attributes"] = raw.request(attributes=b"")
    made["an attribute of nothing"] = raw.request(attributes=value(0xA0, value(SEQUENCE, oid("1.2.3"), value(SET))))
    twice = value(0xA0, *(raw.wanted(extension("2.5.29.17", value(SEQUENCE)))[2:] for _ in range(2)))
    made["asks twice"] = raw.request(attributes=twice)
    return made


@lru_cache(maxsize=1)
def private_keys() -> Mapping[str, bytes]:
    """Private keys in all forms (DER), worthless ones; and what holds them encrypted."""
    forms = {"pkcs8": PrivateFormat.PKCS8, "old": PrivateFormat.TraditionalOpenSSL}
    kinds: dict[str, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey] = {"ec": ec_key(), "rsa": sim_rsa(1)}
    made = {
        f"{kind} {title}": key.private_bytes(Encoding.DER, form, NoEncryption())
        for kind, key in kinds.items()
        for title, form in forms.items()
    }
    made["ed25519"] = ED25519.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    pbes2 = value(SEQUENCE, oid("1.2.840.113549.1.5.13"), value(SEQUENCE))
    made["encrypted"] = value(SEQUENCE, pbes2, value(OCTET_STRING, bytes(range(64))))
    return made


@lru_cache(maxsize=1)
def others() -> Mapping[str, bytes]:
    """Documents (DER) that are no certificate, request or key."""
    revoked = x509.RevokedCertificateBuilder(serial_number=7, revocation_date=START).build()
    lists = x509.CertificateRevocationListBuilder(name("Corp Root CA"), START, START + timedelta(days=7), [], [revoked])
    crl = lists.sign(ec_key(), hashes.SHA256(), ecdsa_deterministic=True)
    bag = value(OCTET_STRING, value(SEQUENCE, DATA, value(0xA0, value(OCTET_STRING, bytes(40)))))
    whole = [each.der for each in LINE]
    return {
        "crl": crl.public_bytes(Encoding.DER),
        "pkcs12": value(SEQUENCE, integer(3), value(SEQUENCE, DATA, value(0xA0, bag))),
        "pkcs12 in BER": endless(SEQUENCE, integer(3), endless(SEQUENCE, DATA, endless(0xA0, bag))),
        "chain": chain_file(whole),
        "chain in BER": chain_file(whole, ber=True),
        "chain of CAs": chain_file(whole[1:]),
        "chain of nothing": chain_file([]),
        "chain in a chain": chain_file([chain_file(whole)]),
        "chain of five hundred": chain_file(whole[:1] * 500),
        "chain too long": chain_file(whole[:1] * 501),
        "deep": reduce(lambda inner, _: value(SEQUENCE, inner), range(3_000), b""),
        "deep chain": chain_file([reduce(lambda inner, _: value(SEQUENCE, inner), range(3_000), b"")]),
        "deep without ends": b"\x30\x80" * 30_000,
        "deep chain without ends": chain_file([b"\x30\x80" * 30_000], ber=True),
        "wide without ends": chain_file([b"\x05\x00" * 30_000], ber=True),
        "public key": raw.spki(ec_key().public_key()),
        "signature": value(SEQUENCE, integer(1), integer(2)),
        "envelope": value(SEQUENCE, oid("1.2.840.113549.1.7.3"), value(0xA0, value(SEQUENCE))),
        "null": value(NULL),
        "text": value(UTF8, b"text"),
    }


@lru_cache(maxsize=1)
def plain_files() -> Mapping[str, bytes]:
    """Whole files that no block of PEM or DER makes up."""
    root = armoured("CERTIFICATE", LINE[-1].der)
    keys = zip(("EC PRIVATE KEY", "RSA PRIVATE KEY", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY"), _KEY_FORMS, strict=True)
    return {f"a key: {form}": armoured(label, private_keys()[form]) for label, form in keys} | {
        "empty": b"",
        "blank": b" \r\n\t\n",
        "zeros": bytes(1 << 20),
        "too large": b"0" * ((1 << 20) + 1),
        "text": b"hello\n",
        "page": b"<!DOCTYPE html><html><body>404</body></html>",
        "key store": b"\xfe\xed\xfe\xed\0\0\0\2\0\0\0\1",
        "zip": b"PK\3\4\x14\0\0\0\x08\0",
        "beginnings": b"-----BEGIN CERTIFICATE-----\n" * 30_000,
        "beginnings of nothing": b"-----BEGIN X-----\n" * 50_000,
        "blocks of nothing": b"-----BEGIN X-----\n-----END Y-----\n" * 30_000,
        "begin, begin": b"BEGIN " * 170_000,
        "dashes": b"-" * 500_000,
        "marked": b"\xef\xbb\xbf" + root,
        "wide": root.decode().encode("utf-16"),
        "crlf": root.replace(b"\n", b"\r\n"),
        "described": b"Certificate:\n    Data:\n        Version: 3 (0x2)\n" + root + b"\n subject=CN = x\n",
        "bundle": b"".join(armoured("CERTIFICATE", each.der) for each in LINE),
        "bundle of many": root * 300,
        "bundle too long": root * 501,
        "five hundred roots": _roots(b"Root CA %d"),
        "five hundred of one name": _roots(b"Root CA"),
        "five hundred without a name": _roots(b""),
        "giants": b"".join(armoured("CERTIFICATE", der) for _, der in sorted(giants().items()) if len(der) < 1 << 16),
        "with its key": root + armoured("PRIVATE KEY", private_keys()["ec pkcs8"]),
        "with a request": root + armoured("CERTIFICATE REQUEST", requests()["plain"]),
        "openssh": armoured("OPENSSH PRIVATE KEY", b"openssh-key-v1\0" + bytes(200), columns=70),
    }


@lru_cache(maxsize=1)
def giants() -> Mapping[str, bytes]:
    """Certificates (DER) as large as they may be, or a little larger: what is slow is slow here."""
    names: dict[str, list[bytes]] = {
        "hosts": [value(0x82, b"h%d.example" % number) for number in range(3_500)],
        "addresses": [value(0x87, number.to_bytes(4)) for number in range(10_000)],
        "directories": [value(0xA4, value(SEQUENCE))] * 15_000,
        "others": [value(0xA0, oid("1.2.3"), value(0xA0, value(UTF8, b"x")))] * 5_000,
    }
    made = {
        title: raw.certificate(extensions=[extension("2.5.29.17", value(SEQUENCE, *found))])
        for title, found in names.items()
    }
    limits = value(0xA0, *(value(SEQUENCE, value(0x82, b"h%d.example" % number)) for number in range(3_000)))
    constraints = bytes.fromhex("30030101ff")
    made["limits"] = raw.certificate(
        extensions=[
            extension("2.5.29.19", constraints, critical=True),
            extension("2.5.29.30", value(SEQUENCE, limits), critical=True),
        ]
    )
    policies = [value(SEQUENCE, oid(f"1.2.3.{number}")) for number in range(7_000)]
    made["policies"] = raw.certificate(extensions=[extension("2.5.29.32", value(SEQUENCE, *policies))])
    made["groups"] = raw.certificate(name=value(SEQUENCE, *(_organisation(number) for number in range(3_500))))
    made["one group"] = raw.certificate(name=value(SEQUENCE, value(SET, *(_organisation(1)[2:] for _ in range(2_000)))))
    made["value"] = raw.certificate(name=raw.subject(b"x" * 60_000))
    made["too large"] = raw.certificate(name=raw.subject(b"x" * 70_000))
    return made


def _roots(name: bytes) -> bytes:
    """Five hundred certificates in PEM; where the name has a place for it, with their number."""
    names = [raw.subject(name % number if b"%" in name else name) for number in range(500)]
    ders = [raw.certificate(name=name, serial=integer(number)) for number, name in enumerate(names)]
    return b"".join(armoured("CERTIFICATE", der) for der in ders)


def _organisation(number: int) -> bytes:
    return raw.attribute(raw.O, UTF8, b"%d" % number)


def _signed(
    builder: x509.CertificateSigningRequestBuilder,
    key: PrivateKey,
) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return builder.sign(key, None).public_bytes(Encoding.DER)
    repeatable = True if isinstance(key, ec.EllipticCurvePrivateKey) else None
    return builder.sign(key, hashes.SHA256(), ecdsa_deterministic=repeatable).public_bytes(Encoding.DER)
