"""What the peer of a real TLS connection presented: asked for where it was accepted, heard where it was not.

Python tells a chain only of a handshake that came about. Why one ended is told by `handshake.judge` better than by
OpenSSL's code, and for that it must be known what was presented; so the certificates are read off the handshake itself.
"""

import ssl
from collections.abc import Callable
from typing import Any

from ucmlab.node.handshake import Shown

Connection = ssl.SSLObject | ssl.SSLSocket
Hear = Callable[[Connection, Shown], None]
_CERTIFICATE = 11
"""TLS: the handshake message with the chain; RFC 5246, 7.4.2, and RFC 8446, 4.4.2."""
_HEADER = 4
"""Bytes of a handshake message before its body: kind and length."""
_DER = 2
"""`_ssl.ENCODING_DER`."""


def chain_of_peer(connection: Connection) -> Shown:
    """What the peer presented in a handshake with which OpenSSL found no fault, also when its session began.

    A client that resumes a session (which Python does only if told so) is not told the chain again: it gets none.
    """
    if connection.getpeercert(binary_form=True) is None:
        return Shown()
    # Public from Python 3.13 on, where it gives bytes; before that the inner object has it, with objects.
    if hasattr(connection, "get_unverified_chain"):
        return Shown(tuple(connection.get_unverified_chain()))
    inner: Any = connection._sslobj  # type: ignore[union-attr]  # noqa: SLF001  # not in the stubs, nor documented
    return Shown(tuple(each.public_bytes(_DER) for each in inner.get_unverified_chain() or ()))


def hear_chains(context: ssl.SSLContext, hear: Hear) -> None:
    """Have it told what peers present, before OpenSSL has judged it; sessions that are resumed present nothing.

    Args:
        context: whose connections are heard, those that are made from now on.
        hear: called in the middle of a handshake; it must not raise.
    """

    def message(connection: Connection, direction: str, version: int, _kind: object, what: int, raw: bytes) -> None:
        if direction == "read" and what == _CERTIFICATE and _kind == _HANDSHAKE:
            hear(connection, read_certificate_message(raw, tls_1_3=version == ssl.TLSVersion.TLSv1_3))

    # Python's own hook for debugging, undocumented; the tests notice if it goes away.
    context._msg_callback = message  # type: ignore[attr-defined]  # noqa: SLF001


_HANDSHAKE = 22
"""TLS: the content type of handshake messages."""


def read_certificate_message(raw: bytes, *, tls_1_3: bool) -> Shown:
    """Read the chain from a whole Certificate message, whose form OpenSSL has not checked yet.

    What does not fit ends it: OpenSSL ends the handshake then as well.
    """
    body = raw[_HEADER:]
    if tls_1_3:
        body = body[1 + body[0] :] if body else body  # the context of the request
    entries, chain = _vector(body, 3)[0], list[bytes]()
    while entries:
        der, entries = _vector(entries, 3)
        if tls_1_3:
            entries = _vector(entries, 2)[1]  # extensions
        chain.append(der)
    return Shown(tuple(chain))


def _vector(data: bytes, size: int) -> tuple[bytes, bytes]:
    """Cut a vector with a length of that many bytes from the front; the rest."""
    end = size + int.from_bytes(data[:size])
    return data[size:end], data[end:]
