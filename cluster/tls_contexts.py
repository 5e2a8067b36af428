"""The TLS settings of the product's listeners and clients in real labs, the same as in the test that compares them.

OpenSSL judges chain, name and usage; its time check is off, as each node has its own clock: who accepts a handshake
asks `handshake.date_verdict` of what `tls_peers.chain_of_peer` tells before the first application byte. What decides a
handshake is set here, so that neither the machine's `openssl.cnf`, nor its trusted CAs, nor the version of Python does.
"""

import os
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from ucmlab.node.certificates import pem
from ucmlab.node.handshake import is_weak

NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME, which `ssl` has no name for."""
FLAGS = ssl.VerifyFlags(ssl.VERIFY_X509_TRUSTED_FIRST | NO_CHECK_TIME)
"""No partial chains, not strict: newer versions of Python set both by themselves."""
NO_COMPRESSED_CERTIFICATES = 1 << 32 | 1 << 33
"""SSL_OP_NO_TX_ and _RX_CERTIFICATE_COMPRESSION of OpenSSL 3.2: `tls_peers` reads chains as they are."""
SECURITY_LEVEL = 1
"""OpenSSL's own until 3.2: 80 bits, as the product offers RSA keys of 1024 bits (B.4). Level 0 would take MD5."""
PRESENT_ANYTHING = 0
"""The level of an end whose own identity is below the other: the product, whose OpenSSL has no levels, presents what a
CA signed with SHA-1, and who connects says what becomes of it. OpenSSL has one level for what it presents and for what
it accepts, so what such an end is shown is judged after the handshake, with the dates (`handshake.date_verdict`). Who
is below the level as well is refused all the same, but by a closed connection instead of an alert."""
Family = Literal["", "rsa", "ec"]
"""Kind of key: of both, or one alone."""
_SUITES: dict[Family, str] = {"": "ECDHE", "rsa": "ECDHE+aRSA", "ec": "ECDHE+aECDSA"}
_CIPHERS = "{suites}:!aNULL:!eNULL:!SHA1:@SECLEVEL={level}"


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What an end presents: a certificate and its issuers, with the key."""

    chain: tuple[bytes, ...]
    """DER, its own certificate first. One alone is completed by OpenSSL: see `handshake.sent`."""
    key: Path | bytes
    """The key's file, or its PEM."""

    def __repr__(self) -> str:
        """Without the key."""
        return f"Identity({len(self.chain)} certificates)"


class Made(msgspec.Struct, frozen=True):
    """A context, and what was left out of it."""

    context: ssl.SSLContext
    skipped: tuple[bytes, ...]
    """Certificates (DER) that were to be trusted, and that OpenSSL does not read."""


def client_context(
    trusted: Iterable[bytes],
    *,
    identity: Identity | None = None,
    check_name: bool = True,
    only: Family = "",
) -> Made:
    """Make the context of an end that calls.

    Args:
        trusted: DER of what it trusts; the order counts where several have one name.
        identity: what it presents if it is asked.
        check_name: whether the server's certificate must be for the name by which it is called.
        only: the one kind of key that it can verify. Such a client speaks TLS 1.2 at most, where the cipher suite
            says the kind; what says it in TLS 1.3, the signature algorithms, Python cannot set before 3.15.

    Raises:
        ssl.SSLError: the identity's certificate or key is not usable, or they do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = check_name
    context.verify_mode = ssl.CERT_REQUIRED
    # Java and OpenSSL look there if there is no DNS name; of browsers none does any more.
    context.hostname_checks_common_name = True
    return _set(context, trusted, [identity] if identity else [], only)


def server_context(
    identities: Iterable[Identity],
    *,
    trusted: Iterable[bytes] = (),
    client: Literal["unasked", "optional", "required"] = "unasked",
    only: Family = "",
) -> Made:
    """Make the context of a listener.

    Args:
        identities: what it presents, at most one of each kind of key; the client's suites decide which.
        trusted: DER of what it trusts in clients.
        client: whether a client must present a certificate.
        only: the one kind of key of the suites offered; see `client_context`.

    Raises:
        ssl.SSLError: a certificate or key is not usable, or they do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = _ASKED[client]
    context.num_tickets = 0
    return _set(context, trusted, identities, only)


_ASKED = {"unasked": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


def _set(context: ssl.SSLContext, trusted: Iterable[bytes], identities: Iterable[Identity], only: Family) -> Made:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2 if only else ssl.TLSVersion.TLSv1_3
    held, own = tuple(trusted), tuple(identities)
    weak = any(is_weak(identity.chain, held) for identity in own)
    level = PRESENT_ANYTHING if weak else SECURITY_LEVEL
    context.set_ciphers(_CIPHERS.format(suites=_SUITES[only], level=level))
    context.verify_flags = FLAGS
    # A session that is resumed from a ticket presents no chain, so its dates could not be judged.
    context.options |= ssl.OP_NO_TICKET | NO_COMPRESSED_CERTIFICATES
    for identity in own:
        _load(context, identity)
    return Made(context, tuple(der for der in held if not _trusts(context, der)))


def _trusts(context: ssl.SSLContext, der: bytes) -> bool:
    """One at a time: a certificate that cannot be read must not keep the others out."""
    try:
        context.load_verify_locations(cadata=der)
    except (ssl.SSLError, ValueError):
        return False
    return True


def _load(context: ssl.SSLContext, identity: Identity) -> None:
    chain = "".join(map(pem, identity.chain)).encode()
    with _in_memory(chain) as chain_file:
        if isinstance(identity.key, Path):
            context.load_cert_chain(chain_file, identity.key)
            return
        with _in_memory(identity.key) as key_file:
            context.load_cert_chain(chain_file, key_file)


@contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """A file that OpenSSL can open by its path and that is never on a disk."""
    file = os.memfd_create("tls")
    try:
        os.write(file, content)
        yield f"/proc/self/fd/{file}"
    finally:
        os.close(file)
