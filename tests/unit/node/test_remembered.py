"""What is remembered of certificates: thousands of usual ones, and of the largest no more than memory is there for."""

from collections.abc import Callable
from functools import lru_cache

import pytest

from tests.fuzz import raw
from tests.fuzz.der import integer
from tests.unit.node.certificate_factory import certificate
from ucmlab.node import names
from ucmlab.node.certificates import parse, trust_file_stem
from ucmlab.node.errors import Refusal
from ucmlab.node.handshake_certificates import see
from ucmlab.node.host_names import host_names
from ucmlab.node.issuing import named, standing
from ucmlab.node.remembered import LARGEST, USUAL, USUAL_LENGTH, Remembered

READERS: dict[str, Callable[[bytes], object]] = {
    "parse": parse,
    "standing": standing,
    "named": named,
    "seen in a handshake": see,
    "host names": host_names,
    "names read": lambda der: names.read(names.cut(der).subject),
    "names compared": lambda der: names.canonical(names.cut(der).subject),
    "file name": lambda der: trust_file_stem(der, "cn"),
}


@lru_cache(maxsize=1)
def large() -> tuple[bytes, ...]:
    """One certificate of 60 kB more than are remembered, by different names."""
    name = raw.subject(b"x" * 60_000)
    return tuple(raw.certificate(name=name[:-4] + b"%04d" % n, serial=integer(n)) for n in range(LARGEST + 1))


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_of_large_certificates_the_last_few_are_remembered_and_a_usual_one_beside_them(
    read: Callable[[bytes], object],
) -> None:
    usual = certificate("Usual CA")
    first, of_usual = read(large()[0]), read(usual)
    assert read(large()[0]) is first
    for der in large()[1:]:
        read(der)
    assert read(large()[0]) == first
    assert read(large()[0]) is not first
    assert read(usual) is of_usual


def test_it_is_read_once_as_long_as_it_is_remembered() -> None:
    asked: list[bytes] = []

    @Remembered
    def length(encoded: bytes) -> int:
        """Say how long it is."""
        asked.append(encoded)
        return len(encoded)

    edge = bytes(USUAL_LENGTH)
    strings = (edge, *(b"%d" % n for n in range(USUAL - 1)))
    for _ in range(2):
        assert [length(each) for each in strings] == [len(each) for each in strings]
    assert asked == [*strings]
    assert length.__doc__ == "Say how long it is."
    length.cache_clear()
    assert length(edge) == USUAL_LENGTH
    assert asked[len(strings) :] == [edge]


def test_a_refusal_is_not_remembered_and_told_again() -> None:
    for _ in range(2):
        with pytest.raises(Refusal, match="well-formed"):
            parse(b"no certificate")
