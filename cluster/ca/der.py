"""DER values that were made here, cut apart and put together: what the library signs only in its own way.

Nothing here reads what comes from outside: whoever calls has had the library read it first.
"""

from collections.abc import Iterator

from ucmlab.node.names import SEQUENCE, end_of_value, start_of_value

BIT_STRING = 0x03
OCTET_STRING = 0x04
_LONG_FORM = 0x80


def values(constructed: bytes) -> Iterator[bytes]:
    """The values inside a constructed value, each with its header."""
    at, end = start_of_value(constructed), end_of_value(constructed)
    while at < end:
        length = end_of_value(constructed[at:])
        yield constructed[at : at + length]
        at += length


def contents(of: bytes) -> bytes:
    """A value without its header."""
    return of[start_of_value(of) : end_of_value(of)]


def sequence(*parts: bytes) -> bytes:
    """A SEQUENCE of these values."""
    return value(SEQUENCE, b"".join(parts))


def value(tag: int, inside: bytes) -> bytes:
    """A value of one tag."""
    length = len(inside)
    if length < _LONG_FORM:
        return bytes((tag, length)) + inside
    octets = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes((tag, _LONG_FORM | len(octets))) + octets + inside
