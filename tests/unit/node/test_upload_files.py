import contextlib
import ipaddress
import time
from collections.abc import Callable
from functools import partial, reduce

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    pkcs7,
    pkcs12,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.node.certificate_factory import START, certificate, ec_key
from ucmlab.node import names
from ucmlab.node.certificates import check_trust_certificate, parse, pem, trust_file_stem
from ucmlab.node.errors import Refusal
from ucmlab.node.instant import SECOND, from_datetime
from ucmlab.node.upload_files import UPLOAD_LIMIT, read_upload

ROOT = certificate()
NOW = from_datetime(START) + SECOND
ED25519 = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
SANS = (x509.DNSName("pub.lab.example"), x509.IPAddress(ipaddress.ip_address("10.0.0.1")))


def refused(data: bytes) -> str:
    with pytest.raises(Refusal) as refusal:
        read_upload(data)
    return refusal.value.reason


def private_key(encoding: Encoding, form: PrivateFormat, protection: KeySerializationEncryption | None = None) -> bytes:
    return ec_key().private_bytes(encoding, form, protection or NoEncryption())


@pytest.mark.rule("R-028")
def test_pem_and_der_are_accepted() -> None:
    assert read_upload(ROOT) == read_upload(pem(ROOT).encode()) == (parse(ROOT),)


def test_a_pem_file_may_hold_several_certificates_and_text_around_them() -> None:
    other = certificate("Corp Issuing CA")
    text = f"Certificate:\n    Data:\n        Version: 3\n{pem(ROOT)}\n subject=CN = x\r\n{pem(other)} end"
    assert read_upload(text.replace("\n", "\r\n").encode()) == (parse(ROOT), parse(other))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" \r\n\t", "empty"),
        (b"hello", "format"),
        (b"\x00\x01\x02", "format"),
        (b"0", "format"),
        (b"0\x82", "format"),
        (b"-----BEGIN CERTIFICATE-----", "format"),
        (pem(ROOT).encode()[:-30], "format"),
        (pem(ROOT).replace("MII", "M!I", 1).encode(), "format"),
        (pem(ROOT).replace("CERTIFICATE", "CERTIFICATE REQUEST").encode(), "format"),
        (pem(ROOT).encode() + b"-----BEGIN CERTIFICATE-----\n", "format"),
        (ROOT[:-1], "format"),
        (b"0\x03\x02\x01\x05", "format"),
        (ROOT + b"\n", "trailing_data"),
        (ROOT + ROOT, "trailing_data"),
        (pem(ROOT + b"\0").encode(), "trailing_data"),
        (b"0" * (UPLOAD_LIMIT + 1), "too_large"),
        (pem(ROOT).encode() * 10_000, "too_large"),
    ],
)
def test_what_is_no_certificate_is_refused(data: bytes, reason: str) -> None:
    assert refused(data) == reason


@pytest.mark.parametrize(
    "data",
    [
        private_key(Encoding.PEM, PrivateFormat.PKCS8),
        private_key(Encoding.PEM, PrivateFormat.TraditionalOpenSSL),
        private_key(Encoding.PEM, PrivateFormat.OpenSSH),
        private_key(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")),
        private_key(Encoding.DER, PrivateFormat.PKCS8),
        private_key(Encoding.DER, PrivateFormat.TraditionalOpenSSL),
        private_key(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")),
        ED25519.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        pem(ROOT).encode() + private_key(Encoding.PEM, PrivateFormat.PKCS8),
        private_key(Encoding.PEM, PrivateFormat.PKCS8)[:60],
        private_key(Encoding.PEM, PrivateFormat.PKCS8).lower(),
        pem(private_key(Encoding.DER, PrivateFormat.PKCS8)).encode(),
        ROOT + private_key(Encoding.DER, PrivateFormat.PKCS8),
        private_key(Encoding.DER, PrivateFormat.PKCS8) + ROOT,
    ],
)
def test_a_private_key_is_refused_and_never_quoted(data: bytes) -> None:
    with pytest.raises(Refusal) as refusal:
        read_upload(data)
    assert refusal.value.reason == "private_key"
    assert refusal.value.text in ("a PEM block is a private key", "it is a private key in DER")
    assert refusal.value.__cause__ is None


Mutation = tuple[int, bytes]


def as_pem(der: bytes) -> bytes:
    return pem(der).encode()


@given(
    st.sampled_from([ROOT, certificate("pub", sans=SANS, ca=True), certificate("Ünïcode 公司", key=ED25519)]),
    st.lists(st.tuples(st.integers(0, 700), st.binary(max_size=2)), max_size=4),
    st.integers(0, 700),
    st.sampled_from([bytes, as_pem]),
)
def test_damaged_certificates_are_refused_and_nothing_else(
    der: bytes, mutations: list[Mutation], cut: int, wrap: Callable[[bytes], bytes]
) -> None:
    damaged = bytearray(der)
    for at, replacement in mutations:
        damaged[at : at + 1] = replacement
    data = bytes(damaged[: cut or None])
    # A Refusal is an answer; whatever else is raised fails the test.
    with contextlib.suppress(Refusal):
        for read in read_upload(wrap(data)):
            trust_file_stem(read.der, "cn_serial")
            check_trust_certificate(read, NOW)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_and_nothing_else(data: bytes) -> None:
    with pytest.raises(Refusal):
        read_upload(b"0" + data)


TEXTS = {
    "pkcs12": "a PKCS#12 file (.pfx, .p12), which may hold a private key; export its certificates alone, in PEM",
    "pkcs7": "a PKCS#7 chain in DER; write it in PEM (openssl pkcs7 -inform DER -in FILE -out FILE.pem)",
}
CHAIN = (certificate("Corp Issuing CA"), ROOT, certificate("pub", sans=SANS))
CPU_LIMIT_S = 5.0


def armoured(label: str, der: bytes) -> bytes:
    return pem(der).replace("CERTIFICATE", label).encode()


def value(tag: int, *contents: bytes) -> bytes:
    return names.encode(tag, b"".join(contents))


def endless(tag: int, *contents: bytes) -> bytes:
    """The same in BER, of indefinite length."""
    return bytes((tag, 0x80)) + b"".join(contents) + b"\0\0"


Encode = Callable[..., bytes]
SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
PLAIN_DATA = value(0x30, bytes.fromhex("06092a864886f70d010701"))
NO_SIGNERS = value(0x31)


def chain_file(
    *certificates: bytes,
    encode: Encode = value,
    content: bytes = PLAIN_DATA,
    behind: bytes = NO_SIGNERS,
) -> bytes:
    """A PKCS#7 chain (DER, or BER by another `encode`) of values that need not be certificates."""
    held = encode(0xA0, *certificates) if certificates else b""
    signed = encode(0x30, b"\x02\x01\x01", value(0x31), content, held, behind)
    return encode(0x30, SIGNED_DATA, encode(0xA0, signed))


def said(data: bytes, *, der_pkcs7: bool = False) -> tuple[str, str]:
    with pytest.raises(Refusal) as refusal:
        read_upload(data, der_pkcs7=der_pkcs7)
    return refusal.value.reason, refusal.value.text


def ders(data: bytes, *, der_pkcs7: bool = False) -> tuple[bytes, ...]:
    return tuple(each.der for each in read_upload(data, der_pkcs7=der_pkcs7))


@pytest.mark.rule("R-028", "X-15")
@pytest.mark.parametrize("label", ["PKCS7", "PKCS #7 SIGNED DATA", "CMS"])
@pytest.mark.parametrize("encode", [value, endless])
def test_a_pkcs7_chain_in_pem_is_accepted_byte_for_byte_in_its_order(label: str, encode: Encode) -> None:
    assert ders(armoured(label, chain_file(*CHAIN, encode=encode))) == CHAIN


@pytest.mark.rule("R-028")
def test_what_cryptography_writes_as_pkcs7_is_read() -> None:
    loaded = [x509.load_der_x509_certificate(der) for der in CHAIN]
    assert set(ders(pkcs7.serialize_certificates(loaded, Encoding.PEM))) == set(CHAIN)


@pytest.mark.rule("R-028")
def test_chains_and_single_certificates_may_stand_in_one_file() -> None:
    data = b"a note\n" + armoured("PKCS7", chain_file(*CHAIN[:2])) + pem(CHAIN[2]).encode() + pem(ROOT).encode()
    assert ders(data) == (*CHAIN, ROOT)


@pytest.mark.rule("X-15")
def test_a_pkcs7_chain_in_der_is_refused_unless_it_is_switched_on() -> None:
    data = chain_file(*CHAIN)
    assert said(data) == ("format", f"it is {TEXTS['pkcs7']}")
    assert said(chain_file(*CHAIN, encode=endless)) == ("format", f"it is {TEXTS['pkcs7']}")
    assert ders(data, der_pkcs7=True) == CHAIN
    assert ders(ROOT, der_pkcs7=True) == (ROOT,)


def test_a_chain_that_is_called_a_certificate_is_told_its_label() -> None:
    reason, text = said(pem(chain_file(*CHAIN)).encode())
    assert (reason, text) == ("format", "a PEM block called CERTIFICATE is a PKCS#7 chain; its label must be PKCS7")


@pytest.mark.rule("R-028", "X-15")
@pytest.mark.parametrize("wrap", [bytes, *(partial(armoured, label) for label in ("PKCS7", "PKCS12", "CERTIFICATE"))])
def test_pkcs12_is_refused_and_called_by_its_name(wrap: Callable[[bytes], bytes]) -> None:
    loaded = x509.load_der_x509_certificate(ROOT)
    bag = pkcs12.serialize_key_and_certificates(b"x", ec_key(), loaded, None, NoEncryption())
    reason, text = said(wrap(bag))
    assert reason == "format"
    assert text.endswith(TEXTS["pkcs12"])


@pytest.mark.rule("X-15")
def test_pkcs12_of_indefinite_length_is_no_private_key_either() -> None:
    bag = endless(0x30, b"\x02\x01\x03", endless(0x30, bytes.fromhex("06092a864886f70d010701")))
    assert said(bag) == ("format", f"it is {TEXTS['pkcs12']}")


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("CERTIFICATE REQUEST", "a PEM block is a certificate request; upload the certificate that the CA made of it"),
        ("X509 CRL", "a PEM block is a revocation list; upload the CA's certificate"),
        ("SOMETHING", "a PEM block is no certificate"),
    ],
)
def test_what_is_taken_for_a_certificate_is_called_by_its_name(label: str, text: str) -> None:
    assert said(armoured(label, ROOT)) == ("format", text)


def test_a_java_key_store_is_called_by_its_name() -> None:
    assert said(b"\xfe\xed\xfe\xed\0\0\0\2")[1].startswith("it is a Java key store")


def test_content_lists_and_signers_of_a_pkcs7_are_stepped_over() -> None:
    signer = value(0x31, value(0x30, b"\x02\x01\x01"))
    lists = value(0xA1, value(0x30, b"\x05\x00"))
    content = value(0x30, bytes.fromhex("06092a864886f70d010701"), value(0xA0, value(0x04, b"signed text")))
    assert ders(armoured("PKCS7", chain_file(*CHAIN, content=content, behind=lists + signer))) == CHAIN


LONG = value(0x30, bytes(1 << 16))
HOSTILE = {
    "empty": (chain_file(), "empty"),
    "lists without certificates": (chain_file(behind=value(0xA1) + NO_SIGNERS), "empty"),
    "no certificate inside": (chain_file(value(0x30, b"\x02\x01\x05")), "format"),
    "an attribute certificate": (chain_file(ROOT, value(0xA1, b"\x05\x00")), "format"),
    "other content": (value(0x30, bytes.fromhex("06092a864886f70d010703"), value(0xA0)), "format"),
    "a certificate": (ROOT, "format"),
    "a private key": (private_key(Encoding.DER, PrivateFormat.PKCS8), "private_key"),
    "nothing": (b"", "format"),
    "no signers": (chain_file(ROOT, behind=b""), "format"),
    "signers twice": (chain_file(ROOT, behind=NO_SIGNERS * 2), "format"),
    "certificates twice": (chain_file(ROOT, behind=value(0xA0, ROOT) + NO_SIGNERS), "format"),
    "too much behind": (chain_file(ROOT, behind=NO_SIGNERS * 5), "format"),
    "cut off": (chain_file(*CHAIN)[:-1], "format"),
    "an end that never comes": (endless(0x30, SIGNED_DATA, b"\xa0\x80")[:-2], "format"),
    "a primitive value without a length": (chain_file(b"\x04\x80\x00\x00"), "format"),
    "a length of many octets": (chain_file(b"\x30\x85\0\0\0\0\1\0"), "format"),
    "a long tag": (chain_file(b"\x3f\x81\x01\x00"), "format"),
    "trailing bytes": (chain_file(*CHAIN) + b"\0", "trailing_data"),
    "many certificates": (chain_file(*(certificate(str(number % 8)) for number in range(501))), "too_large"),
    "a giant certificate": (chain_file(LONG), "too_large"),
    "deep, endless": (b"\x30\x80" * 300_000, "too_large"),
    "deep inside, endless": (chain_file(b"\x30\x80" * 300_000, encode=endless), "too_large"),
    "wide, endless": (chain_file(b"\x05\x00" * 300_000, encode=endless), "too_large"),
    "wide": (chain_file(b"\x30\x00" * 300_000), "too_large"),
    "deep": (reduce(lambda inner, _: value(0x30, inner), range(5_000), b""), "format"),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_pkcs7_is_refused_at_once(what: str) -> None:
    data, reason = HOSTILE[what]
    file = armoured("PKCS7", data)
    begun = time.process_time()
    assert refused(file) == reason
    assert time.process_time() - begun < CPU_LIMIT_S


def test_many_certificates_in_pem_are_too_many_as_well() -> None:
    assert said(pem(ROOT).encode() * 501) == ("too_large", "more than 500 certificates in one file")


def test_a_giant_certificate_is_refused_before_it_is_read() -> None:
    assert said(LONG) == ("too_large", "a certificate of 65541 bytes, at most 65536 are accepted")


ORDERS = st.permutations([*CHAIN, certificate("Other Root CA")])
WRAPS: dict[str, Callable[[list[bytes]], bytes]] = {
    "pem": lambda chain: "text\n".join(map(pem, chain)).encode(),
    "pkcs7": lambda chain: armoured("PKCS7", chain_file(*chain)),
    "ber": lambda chain: armoured("PKCS7", chain_file(*chain, encode=endless)),
    "both": lambda chain: armoured("PKCS7", chain_file(chain[0])) + b"".join(pem(der).encode() for der in chain[1:]),
}


@pytest.mark.rule("R-028")
@given(ORDERS, st.sampled_from(sorted(WRAPS)))
def test_bytes_and_order_survive_every_wrapping(chain: list[bytes], wrap: str) -> None:
    assert list(ders(WRAPS[wrap](chain))) == chain


@settings(deadline=None)  # CPU time is what it measures
@given(
    st.sampled_from([chain_file(*CHAIN), chain_file(*CHAIN, encode=endless)]),
    st.lists(st.tuples(st.integers(0, 1400), st.binary(max_size=3)), min_size=1, max_size=4),
    st.one_of(st.just(0), st.integers(0, 1400)),
    st.sampled_from([bytes, partial(armoured, "PKCS7")]),
)
def test_a_damaged_pkcs7_is_refused_or_read_and_nothing_else(
    data: bytes, mutations: list[Mutation], cut: int, wrap: Callable[[bytes], bytes]
) -> None:
    damaged = bytearray(data)
    for at, replacement in mutations:
        damaged[at : at + 1] = replacement
    file = wrap(bytes(damaged[: cut or None]))
    begun = time.process_time()
    with contextlib.suppress(Refusal):
        assert read_upload(file, der_pkcs7=True)
    assert time.process_time() - begun < CPU_LIMIT_S
