"""Real handshakes in memory, both ends OpenSSL: what the one says to what the other presents."""

import contextlib
import re
import ssl
import subprocess
from collections.abc import Sequence
from functools import lru_cache
from itertools import cycle
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.unit.node.authorities import PrivateKey, issue
from ucmlab.cluster import tls_contexts
from ucmlab.cluster.tls_contexts import Family, Identity, client_context, server_context
from ucmlab.node.certificates import pem
from ucmlab.node.handshake import Standard
from ucmlab.node.host_names import address_of
from ucmlab.node.instant import SECOND

TURNS = 12
"""How often the ends may answer each other: a handshake takes three or four."""
OTHER_END = issue("other.lab.test", 700, ca=False)


def openssl_says(
    chain: Sequence[bytes], key: PrivateKey, standard: Standard, only: Family = "", *, own: bool = False
) -> int:
    """The verify code of a whole handshake; 0, it came about, -1, the peer presented nothing.

    `own`: the end that presents is a node as well, and the chain is its service's identity.
    """
    if standard.usage == "server":
        verifying = client_context(standard.trusted, check_name=bool(standard.name), only=only).context
        presenting = (
            server_context([identity(chain, key)]).context if own else presenter(ssl.PROTOCOL_TLS_SERVER, chain, key)
        )
        client, server = ends(verifying, presenting, standard.name)
        return verify_code(client, server, client)
    other = [identity([OTHER_END.der], OTHER_END.key)]
    verifying = server_context(other, trusted=standard.trusted, client="required", only=only).context
    presenting = (
        client_context([OTHER_END.der], identity=identity(chain, key), check_name=False).context
        if own
        else presenter(ssl.PROTOCOL_TLS_CLIENT, chain, key)
    )
    client, server = ends(presenting, verifying)
    return verify_code(client, server, server)


def presenter(side: int, chain: Sequence[bytes], key: PrivateKey) -> ssl.SSLContext:
    """An end that presents whatever it is given, exactly that, and asks nothing."""
    context = ssl.SSLContext(side)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    if chain:
        tls_contexts._load(context, identity(chain, key))
    return context


def identity(chain: Sequence[bytes], key: PrivateKey) -> Identity:
    return Identity(chain=tuple(chain), key=key_pem(key))


@lru_cache(maxsize=64)
def key_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def ends(calling: ssl.SSLContext, listening: ssl.SSLContext, name: str = "") -> tuple[ssl.SSLObject, ssl.SSLObject]:
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = calling.wrap_bio(back, there, server_hostname=name or None)
    return client, listening.wrap_bio(there, back, server_side=True)


def verify_code(client: ssl.SSLObject, server: ssl.SSLObject, verifying: ssl.SSLObject) -> int:
    """Shake hands until the verifying end is done."""
    for _, end in zip(range(TURNS), cycle((client, server))):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError as refused:
            assert end is verifying
            return refused.verify_code
        except ssl.SSLError as failed:
            if failed.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
                return -1
            raise
        if end is verifying:
            return 0
    raise AssertionError("the handshake does not end")


def shake_hands(client: ssl.SSLObject, server: ssl.SSLObject) -> None:
    """Go on until both ends are done.

    Raises:
        ssl.SSLError: one end says no.
    """
    waiting = [client, server]
    for _ in range(TURNS):
        for end in list(waiting):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
                waiting.remove(end)
    assert not waiting


def openssl_says_at(folder: Path, chain: Sequence[bytes], standard: Standard) -> int:
    """The verify code for a chain at the verifier's own instant; Python's `ssl` cannot be told one."""
    for file, some in (("held", standard.trusted), ("brought", chain), ("leaf", chain[:1])):
        (folder / file).write_text("".join(map(pem, some)), encoding="ascii")
    held = ["-CAfile", str(folder / "held")] if standard.trusted else ["-no-CAfile"]
    where = [*held, "-no-CApath", "-no-CAstore", "-untrusted", str(folder / "brought")]
    how = ["-purpose", f"ssl{standard.usage}", "-auth_level", str(tls_contexts.SECURITY_LEVEL)]
    if standard.name:
        how += ["-verify_hostname" if address_of(standard.name) is None else "-verify_ip", standard.name]
    instant = ["-attime", str(standard.wall // SECOND)]
    command = ["openssl", "verify", *where, *how, *instant, str(folder / "leaf")]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60, text=True)
    # The command goes on after some faults and tells them all; a handshake ends with the first.
    codes = re.findall(r"^error (\d+) at", done.stderr, re.MULTILINE)
    assert bool(codes) == bool(done.returncode), done.stderr
    return int(codes[0]) if codes else 0
