"""Distinguished names, read from their DER: text for people (RFC 4514), bytes for OpenSSL's subject hash.

Own code, because names are half the time that `cryptography` spends on a certificate and each lab has few of them:
here they are remembered by their bytes. It reads the names of certificates that `cryptography` has accepted, and
takes older encodings (T61, BMP) too, which real CA certificates have.
"""

from typing import NamedTuple

from ucmlab.node.remembered import Remembered

SEQUENCE = 0x30
_UTF8 = 0x0C
_VERSION = 0xA0
_OBJECT_IDENTIFIER = 0x06
_LONG_FORM = 0x80
_HEADER = 2
"""Bytes of the shortest header: tag and length."""
_ENCODINGS = {
    _UTF8: "utf-8",
    0x12: "ascii",  # NumericString
    0x13: "ascii",  # PrintableString
    0x14: "latin-1",  # T61String, as everybody reads it
    0x16: "ascii",  # IA5String
    0x1A: "ascii",  # VisibleString
    0x1C: "utf-32-be",  # UniversalString
    0x1E: "utf-16-be",  # BMPString
}
COMMON_NAME = b"\x55\x04\x03"
EMAIL_ADDRESS = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01"
_SHORT = {
    COMMON_NAME: "CN",
    b"\x55\x04\x06": "C",
    b"\x55\x04\x07": "L",
    b"\x55\x04\x08": "ST",
    b"\x55\x04\x09": "STREET",
    b"\x55\x04\x0a": "O",
    b"\x55\x04\x0b": "OU",
    b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01": "UID",
    b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19": "DC",
}
_ESCAPED = {ord(character): f"\\{character}" for character in '"+,;<>\\'} | {0: "\\00"}


class Name(NamedTuple):
    """A distinguished name, read."""

    text: str
    """RFC 4514: most specific part first."""
    common_name: str
    """The last CN, or empty."""
    first_value: str
    """The first value of all, or empty."""


class Attribute(NamedTuple):
    """One attribute of a name, as encoded."""

    oid: bytes
    tag: int
    value: bytes


def start_of_value(data: bytes) -> int:
    """Where the contents of the DER value at the start of `data` begin; beyond the end if it is cut off."""
    if len(data) < _HEADER or data[1] < _LONG_FORM:
        return _HEADER
    return _HEADER + (data[1] & 0x7F)


def end_of_value(data: bytes) -> int:
    """Where the DER value at the start of `data` ends; beyond the end if it is cut off."""
    start = start_of_value(data)
    if len(data) < _HEADER:
        return start
    return start + (data[1] if data[1] < _LONG_FORM else int.from_bytes(data[_HEADER:start]))


class Cut(NamedTuple):
    """Parts of a certificate, each as encoded."""

    serial: bytes
    issuer: bytes
    subject: bytes

    @property
    def serial_number(self) -> int:
        """The serial number; old CAs made negative ones."""
        return int.from_bytes(_contents(self.serial), signed=True)


def cut(certificate: bytes) -> Cut:
    """Cut serial number, issuer and subject out of a DER certificate, each with its header."""
    to_be_signed = _contents(_contents(certificate))
    # version [0] (absent in version 1), serial number, signature algorithm, issuer, validity, subject
    parts = _values(to_be_signed, count=6)
    at = 1 if to_be_signed[0] == _VERSION else 0
    return Cut(parts[at], parts[at + 2], parts[at + 4])


class Signing(NamedTuple):
    """What a signature is checked with, each as encoded."""

    algorithm: bytes
    """As the certificate says it inside, where it is signed."""
    outer_algorithm: bytes
    """As it says it outside; equal, or somebody changed it."""
    public_key: bytes
    """SubjectPublicKeyInfo of the certificate's own key."""


def cut_signing(certificate: bytes) -> Signing:
    """Cut algorithms and public key out of a DER certificate."""
    to_be_signed, outer_algorithm = _values(_contents(certificate), count=2)
    parts = _values(_contents(to_be_signed), count=7)
    at = 1 if _contents(to_be_signed)[0] == _VERSION else 0
    return Signing(parts[at + 1], outer_algorithm, parts[at + 5])


def curve_is_named(public_key: bytes) -> bool:
    """Whether an EC key (SubjectPublicKeyInfo) names its curve; spelling one out is forbidden (RFC 5480, 2.1.1)."""
    algorithm = _values(_contents(public_key), count=1)[0]
    parameters = _values(_contents(algorithm))[1:]
    return [value[0] for value in parameters] == [_OBJECT_IDENTIFIER]


Canonical = tuple[tuple[tuple[bytes, bytes], ...], ...]
"""A name as names are compared: groups of attributes, of each the kind and the value."""


@Remembered
def canonical(raw: bytes) -> Canonical:
    """Bring a DER name into the form in which equal names are equal: as OpenSSL compares them (RFC 5280, 7.1).

    Neither the string's encoding counts, nor the case of ASCII letters, nor how many blanks stand somewhere.

    Raises:
        ValueError: it is malformed, or a string is not in the encoding that it claims.
    """
    return tuple(tuple(map(_compared, _values(_contents(group)))) for group in _values(_contents(raw)))


def groups(raw: bytes) -> list[bytes]:
    """The groups of a DER name, each as encoded.

    Raises:
        ValueError: it is malformed.
    """
    return _values(_contents(raw))


def attributes(group: bytes) -> list[Attribute]:
    """The attributes of one of the `groups` of a name.

    Raises:
        ValueError: it is malformed.
    """
    return [_attribute(part) for part in _values(_contents(group))]


@Remembered
def read(raw: bytes) -> Name:
    """Read a DER name.

    Raises:
        ValueError: it is malformed, or a string is not in the encoding that it claims.
    """
    relative = [_relative(group) for group in _values(_contents(raw))]
    return Name(
        ",".join(group.text for group in reversed(relative)),
        next((group.common_name for group in reversed(relative) if group.common_name is not None), ""),
        next((group.first_value for group in relative if group.first_value is not None), ""),
    )


def values_of(raw: bytes, kind: bytes) -> tuple[str, ...]:
    """All values of one kind of attribute (`COMMON_NAME`, `EMAIL_ADDRESS`) in a DER name that `read` takes."""
    found = [attribute for group in groups(raw) for attribute in attributes(group)]
    return tuple(_text(attribute) for attribute in found if attribute.oid == kind)


class _Relative(NamedTuple):
    """One group of attributes, read."""

    text: str
    common_name: str | None
    first_value: str | None


@Remembered  # of the names in a lab most differ in one group only
def _relative(raw: bytes) -> _Relative:
    found = attributes(raw)
    common = [_text(attribute) for attribute in found if attribute.oid == COMMON_NAME]
    return _Relative(
        "+".join(map(_rfc4514, found)),
        common[-1] if common else None,
        _text(found[0]) if found else None,
    )


def _attribute(raw: bytes) -> Attribute:
    oid, value = _values(_contents(raw))
    return Attribute(_contents(oid), value[0], _contents(value))


def _compared(raw: bytes) -> tuple[bytes, bytes]:
    attribute = _attribute(raw)
    if attribute.tag not in _ENCODINGS:
        return attribute.oid, bytes((attribute.tag,)) + attribute.value
    # `bytes.lower` and `bytes.split` know ASCII alone, as OpenSSL does.
    return attribute.oid, b" ".join(_text(attribute).encode().lower().split())


def _rfc4514(attribute: Attribute) -> str:
    kind = _SHORT.get(attribute.oid) or _dotted(attribute.oid)
    if attribute.tag not in _ENCODINGS:
        return f"{kind}=#{encode(attribute.tag, attribute.value).hex()}"
    text = _text(attribute).translate(_ESCAPED)
    if text[:1] in ("#", " "):
        text = f"\\{text}"
    return f"{kind}={text[:-1]}\\ " if text.endswith(" ") and text != "\\ " else f"{kind}={text}"


def _text(attribute: Attribute) -> str:
    encoding = _ENCODINGS.get(attribute.tag)
    return attribute.value.hex() if encoding is None else attribute.value.decode(encoding)


def _dotted(oid: bytes) -> str:
    arcs, arc = list[int](), 0
    for byte in oid:
        arc = arc << 7 | byte & 0x7F
        if byte < _LONG_FORM:
            arcs.append(arc)
            arc = 0
    if not arcs:
        raise ValueError("an object identifier is empty")
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, [first, arcs[0] - 40 * first, *arcs[1:]]))


def _values(data: bytes, count: int = -1) -> list[bytes]:
    """Cut concatenated DER values apart, at most `count` of them."""
    parts: list[bytes] = []
    at, size = 0, len(data)
    while at < size and len(parts) != count:
        # As `end_of_value` has it, but without cutting off what was read: names are read by every node at its start.
        length = data[at + 1] if at + 1 < size else 0
        start = at + _HEADER
        if length >= _LONG_FORM:
            start += length & 0x7F
            length = int.from_bytes(data[at + _HEADER : start])
        end = start + length
        if end > size:
            raise ValueError("a value is cut off")
        parts.append(data[at:end])
        at = end
    return parts


def _contents(value: bytes) -> bytes:
    return value[start_of_value(value) : end_of_value(value)]


def encode(tag: int, contents: bytes) -> bytes:
    """Write a DER value: tag, length, contents."""
    length = len(contents)
    if length < _LONG_FORM:
        return bytes((tag, length)) + contents
    octets = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes((tag, _LONG_FORM | len(octets))) + octets + contents
