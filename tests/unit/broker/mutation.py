"""MQTT packets gone wrong: bytes of good ones with bits turned, ends cut off, lengths that lie, parts of two."""

from collections.abc import Callable
from random import Random

from tests.unit.broker.vectors import VECTORS
from ucmlab.broker.packets import V5, V311, Connect

CORPUS = {
    version: [bytes.fromhex(text) for level, packet, text in VECTORS if level == version] for version in (V311, V5)
}
"""Good packets by protocol version, a server's own kinds among them."""
CONNECTS = {
    version: [bytes.fromhex(text) for level, packet, text in VECTORS if level == version and type(packet) is Connect]
    for version in (V311, V5)
}


def mutated(random: Random, corpus: list[bytes]) -> bytes:
    """One packet of the corpus with one to three things wrong; now and then it is a good one still."""
    raw = bytearray(random.choice(corpus))
    for _ in range(random.randint(1, 3)):
        random.choice(_MUTATIONS)(random, raw, corpus)
    return bytes(raw)


def _flip(random: Random, raw: bytearray, _: list[bytes]) -> None:
    if raw:
        raw[random.randrange(len(raw))] ^= 1 << random.randrange(8)


def _replace(random: Random, raw: bytearray, _: list[bytes]) -> None:
    if raw:
        raw[random.randrange(len(raw))] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))


def _truncate(random: Random, raw: bytearray, _: list[bytes]) -> None:
    del raw[random.randint(0, len(raw)) :]


def _splice(random: Random, raw: bytearray, corpus: list[bytes]) -> None:
    other = random.choice(corpus)
    raw[random.randint(0, len(raw)) :] = other[random.randint(0, len(other)) :]


def _insert(random: Random, raw: bytearray, _: list[bytes]) -> None:
    at = random.randint(0, len(raw))
    raw[at:at] = random.randbytes(random.randint(1, 8))


def _lie_outside(random: Random, raw: bytearray, _: list[bytes]) -> None:
    """The remaining length is another, in one byte or in up to five."""
    raw[1:2] = random.choice((random.randbytes(1), b"\xff" * random.randint(1, 5), b"\x80\x80\x80\x01", b"\xff\x7f"))


def _lie_inside(random: Random, raw: bytearray, _: list[bytes]) -> None:
    """Two bytes that may be a length are another number."""
    at = random.randint(2, max(2, len(raw) - 2))
    raw[at : at + 2] = random.choice((b"\0\0", b"\0\1", b"\xff\xff", random.randbytes(2)))


def _right(_: Random, raw: bytearray, __: list[bytes]) -> None:
    """The remaining length is what it should be, so that the faults inside are reached."""
    if 2 <= len(raw) <= 129:
        raw[1] = len(raw) - 2


_MUTATIONS: tuple[Callable[[Random, bytearray, list[bytes]], None], ...] = (
    _flip,
    _replace,
    _truncate,
    _splice,
    _insert,
    _lie_outside,
    _lie_inside,
    _right,
)
