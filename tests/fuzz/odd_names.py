"""Names that CAs and attackers have put into certificates: every string type, every length, every odd character."""

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
from tests.fuzz.raw import CN, C, O, attribute, subject

TEXTS = (
    "",
    " ",
    "  two  blanks ",
    "#hash",
    'a,b+c"d\\e;f<g>=',
    "nul\0in it",
    "line\r\nend\ttab\x1b[2J",
    "../../etc/passwd",
    ".hidden",
    "*.lab.example",
    "%2E%00",
    "Ünïcode 公司 😀",
    "right \u202e left \ufeff",
    "e\u0301" * 20,
    "x" * 64,
    "x" * 65,
    "long " * 2_000,
    "公" * 90,
)
"""What strings hold, in UTF-8 where they can."""


def subjects() -> dict[str, bytes]:
    """Distinguished names (DER) by what is odd about them."""
    told = {f"text {at}": subject(text.encode()) for at, text in enumerate(TEXTS)}
    return told | {
        "empty": value(SEQUENCE),
        "empty group": value(SEQUENCE, value(SET)),
        "no CN": value(SEQUENCE, attribute(O, UTF8, b"Lab")),
        "two CNs": value(SEQUENCE, attribute(CN, UTF8, b"first"), attribute(CN, UTF8, b"last")),
        "two in a group": value(SEQUENCE, value(SET, _pair(O, b"Lab"), _pair(CN, b"grouped"))),
        "out of order": value(SEQUENCE, value(SET, _pair(CN, b"grouped"), _pair(C, b"US"))),
        "old Latin": subject(b"C\xf6rp Root CA", T61),
        "wide": subject("Würfel AG".encode("utf-16-be"), BMP),
        "wide and odd": subject(b"\0A\0", BMP),
        "half a pair": subject(b"\xd8\x00", BMP),
        "widest": subject("Würfel".encode("utf-32-be"), UNIVERSAL),
        "beyond Unicode": subject(b"\x00\x11\x00\x00", UNIVERSAL),
        "no UTF-8": subject(b"\xff\xfe", UTF8),
        "a surrogate": subject(b"\xed\xa0\x80", UTF8),
        "printable with more": subject(b"a@b*c&d_e", PRINTABLE),
        "high in ASCII": subject(b"M\xfcller", PRINTABLE),
        "a mail address": value(SEQUENCE, attribute("1.2.840.113549.1.9.1", IA5, b"Admin@Lab.Example")),
        "a mail in UTF-8": value(SEQUENCE, attribute("1.2.840.113549.1.9.1", UTF8, "ädmin@x".encode())),
        "bits": value(SEQUENCE, attribute("2.5.4.45", BIT_STRING, b"\x00\x01"), attribute(CN, UTF8, b"bits")),
        "bytes": subject(b"\x01\x02", OCTET_STRING),
        "a sequence": subject(b"\x05\x00", SEQUENCE),
        "a long tag": subject(b"\x01\x00", 0x1F),
        "a country of three": value(SEQUENCE, attribute(C, PRINTABLE, b"USA"), attribute(CN, UTF8, b"three")),
        "unknown kind": value(SEQUENCE, attribute("1.2.3.4.5.999999999", UTF8, b"who")),
        "a wide arc": value(
            SEQUENCE, value(SET, value(SEQUENCE, value(0x06, b"\x2a" + b"\xff" * 40 + b"\x7f"), _text()))
        ),
        "an arc without end": value(SEQUENCE, value(SET, value(SEQUENCE, value(0x06, b"\xff" * 9), _text()))),
        "no kind": value(SEQUENCE, value(SET, value(SEQUENCE, value(0x06), _text()))),
        "three in a pair": value(SEQUENCE, value(SET, value(SEQUENCE, oid(CN), _text(), _text()))),
        "many groups": value(SEQUENCE, *(attribute(O, UTF8, b"%d" % number) for number in range(300))),
        "many in a group": value(SEQUENCE, value(SET, *(_pair(O, b"%d" % number) for number in range(300)))),
    }


def alternative_names() -> dict[str, bytes]:
    """SubjectAlternativeName (DER) by what is odd about it."""
    return {
        "none": value(SEQUENCE),
        "no sequence": value(SET),
        "hundreds": value(SEQUENCE, *(value(0x82, b"h%d.lab.example" % number) for number in range(400))),
        "a wildcard": value(SEQUENCE, value(0x82, b"*.lab.example"), value(0x82, b"lab.*.example")),
        "odd hosts": value(SEQUENCE, *(value(0x82, text.encode()) for text in TEXTS[:12])),
        "not ASCII": value(SEQUENCE, value(0x82, b"\xff\xfe")),
        "addresses": value(SEQUENCE, value(0x87, b"\x0a\0\0\1"), value(0x87, bytes(16)), value(0x87, b"\xff" * 4)),
        "five bytes": value(SEQUENCE, value(0x87, b"\x0a\0\0\1\2")),
        "a network": value(SEQUENCE, value(0x87, b"\x0a\0\0\0\xff\0\0\0")),
        "mail": value(SEQUENCE, value(0x81, b"a@b"), value(0x81, b""), value(0x81, b"Name <a@b>"), value(0x81, b"@")),
        "uris": value(SEQUENCE, value(0x86, b"http://[::1"), value(0x86, b"://"), value(0x86, b"sip:user@host")),
        "a directory": value(SEQUENCE, value(0xA4, subject(b"elsewhere"))),
        "an odd directory": value(SEQUENCE, value(0xA4, subject(b"\x05\x00", SEQUENCE))),
        "another": value(SEQUENCE, value(0xA0, oid("1.2.3"), value(0xA0, _text()))),
        "another, empty": value(SEQUENCE, value(0xA0, oid("1.2.3"))),
        "a mail system": value(SEQUENCE, value(0xA3, value(SEQUENCE))),
        "a party": value(SEQUENCE, value(0xA5, value(0xA1, value(UTF8, b"x")))),
        "an identifier": value(SEQUENCE, value(0x88, b"\x2a\x03")),
        "no identifier": value(SEQUENCE, value(0x88, b"\x80")),
        "unknown": value(SEQUENCE, value(0x8F, b"x")),
    }


def _pair(kind: str, content: bytes) -> bytes:
    return value(SEQUENCE, oid(kind), value(UTF8, content))


def _text() -> bytes:
    return value(UTF8, b"text")
