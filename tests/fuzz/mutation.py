"""DER gone wrong: bytes turned, cut, doubled and mixed; values dropped, doubled, swapped, nested, retagged, refilled.

A change of one value sets the lengths around it right, so that whoever reads the document gets as far as the change.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from random import Random

from tests.fuzz.certificates import TIMES
from tests.fuzz.der import (
    BIT_STRING,
    BMP,
    BOOLEAN,
    ENUMERATED,
    GENERALIZED_TIME,
    IA5,
    INTEGER,
    OCTET_STRING,
    OID,
    PRINTABLE,
    SEQUENCE,
    SET,
    T61,
    UNIVERSAL,
    UTC_TIME,
    UTF8,
    Element,
    children,
    elements,
    endless,
    header,
    integer,
    replaced,
    value,
)
from tests.fuzz.odd_names import TEXTS

TAGS = (*range(0x20), SEQUENCE, SET, 0x24, 0x3F, 0x80, 0x82, 0x87, 0xA0, 0xA1, 0xA3, 0xA4, 0xFF)
SIZES = (0, 1, 127, 128, 255, 256, 4_000, 60_000)
SIZE_WEIGHTS = (20, 20, 20, 20, 20, 20, 5, 1)
DEPTHS = (1, 1, 1, 2, 30, 3_000)
NUMBERS = (0, 1, -1, 2, 3, 127, 128, 255, 256, (1 << 31) - 1, 1 << 31, 1 << 32, 1 << 63, -(1 << 63), 1 << 64, 1 << 256)
STRINGS = (UTF8, PRINTABLE, T61, IA5, UNIVERSAL, BMP, 0x12, 0x1A, 0x82, 0x81, 0x86)
IDENTIFIERS = (
    "",
    "2a",
    "80",
    "ff" * 9,
    "2a" + "ff" * 30 + "7f",
    "551d13",
    "551d11",
    "551d1e",
    "550403",
    "2a864886f70d010101",
)

Change = Callable[[Random, bytes, int, Sequence[bytes]], bytes]
"""Another value for one: its bytes, where its contents begin, documents to take something from."""


def mutated(random: Random, der: bytes, donors: Sequence[bytes]) -> bytes:
    """The document with one to three things wrong; now and then it is a good one still."""
    for _ in range(random.choice((1, 1, 1, 1, 2, 3))):
        mutate = _by_value if random.random() < 0.75 else random.choice(_BY_BYTES)
        der = mutate(random, der, donors)
    return der


# -- one value


def _by_value(random: Random, der: bytes, donors: Sequence[bytes]) -> bytes:
    found = _elements(der)
    if not found:
        return _flip(random, der, donors)
    number = random.randrange(len(found))
    if random.random() < 0.1:
        return _shuffled(random, der, found, number)
    element = found[number]
    own = _OF_ITS_KIND.get(der[element.start])
    change = own if own is not None and random.random() < 0.5 else random.choice(_CHANGES)
    raw = der[element.start : element.stop]
    return replaced(der, found, number, change(random, raw, element.content - element.start, donors))


_elements = lru_cache(maxsize=1024)(elements)


def _shuffled(random: Random, der: bytes, found: list[Element], number: int) -> bytes:
    """What is inside a value in another order, or one of it in the place of all."""
    parts = [der[each.start : each.stop] for each in children(found, number)]
    if not parts:
        return der
    if random.random() < 0.5:
        random.shuffle(parts)
    else:
        parts = [random.choice(parts) for _ in parts]
    return replaced(der, found, number, value(der[found[number].start], *parts))


def _drop(_: Random, __: bytes, ___: int, ____: Sequence[bytes]) -> bytes:
    return b""


def _double(random: Random, raw: bytes, _: int, __: Sequence[bytes]) -> bytes:
    return raw * random.choice((2, 2, 2, 3, 50))


def _nest(random: Random, raw: bytes, _: int, __: Sequence[bytes]) -> bytes:
    tag = random.choice((SEQUENCE, SET, OCTET_STRING, 0xA0))
    for _ in range(random.choice(DEPTHS)):
        raw = value(tag, raw)
    return raw


def _unnest(_: Random, raw: bytes, content: int, __: Sequence[bytes]) -> bytes:
    return raw[content:]


def _retag(random: Random, raw: bytes, _: int, __: Sequence[bytes]) -> bytes:
    return bytes((random.choice(TAGS),)) + raw[1:]


def _refill(random: Random, raw: bytes, _: int, __: Sequence[bytes]) -> bytes:
    size = random.choices(SIZES, SIZE_WEIGHTS)[0]
    filling = random.randbytes(size) if random.random() < 0.5 else random.choice((b"\0", b"\xff", b"\x80", b"a")) * size
    return value(raw[0], filling)


def _stretch(random: Random, raw: bytes, content: int, _: Sequence[bytes]) -> bytes:
    size = random.choices(SIZES, SIZE_WEIGHTS)[0]
    return value(raw[0], raw[content:] * (1 + size // max(1, len(raw) - content)))


def _lie(random: Random, raw: bytes, content: int, _: Sequence[bytes]) -> bytes:
    """A length that is not the contents'."""
    size = len(raw) - content
    told = random.choice((size - 1, size + 1, 0, 127, 128, 255, 65_535, 1 << 24, 1 << 31, size * 2))
    return header(raw[0], max(0, told)) + raw[content:]


def _long_form(random: Random, raw: bytes, content: int, _: Sequence[bytes]) -> bytes:
    """The right length in more octets than it needs; up to 126, which no machine counts in."""
    octets = random.choice((1, 2, 3, 4, 5, 8, 126))
    size = (len(raw) - content) & ((1 << 8 * octets) - 1)
    return bytes((raw[0], 0x80 | octets)) + size.to_bytes(octets) + raw[content:]


def _no_length(_: Random, raw: bytes, content: int, __: Sequence[bytes]) -> bytes:
    return endless(raw[0], raw[content:])


def _transplant(random: Random, raw: bytes, _: int, donors: Sequence[bytes]) -> bytes:
    """A value of another document; of its own kind, if that has one."""
    donor = random.choice(donors)
    found = _elements(donor)
    alike = [each for each in found if donor[each.start] == raw[0]] or found
    if not alike:
        return raw
    chosen = random.choice(alike)
    return donor[chosen.start : chosen.stop]


_CHANGES: tuple[Change, ...] = (
    _drop,
    _double,
    _nest,
    _unnest,
    _retag,
    _refill,
    _stretch,
    _lie,
    _long_form,
    _no_length,
    _transplant,
    _transplant,
)


def _number(random: Random, raw: bytes, content: int, _: Sequence[bytes]) -> bytes:
    known = int.from_bytes(raw[content:], signed=True)
    return integer(random.choice((*NUMBERS, known + 1, known - 1, -known, known << 1)))


def _enumerated(random: Random, _: bytes, __: int, ___: Sequence[bytes]) -> bytes:
    return value(ENUMERATED, bytes((random.choice((0, 7, 11, 127, 128, 255)),)))


def _text(random: Random, raw: bytes, content: int, _: Sequence[bytes]) -> bytes:
    text = random.choice(TEXTS)
    if random.random() < 0.5:
        old = raw[content:].decode("latin-1")
        at = random.randint(0, len(old))
        text = old[:at] + random.choice(text or "x") + old[at:]
    encoding = {BMP: "utf-16-be", UNIVERSAL: "utf-32-be"}.get(raw[0], random.choice(("utf-8", "latin-1")))
    tag = random.choice(STRINGS) if random.random() < 0.2 else raw[0]
    return value(tag, text.encode(encoding, errors="replace"))


def _time(random: Random, raw: bytes, content: int, _: Sequence[bytes]) -> bytes:
    text = random.choice(random.choice(TIMES)).encode()
    if random.random() < 0.5:
        changed = bytearray(raw[content:])
        if changed:
            changed[random.randrange(len(changed))] = random.choice(b"0123456789Z+-. ")
        text = bytes(changed)
    return value(random.choice((raw[0], raw[0], UTC_TIME, GENERALIZED_TIME)), text)


def _identifier(random: Random, _: bytes, __: int, ___: Sequence[bytes]) -> bytes:
    return value(OID, bytes.fromhex(random.choice(IDENTIFIERS)))


def _truth(random: Random, _: bytes, __: int, ___: Sequence[bytes]) -> bytes:
    return value(BOOLEAN, random.choice((b"", b"\0", b"\1", b"\xff", b"\xff\xff")))


def _bits(random: Random, raw: bytes, content: int, _: Sequence[bytes]) -> bytes:
    return value(BIT_STRING, random.choice((b"", b"\0", b"\7\x80", b"\x08\xff", b"\1" + raw[content + 1 :])))


_OF_ITS_KIND: dict[int, Change] = {
    INTEGER: _number,
    ENUMERATED: _enumerated,
    **dict.fromkeys(STRINGS, _text),
    UTC_TIME: _time,
    GENERALIZED_TIME: _time,
    OID: _identifier,
    BOOLEAN: _truth,
    BIT_STRING: _bits,
}


# -- bytes


def _flip(random: Random, der: bytes, _: Sequence[bytes]) -> bytes:
    if not der:
        return der
    at = random.randrange(len(der))
    return der[:at] + bytes((der[at] ^ 1 << random.randrange(8),)) + der[at + 1 :]


def _replace(random: Random, der: bytes, _: Sequence[bytes]) -> bytes:
    at = random.randint(0, len(der))
    return der[:at] + bytes((random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256))),)) + der[at + 1 :]


def _insert(random: Random, der: bytes, _: Sequence[bytes]) -> bytes:
    at = random.randint(0, len(der))
    return der[:at] + random.randbytes(random.randint(1, 8)) + der[at:]


def _remove(random: Random, der: bytes, _: Sequence[bytes]) -> bytes:
    at = random.randint(0, len(der))
    return der[:at] + der[at + random.randint(1, 8) :]


def _truncate(random: Random, der: bytes, _: Sequence[bytes]) -> bytes:
    return der[: random.randint(0, len(der))]


def _again(random: Random, der: bytes, _: Sequence[bytes]) -> bytes:
    at = random.randint(0, len(der))
    return der[:at] + der[max(0, at - random.randint(1, 64)) :]


def _splice(random: Random, der: bytes, donors: Sequence[bytes]) -> bytes:
    other = random.choice(donors)
    return der[: random.randint(0, len(der))] + other[random.randint(0, len(other)) :]


def _follow(random: Random, der: bytes, donors: Sequence[bytes]) -> bytes:
    return der + random.choice((b"\0", b"\n", random.choice(donors)))


_BY_BYTES: tuple[Callable[[Random, bytes, Sequence[bytes]], bytes], ...] = (
    _flip,
    _flip,
    _replace,
    _insert,
    _remove,
    _truncate,
    _again,
    _splice,
    _follow,
)
