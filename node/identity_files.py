"""An identity's certificate on disk (B.5): `<unit>.pem`, which is the one that counts, and the same in `<unit>.der`.

The PEM file goes first and is durable; whatever a kill, a full disk or people then leave beside it, the next start puts
right. Nothing in ucmlab reads the other one.

The product also keeps a PKCS#12 key store with the private key. It is not made here: that its key is derived slowly is
its point, which takes 5.3 ms an identity as `cryptography` writes it (0.9 ms with 2,048 rounds, as OpenSSL once did),
and a node makes six at its start, of 95 ms in all. `openssl pkcs12 -export -inkey KEY -in PEM` makes one on demand.
"""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ucmlab.node.certificates import pem
from ucmlab.node.durable import PUBLIC, make_folder, remove_file, replace_file
from ucmlab.node.trust_files import read_certificate


def write_identity(path: Path, der: bytes) -> None:
    """Put an identity's certificate (DER) in place of the one in this PEM file, durably.

    Raises:
        OSError: it could not be written; what was there is still in place.
    """
    make_folder(path.parent)
    replace_file(path, pem(der).encode(), mode=PUBLIC, durable=True)
    with suppress(OSError):  # it is in place: no failure any more
        replace_file(_twin(path), der, mode=PUBLIC)


def recover_identities(paths: Iterable[Path]) -> None:
    """Have the same certificate beside each of these PEM files as in it, or nothing beside none.

    Raises:
        OSError: the disk did not take it.
    """
    for path in paths:
        der = read_certificate(path)
        if der is None:
            remove_file(_twin(path))
        elif _content(_twin(path)) != der:
            replace_file(_twin(path), der, mode=PUBLIC)


def _twin(path: Path) -> Path:
    return path.with_suffix(".der")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
