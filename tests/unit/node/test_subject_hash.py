"""The subject's hash against OpenSSL's own, over the names that people, old CAs and fuzzers write."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import raw
from tests.fuzz.certificates import certificates
from tests.fuzz.der import (
    BIT_STRING,
    BMP,
    IA5,
    OCTET_STRING,
    PRINTABLE,
    SEQUENCE,
    SET,
    T61,
    UNIVERSAL,
    UTF8,
    oid,
    value,
)
from tests.fuzz.odd_names import subjects
from tests.openssl import hashes_of, openssl
from tests.unit.node.certificate_factory import certificate
from ucmlab.node.certificates import parse, pem
from ucmlab.node.errors import Refusal
from ucmlab.node.subject_hash import subject_hash

NUMERIC, VISIBLE, ENUMERATED = 0x12, 0x1A, 0x0A
WIDE = {UTF8: "utf-8", BMP: "utf-16-be", UNIVERSAL: "utf-32-be"}
NARROW = {T61: "latin-1", PRINTABLE: "ascii", IA5: "ascii", NUMERIC: "ascii"}
KINDS = ("2.5.4.3", "2.5.4.10", "2.5.4.6", "1.2.840.113549.1.9.1", "1.2.3.4.5.999999999")
BLANKS = st.text(" \t\n\v\f\r\0\x1c\xa0", max_size=3)
WORDS = st.lists(st.text("aZ9.\x7f\xc4\xe4\u0130\u1e9e\u516c\u2028", max_size=6), max_size=3)
TEXTS = st.builds(lambda words, blanks, ends: ends + blanks.join(words) + ends, WORDS, BLANKS, BLANKS)


def of(kind: str, text: str, tag: int) -> bytes:
    """An attribute whose string holds as much of the text as its type can."""
    encoding = {**WIDE, **NARROW}[tag]
    return value(SEQUENCE, oid(kind), value(tag, text.encode(encoding, errors="ignore")))


ATTRIBUTES = st.builds(of, st.sampled_from(KINDS), TEXTS, st.sampled_from((*WIDE, *NARROW)))
BITS = st.builds(
    lambda unused, bits: value(SEQUENCE, oid("2.5.4.45"), value(BIT_STRING, bytes((unused,)) + bits)),
    st.integers(0, 8),
    st.binary(max_size=3),
)
GROUPS = st.lists(ATTRIBUTES | BITS, max_size=3).map(lambda group: value(SET, *group))
NAMES = st.lists(GROUPS, max_size=4).map(lambda groups: value(SEQUENCE, *groups))


def is_taken(der: bytes) -> bool:
    try:
        parse(der)
    except Refusal:
        return False
    return True


@pytest.mark.rule("B.5")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Corp Root CA")]), "5229d903"),
        (
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "\N{LATIN CAPITAL LETTER A WITH DIAERESIS} B")]),
            "26dee588",
        ),
        (x509.Name([]), "eea339da"),
    ],
)
def test_the_hash_is_what_openssl_prints(tmp_path: Path, name: x509.Name, expected: str) -> None:
    der = certificate(subject=name)
    file = tmp_path / "file.pem"
    file.write_text(pem(der))
    assert openssl("x509", "-noout", "-subject_hash", "-in", file).strip() == subject_hash(der) == expected


def test_neither_case_nor_blanks_nor_string_type_count() -> None:
    written = [
        raw.subject(b"Corp Root CA"),
        raw.subject(b"  corp\t root\n CA ", PRINTABLE),
        raw.subject("CORP ROOT ca".encode("utf-16-be"), BMP),
    ]
    assert len({subject_hash(raw.certificate(name=name)) for name in written}) == 1


def test_the_order_within_a_group_does_not_count_and_that_of_groups_does() -> None:
    country, common = (value(SEQUENCE, oid(kind), value(UTF8, b"x")) for kind in ("2.5.4.6", "2.5.4.3"))
    together = [value(SEQUENCE, value(SET, *pair)) for pair in ((country, common), (common, country))]
    apart = [
        value(SEQUENCE, value(SET, one), value(SET, other)) for one, other in ((country, common), (common, country))
    ]
    assert len({subject_hash(raw.certificate(name=name)) for name in together}) == 1
    assert len({subject_hash(raw.certificate(name=name)) for name in apart}) == 2


@pytest.mark.slow
@pytest.mark.rule("B.5")
@settings(max_examples=20, deadline=None)
@given(names=st.lists(NAMES, min_size=20, max_size=40))
def test_any_name_that_the_product_takes_has_openssls_hash(names: list[bytes]) -> None:
    ders = [der for der in (raw.certificate(name=name) for name in dict.fromkeys(names)) if is_taken(der)]
    with TemporaryDirectory() as folder:
        assert [subject_hash(der) for der in ders] == hashes_of(Path(folder), ders)


@pytest.mark.slow
@pytest.mark.rule("B.5")
def test_certificates_with_every_oddity_have_openssls_hash_or_cannot_be_read_by_it(tmp_path: Path) -> None:
    tags = (*range(0x20), 0x24, 0x2C, SEQUENCE, SET, 0x80, 0xA0)
    holders = [raw.subject(content, tag) for tag in tags for content in (b"", b"\0A\0B", b"AB", b"\x09A")]
    odd = [*subjects().values(), *holders]
    made = [*certificates().values(), *(raw.certificate(name=name) for name in odd)]
    made += [raw.certificate(name=raw.subject(b"below"), issuer=name) for name in odd]
    ders = list(dict.fromkeys(der for der in made if is_taken(der)))
    ours, theirs = [subject_hash(der) for der in ders], hashes_of(tmp_path, ders)
    assert [hash_ for hash_ in ours if hash_] == [it for hash_, it in zip(ours, theirs, strict=True) if hash_]
    assert sum(hash_ is None for hash_ in theirs) > 10  # or nothing was proved about those
    rare = [der for der, hash_, it in zip(ders, ours, theirs, strict=True) if hash_ is None and it is not None]
    assert all(any(value(tag, content) in der for tag in RARE for content in RARE_CONTENTS) for der in rare)


RARE = (*range(0x07, 0x0C), *range(0x0D, 0x10), 0x1D, 0x1F, SEQUENCE, 0x2C)
RARE_CONTENTS = (b"", b"\0A\0B", b"AB", b"\x09A", b"\x05\x00")
"""What OpenSSL takes in a name and no CA writes: no link for it."""


@pytest.mark.parametrize(
    ("content", "tag"),
    [
        (b"\x01\x02", OCTET_STRING),
        (b"visible", VISIBLE),
        (b"\x01", ENUMERATED),
        ("\N{GRINNING FACE}".encode("utf-16-be"), BMP),
        (b"\x08\x01", BIT_STRING),
        (b"", BIT_STRING),
    ],
)
def test_what_openssl_cannot_read_has_no_hash_as_subject_or_issuer(content: bytes, tag: int) -> None:
    odd = raw.subject(content, tag)
    for der in (raw.certificate(name=odd), raw.certificate(name=raw.subject(b"below"), issuer=odd)):
        assert is_taken(der)
        assert subject_hash(der) is None
