"""The certificates of a PKCS#7 chain (RFC 2315, RFC 5652: SignedData), cut out byte by byte.

Own code, because a library that decodes and encodes anew may change bytes, and bytes are what a trust store compares.
Only certificates are of interest: signers, revocation lists and content are stepped over. BER's indefinite lengths
occur in files of real CAs (Bouncy Castle writes them), so they are read; nesting costs no stack and every loop has a
limit, as anybody may have made the file.
"""

from collections.abc import Iterator
from typing import NamedTuple

from ucmlab.node.errors import Refusal

CERTIFICATES_LIMIT = 500
"""Certificates in one file. [ASSUMED]: all public roots together are fewer than 200."""
_STEPS = 20_000
"""Values looked at to find the end of one of indefinite length."""
_PKCS7 = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07"
"""The object identifier of every kind of PKCS#7 content, but for its last arc."""
_SIGNED_DATA = _PKCS7 + b"\x02"
_INTEGER, _SEQUENCE, _SET, _FIRST, _SECOND = 0x02, 0x30, 0x31, 0xA0, 0xA1
_CONSTRUCTED, _LONG_TAG, _INDEFINITE = 0x20, 0x1F, 0x80
_LENGTH_OCTETS = 4
_HEADER = 2
_END_OF_CONTENTS = b"\x00\x00"


class _Value(NamedTuple):
    """One BER value: where its contents begin and stop, and where the next value begins."""

    tag: int
    start: int
    stop: int
    following: int


def is_pkcs7(data: bytes) -> bool:
    """Whether DER or BER begins as PKCS#7 of any kind, without reading on."""
    length = data[1] if len(data) > 1 else 0
    start = _HEADER + (length & 0x7F if length > _INDEFINITE else 0)
    return data[:1] == bytes((_SEQUENCE,)) and data[start:].startswith(_PKCS7)


def certificates_of(data: bytes) -> tuple[bytes, ...]:
    """Cut the certificates (DER) out of a PKCS#7 file (DER or BER), in the order of the file.

    Raises:
        Refusal: `format`, `trailing_data`, `too_large` or `empty`.
    """
    whole = _expect(data, 0, len(data), _SEQUENCE)
    if not data[whole.start : whole.stop].startswith(_SIGNED_DATA):
        raise Refusal("format", "a PKCS#7 that is no chain of certificates: its content is not SignedData")
    if whole.following < len(data):
        raise Refusal("trailing_data", f"{len(data) - whole.following} bytes follow the PKCS#7 chain")
    wrapper = _expect(data, whole.start + len(_SIGNED_DATA), whole.stop, _FIRST)
    signed = _expect(data, wrapper.start, wrapper.stop, _SEQUENCE)
    found = _certificate_set(data, signed)
    certificates = () if found is None else tuple(_cut(data, found))
    if not certificates:
        raise Refusal("empty", "the PKCS#7 chain holds no certificate")
    return certificates


def _certificate_set(data: bytes, signed: _Value) -> _Value | None:
    """Where the certificates are; what stands around them must have its shape, what it says does not matter."""
    at = signed.start
    for tag in (_INTEGER, _SET, _SEQUENCE):
        at = _expect(data, at, signed.stop, tag).following
    rest = [_value(data, at, signed.stop)]
    while rest[-1].following < signed.stop and len(rest) < 3:  # noqa: PLR2004  # certificates, CRLs, signers
        rest.append(_value(data, rest[-1].following, signed.stop))
    tags = [value.tag for value in rest]
    if rest[-1].following != signed.stop or tags[-1] != _SET or tags[:-1] not in _BEFORE_SIGNERS:
        raise Refusal("format", "this is no well-formed PKCS#7 chain")
    return rest[0] if tags[0] == _FIRST else None


_BEFORE_SIGNERS: tuple[list[int], ...] = ([], [_FIRST], [_SECOND], [_FIRST, _SECOND])
"""Certificates and revocation lists may be left out; signers are always told, be it that there are none."""


def _cut(data: bytes, certificates: _Value) -> Iterator[bytes]:
    at, count = certificates.start, 0
    while at < certificates.stop:
        value = _value(data, at, certificates.stop)
        if value.tag != _SEQUENCE:
            raise Refusal("format", "the PKCS#7 chain holds something that is no X.509 certificate")
        count += 1
        if count > CERTIFICATES_LIMIT:
            raise Refusal("too_large", f"more than {CERTIFICATES_LIMIT} certificates in one file")
        yield data[at : value.following]
        at = value.following


def _expect(data: bytes, at: int, end: int, tag: int) -> _Value:
    value = _value(data, at, end)
    if value.tag != tag:
        raise Refusal("format", "this is no well-formed PKCS#7 chain")
    return value


def _value(data: bytes, at: int, end: int) -> _Value:
    tag, start, stop = _header(data, at, end)
    if stop is not None:
        return _Value(tag, start, stop, stop)
    stop = _end_of_contents(data, start, end)
    return _Value(tag, start, stop, stop + len(_END_OF_CONTENTS))


def _header(data: bytes, at: int, end: int) -> tuple[int, int, int | None]:
    """Tag, start of the contents, and their end, which an indefinite length does not tell."""
    if at + _HEADER > end:
        raise Refusal("format", "the PKCS#7 chain is cut off")
    tag, length, start = data[at], data[at + 1], at + _HEADER
    octets = length & 0x7F if length > _INDEFINITE else 0
    if tag & _LONG_TAG == _LONG_TAG or octets > _LENGTH_OCTETS:
        raise Refusal("format", "this is no well-formed PKCS#7 chain")
    if length == _INDEFINITE:
        if not tag & _CONSTRUCTED:
            raise Refusal("format", "this is no well-formed PKCS#7 chain")
        return tag, start, None
    if octets:
        length = int.from_bytes(data[start : start + octets])
    stop = start + octets + length
    if stop > end:
        raise Refusal("format", "the PKCS#7 chain is cut off")
    return tag, start + octets, stop


def _end_of_contents(data: bytes, at: int, end: int) -> int:
    """Where the contents of a value of indefinite length end; those inside it are counted, not entered."""
    depth = 1
    for _ in range(_STEPS):
        if data[at : at + 2] == _END_OF_CONTENTS and at + 2 <= end:
            depth -= 1
            if not depth:
                return at
            at += 2
            continue
        _, start, stop = _header(data, at, end)
        depth += stop is None
        at = start if stop is None else stop
    raise Refusal("too_large", f"more than {_STEPS} values in one part of the PKCS#7 chain")
