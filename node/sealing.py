"""A member's own keys of the bus, and sealing: private material that only one member can open.

These keys belong to the lab, not to the product (design 5): no store, certificate or authz key of the product takes
part, so nothing that a story deletes can cut the bus. Sealing is HPKE (RFC 9180, base mode): X25519, HKDF-SHA256,
AES-256-GCM. It hides and protects; who sealed is proved by the signature of the message that carries it.
"""

import secrets
from pathlib import Path
from typing import Self

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from ucmlab.node.errors import SealBroken
from ucmlab.node.privatefile import read_private, write_private

PASSWORD_BYTES = 24
"""Random bytes of a bus password: 192 bits, so that no guessing is worth a rate limit."""


class Secret(msgspec.Struct, frozen=True):
    """A value that never shows itself: not in a repr, a log line or a traceback with locals."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return []


class BusIdentity(Secret, frozen=True):
    """What a member proves itself with on the bus, and what others seal to. Keys are 32 raw bytes."""

    password: str
    signing_private: bytes
    """Ed25519."""
    signing_public: bytes
    sealing_private: bytes
    """X25519."""
    sealing_public: bytes

    @classmethod
    def make(cls) -> Self:
        """Make a new one, at random."""
        signing, sealing = Ed25519PrivateKey.generate(), X25519PrivateKey.generate()
        return cls(
            password=secrets.token_urlsafe(PASSWORD_BYTES),
            signing_private=signing.private_bytes_raw(),
            signing_public=signing.public_key().public_bytes_raw(),
            sealing_private=sealing.private_bytes_raw(),
            sealing_public=sealing.public_key().public_bytes_raw(),
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError, PermissionError: as `read_private`.
            msgspec.DecodeError: it is damaged.
        """
        return msgspec.json.decode(read_private(path), type=cls)

    def save(self, path: Path) -> None:
        """Write it as JSON, mode 0600."""
        write_private(path, msgspec.json.encode(self))


def sealing_info(*, cluster: str, operation: str, sender: str, recipient: str) -> bytes:
    """What a seal is bound to: opened for any other cluster, operation, sender or recipient it does not open."""
    return msgspec.msgpack.encode(("ucmlab seal 1", cluster, operation, sender, recipient))


def seal(recipient_public: bytes, plaintext: bytes, *, info: bytes) -> bytes:
    """Encrypt to the holder of an X25519 key.

    Raises:
        ValueError: `recipient_public` is no such key.
    """
    return _suite().encrypt(plaintext, X25519PublicKey.from_public_bytes(recipient_public), info=info)


def unseal(private: bytes, blob: bytes, *, info: bytes) -> bytes:
    """Decrypt what was sealed to the key's public half with the same `info`.

    Raises:
        SealBroken: it was sealed to another key, bound to something else, or changed on the way.
    """
    try:
        return _suite().decrypt(blob, X25519PrivateKey.from_private_bytes(private), info=info)
    except (InvalidTag, ValueError):
        raise SealBroken from None


def _suite() -> Suite:
    return Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
