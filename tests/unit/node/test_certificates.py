import hashlib
import ipaddress
import re
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
)
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.node.certificate_factory import END, START, certificate, name
from ucmlab.node.certificates import (
    Certificate,
    check_trust_certificate,
    parse,
    pem,
    trust_file_stem,
)
from ucmlab.node.errors import Refusal
from ucmlab.node.instant import SECOND, from_datetime

ROOT = certificate()
NOW = from_datetime(START) + SECOND
ED25519 = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
SANS: tuple[x509.GeneralName, ...] = (
    x509.DNSName("pub.lab.example"),
    x509.IPAddress(ipaddress.ip_address("10.0.0.1")),
    x509.RFC822Name("admin@lab.example"),
)
NAMES = (
    name("Corp Root CA"),
    name("  VeriSign   Class 3 CA - G3 "),
    name('a,b+c"d\\e;f<g>#'),
    name("Ünïcode ÄRGER 公司"),
    name("ITLRECOVERY_pub.lab.example"),
    x509.Name([]),
    x509.Name(
        [
            x509.RelativeDistinguishedName(
                [
                    x509.NameAttribute(NameOID.ORGANIZATION_NAME, "long " * 12),
                    x509.NameAttribute(NameOID.COMMON_NAME, "enough for two octets of length " * 2),
                ]
            )
        ]
    ),
    x509.Name([x509.NameAttribute(NameOID.EMAIL_ADDRESS, "Admin@Lab.Example")]),
    x509.Name([x509.NameAttribute(NameOID.DOMAIN_COMPONENT, "lab"), x509.NameAttribute(NameOID.USER_ID, " #x ")]),
    x509.Name(
        [
            x509.RelativeDistinguishedName(
                [
                    x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Voice"),
                    x509.NameAttribute(NameOID.COMMON_NAME, "two in one"),
                ]
            ),
            x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, "last CN")]),
        ]
    ),
)


def judged(der: bytes, *, wall: int = NOW) -> str:
    with pytest.raises(Refusal) as refusal:
        check_trust_certificate(parse(der), wall)
    return refusal.value.reason


def stem(common_name: str) -> str:
    return trust_file_stem(certificate(common_name), "cn")


def test_a_certificate_is_read_into_values() -> None:
    der = certificate("pub.lab.example", serial=0xAB, sans=SANS, ca=True)
    assert parse(der) == Certificate(
        der=der,
        fingerprint=hashlib.sha256(der).hexdigest(),
        serial="ab",
        subject="CN=pub.lab.example,O=Lab\\, Inc.,C=US",
        issuer="CN=pub.lab.example,O=Lab\\, Inc.,C=US",
        common_name="pub.lab.example",
        first_name="US",
        not_before=from_datetime(START),
        not_after=from_datetime(END),
        key="ec-256",
        key_bits=256,
        is_ca=True,
        self_signed=True,
        sans=("pub.lab.example", "10.0.0.1"),
    )


@pytest.mark.parametrize("subject", NAMES)
def test_names_are_written_as_rfc_4514_has_them(subject: x509.Name) -> None:
    der = certificate(subject=subject)
    assert parse(der).subject == x509.load_der_x509_certificate(der).subject.rfc4514_string()


@given(st.text(min_size=1, max_size=20))
def test_any_common_name_is_written_as_rfc_4514_has_it(text: str) -> None:
    der = certificate(text)
    assert parse(der).subject == x509.load_der_x509_certificate(der).subject.rfc4514_string()
    assert parse(der).common_name == text


@pytest.mark.parametrize(
    ("key", "described"),
    [
        (ec.derive_private_key(5, ec.SECP384R1()), "ec-384"),
        (ec.derive_private_key(5, ec.SECP521R1()), "ec-521"),
        (ec.derive_private_key(5, ec.SECP256K1()), "secp256k1-256"),
        (ED25519, "ed25519"),
    ],
)
def test_keys_are_described(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, described: str) -> None:
    assert parse(certificate(key=key)).key == described


def test_a_serial_of_zero_is_read_without_a_warning() -> None:
    # Well-known roots of the 1990s have it; filterwarnings = error would turn a warning into a failure.
    der = certificate(serial=1)
    assert parse(der.replace(b"\x02\x01\x01\x30", b"\x02\x01\x00\x30", 1)).serial == "0"


def test_pem_is_written_as_openssl_writes_it() -> None:
    loaded = x509.load_der_x509_certificate(ROOT)
    assert pem(ROOT).encode() == loaded.public_bytes(Encoding.PEM)


@pytest.mark.rule("B.10")
def test_a_proper_trust_certificate_is_accepted() -> None:
    check_trust_certificate(parse(ROOT), NOW)


@pytest.mark.rule("B.4", "B.10")
def test_a_key_over_4096_bits_is_refused() -> None:
    public = {bits: rsa.RSAPublicNumbers(65537, (1 << bits) - 1).public_key() for bits in (4096, 4104)}
    check_trust_certificate(parse(certificate(public=public[4096])), NOW)
    assert judged(certificate(public=public[4104])) == "key_over_4096"


@pytest.mark.rule("X-06")
@pytest.mark.parametrize("key", [ED25519, ec.derive_private_key(5, ec.SECP256K1())])
def test_other_keys_than_rsa_and_nist_curves_are_refused(
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey,
) -> None:
    assert judged(certificate(key=key)) == "key_type"


@pytest.mark.rule("X-06")
def test_a_key_of_an_unknown_algorithm_is_refused() -> None:
    ec_public_key = bytes.fromhex("06072a8648ce3d0201")
    assert judged(ROOT.replace(ec_public_key, ec_public_key[:-1] + b"\x09", 1)) == "key_type"


def test_names_in_old_encodings_are_read() -> None:
    old = ROOT.replace(b"\x0c\x0cCorp Root CA", b"\x14\x0cC\xf6rp Root CA")
    assert parse(old).common_name == "Cörp Root CA"
    assert trust_file_stem(old, "cn") == "C%C3%B6rp_Root_CA"


@pytest.mark.rule("B.4", "B.10")
@pytest.mark.parametrize(
    "der", [certificate("*.lab.example"), certificate("lab", sans=(x509.DNSName("*.lab.example"),))]
)
def test_a_wildcard_is_refused(der: bytes) -> None:
    assert judged(der) == "wildcard"


@pytest.mark.rule("B.10")
def test_validity_includes_both_ends() -> None:
    root = parse(ROOT)
    check_trust_certificate(root, root.not_before)
    check_trust_certificate(root, root.not_after)
    assert judged(ROOT, wall=root.not_before - 1) == "not_yet_valid"
    assert judged(ROOT, wall=root.not_after + 1) == "expired"


def test_the_time_of_expiry_is_told() -> None:
    with pytest.raises(Refusal, match="not after 2031-01-01T00:00:00Z"):
        check_trust_certificate(parse(ROOT), from_datetime(END) + SECOND)


@pytest.mark.rule("B.5")
@pytest.mark.parametrize(
    ("common_name", "expected"),
    [
        ("VeriSign Class 3 Secure Server CA - G3", "VeriSign_Class_3_Secure_Server_CA_-_G3"),
        ("CAPF-36205338", "CAPF-36205338"),
        ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"),
        (".", "%2E"),
        ("公", "%E5%85%AC"),
        ("a%b\0", "a%25b%00"),
    ],
)
def test_trust_files_are_named_by_common_name(common_name: str, expected: str) -> None:
    assert stem(common_name) == expected


@pytest.mark.rule("B.5")
def test_trust_files_may_carry_the_serial_in_whole_bytes() -> None:
    assert trust_file_stem(certificate("Cisco_Root_CA_M2", serial=1), "cn_serial") == "Cisco_Root_CA_M2_01"
    assert trust_file_stem(certificate("x", serial=0x1AB), "cn_serial") == "x_01ab"


def test_a_trust_file_without_a_common_name_has_a_name_too() -> None:
    assert trust_file_stem(certificate(subject=x509.Name([])), "cn") == "unnamed"
    only = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Lab")])
    assert trust_file_stem(certificate(subject=only), "cn") == "Lab"


@given(st.text(min_size=1, max_size=16), st.text(min_size=1, max_size=16))
def test_trust_file_names_are_safe_and_tell_names_apart(one: str, other: str) -> None:
    assert re.fullmatch(r"(?!\.)[A-Za-z0-9._%-]{1,120}", stem(one))
    if one.replace(" ", "_") != other.replace(" ", "_"):
        assert stem(one) != stem(other)


def test_validity_is_told_at_any_instant() -> None:
    day = timedelta(days=1)
    instants = {"valid": START + day, "expired": END + day, "not_yet_valid": START - day}
    assert {name: parse(ROOT).validity(from_datetime(at)) for name, at in instants.items()} == {
        name: name for name in instants
    }
