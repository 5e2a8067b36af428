"""The hash under which OpenSSL looks a CA up in a folder: `<hash>.N` is the N-th certificate with that subject (B.5).

It is OpenSSL's X509_NAME_hash, which `openssl x509 -subject_hash` prints: the name with its strings in UTF-8, ASCII
letters small and blanks single, without the sequence around its groups; of the SHA-1 of that the first four bytes, the
lowest first. SHA-1 protects nothing here.
"""

import hashlib
from functools import lru_cache

from ucmlab.node import names

_UTF8 = 0x0C
_BIT_STRING = 0x03
_NUMERIC = 0x12
_BMP = 0x1E
_LAST_OF_BMP = "\uffff"
_OBJECT_IDENTIFIER = 0x06
_SEQUENCE, _SET = 0x30, 0x31
_TEXTS = {
    _UTF8: "",
    0x13: "",  # PrintableString
    0x14: "latin-1",  # T61String
    0x16: "",  # IA5String
    0x1C: "utf-32-be",  # UniversalString
    _BMP: "utf-16-be",
}
"""Strings that are compared as text, with their encoding where it is another than UTF-8 or ASCII."""
_OTHER = (_NUMERIC, _BIT_STRING)
"""What is compared as it is encoded. OpenSSL takes some kinds besides that no CA writes. [ASSUMED]"""
_UNUSED_BITS = 7


@lru_cache(maxsize=4096)  # a certificate lies in several units, and is written once in each of them
def subject_hash(der: bytes) -> str | None:
    """Hash the subject of a certificate (DER) that `parse` takes: eight hex digits; None, OpenSSL cannot read it.

    OpenSSL takes fewer kinds of values in names than `cryptography` does, and refuses the whole certificate for one in
    its subject or issuer: a link to it would end every search that comes by.
    """
    parts = names.cut(der)
    try:
        canonical = _canonical(parts.subject)
        if parts.issuer != parts.subject:
            _canonical(parts.issuer)  # asked for that reason alone
    except ValueError:
        return None
    digest = hashlib.sha1(canonical, usedforsecurity=False).digest()
    return digest[3::-1].hex()


def _canonical(name: bytes) -> bytes:
    return b"".join(map(_group, names.groups(name)))


@lru_cache(maxsize=1024)  # of the names in a lab most differ in one group only
def _group(raw: bytes) -> bytes:
    attributes = sorted(map(_attribute, names.attributes(raw)))
    return names.encode(_SET, b"".join(attributes)) if attributes else b""


def _attribute(attribute: names.Attribute) -> bytes:
    kind, value = names.encode(_OBJECT_IDENTIFIER, attribute.oid), _value(attribute)
    return names.encode(_SEQUENCE, kind + value)


def _value(attribute: names.Attribute) -> bytes:
    tag, value = attribute.tag, attribute.value
    if tag in _TEXTS:
        # `bytes.lower` and `bytes.split` know ASCII alone, as OpenSSL does.
        return names.encode(_UTF8, b" ".join(_text(tag, value).lower().split()))
    if tag not in _OTHER:
        raise ValueError("this kind of value is none for a name")
    return names.encode(tag, _bits(value) if tag == _BIT_STRING else value)


def _text(tag: int, value: bytes) -> bytes:
    """The text in UTF-8."""
    encoding = _TEXTS[tag]
    if not encoding:
        return value
    text = value.decode(encoding)
    if tag == _BMP and max(text, default="") > _LAST_OF_BMP:
        raise ValueError("OpenSSL takes no pairs of surrogates")
    return text.encode()


def _bits(value: bytes) -> bytes:
    """A bit string as OpenSSL writes it anew: the bits that are not used are zero."""
    if not value or value[0] > _UNUSED_BITS:
        raise ValueError("this is no bit string")
    used = value[1:]
    return value[:1] + used[:-1] + bytes((used[-1] >> value[0] << value[0],)) if used else b"\0"
