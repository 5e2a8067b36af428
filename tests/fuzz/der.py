"""DER as a fuzzer needs it: values of any kind put together, and one value changed with all lengths around it right."""

from collections.abc import Iterator
from typing import NamedTuple

MOST = 400
"""Values looked at in one document: what lies behind them in a giant certificate is more of the same."""
BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID, ENUMERATED = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0A
UTF8, PRINTABLE, T61, IA5, UTC_TIME, GENERALIZED_TIME, UNIVERSAL, BMP = 0x0C, 0x13, 0x14, 0x16, 0x17, 0x18, 0x1C, 0x1E
SEQUENCE, SET = 0x30, 0x31
_CONSTRUCTED, _LONG = 0x20, 0x80
_LENGTH_OCTETS = 4


class Element(NamedTuple):
    """Where one value lies."""

    start: int
    content: int
    stop: int
    around: tuple[int, ...]
    """Numbers of the values that it lies in, the outermost first."""


def header(tag: int, size: int) -> bytes:
    """Tag and length."""
    if size < _LONG:
        return bytes((tag, size))
    octets = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, _LONG | len(octets))) + octets


def value(tag: int, *contents: bytes) -> bytes:
    """A value that holds these, one after the other."""
    content = b"".join(contents)
    return header(tag, len(content)) + content


def endless(tag: int, *contents: bytes) -> bytes:
    """The same in BER, of indefinite length."""
    return bytes((tag, _LONG)) + b"".join(contents) + b"\0\0"


def integer(number: int) -> bytes:
    """A number, of any size and sign."""
    return value(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, signed=True))


def oid(dotted: str) -> bytes:
    """An object identifier."""
    first, second, *rest = map(int, dotted.split("."))
    return value(OID, b"".join(map(_arc, (40 * first + second, *rest))))


def elements(der: bytes) -> list[Element]:
    """All values, each before those inside it, also inside of strings that hold DER; of what is no DER, its start."""
    found: list[Element] = []
    waiting: list[tuple[int, int, tuple[int, ...]]] = [(0, len(der), ())]
    while waiting and len(found) < MOST:
        at, end, around = waiting.pop()
        for start, content, stop in _row(der, at, end):
            inside = _inside(der, start, content, stop)
            if inside is not None:
                waiting.append((inside, stop, (*around, len(found))))
            found.append(Element(start, content, stop, around))
    return found


def replaced(der: bytes, found: list[Element], number: int, new: bytes) -> bytes:
    """The document with another value in the place of one of its `elements`; the lengths around it are set right."""
    element = found[number]
    changed = der[: element.start] + new + der[element.stop :]
    grown = len(new) - (element.stop - element.start)
    for outer in (found[each] for each in reversed(element.around)):
        made = header(der[outer.start], outer.stop - outer.content + grown)
        changed = changed[: outer.start] + made + changed[outer.content :]
        grown += len(made) - (outer.content - outer.start)
    return changed


def children(found: list[Element], number: int) -> list[Element]:
    """The values directly inside one of them, in their order."""
    around = (*found[number].around, number)
    return [each for each in found[number + 1 :] if each.around == around]


def _row(der: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Start, start of the contents, and end of each value in a row, up to the first that is none."""
    while at + 2 <= end:
        content, size = at + 2, der[at + 1]
        if size >= _LONG:
            octets = size & 0x7F
            if not 0 < octets <= _LENGTH_OCTETS:
                return
            content += octets
            size = int.from_bytes(der[at + 2 : content])
        if content + size > end:
            return
        yield at, content, content + size
        at = content + size


def _inside(der: bytes, start: int, content: int, stop: int) -> int | None:
    """Where the values inside begin; None, there are none."""
    tag = der[start]
    if tag & _CONSTRUCTED:
        return content
    if tag == BIT_STRING and der[content : content + 2] == b"\0\x30":
        return content + 1
    if tag == OCTET_STRING and content < stop and der[content] in (SEQUENCE, OCTET_STRING, BIT_STRING):
        return content
    return None


def _arc(number: int) -> bytes:
    octets = [number & 0x7F]
    while number := number >> 7:
        octets.append(number & 0x7F | _LONG)
    return bytes(reversed(octets))
