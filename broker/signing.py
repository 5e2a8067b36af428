"""Who said it: signatures over bus messages, behind two small protocols so that the simulation can use a cheap one.

Real labs sign with Ed25519 (one key per member, made by the lab before the first start, unknown to every store of the
product). The simulation uses a keyed hash: 3 microseconds in place of 108, same contract suite. It proves nothing to
someone who holds the key, which in one process is nobody else.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


class Signer(Protocol):
    """Signs as one member."""

    def sign(self, data: bytes) -> bytes:
        """Return the signature over `data`."""
        ...


class Verifier(Protocol):
    """Knows every member's public key."""

    def verify(self, sender: str, data: bytes, signature: bytes) -> bool:
        """Whether `sender` signed exactly `data`; False for an unknown sender."""
        ...


class Ed25519Signer:
    """A member's own signing key."""

    def __init__(self, private: bytes) -> None:
        """Take the 32 raw private bytes."""
        self._key = Ed25519PrivateKey.from_private_bytes(private)

    def sign(self, data: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature."""
        return self._key.sign(data)


class Ed25519Verifier:
    """The provisioned public keys of all members."""

    def __init__(self, public: Mapping[str, bytes]) -> None:
        """Take each member's 32 raw public bytes."""
        self._keys = {name: Ed25519PublicKey.from_public_bytes(raw) for name, raw in public.items()}

    def verify(self, sender: str, data: bytes, signature: bytes) -> bool:
        """Whether `sender`'s key made this signature."""
        key = self._keys.get(sender)
        if key is None:
            return False
        try:
            key.verify(signature, data)
        except InvalidSignature:
            return False
        return True


class KeyedHashSigner:
    """The simulation's signer: BLAKE2b keyed with the member's name and the run's secret."""

    def __init__(self, sender: str, secret: bytes) -> None:
        """Derive the member's key from the run's secret."""
        self._keyed = hashlib.blake2b(digest_size=16, key=member_key(sender, secret))

    def sign(self, data: bytes) -> bytes:
        """Return 16 bytes of keyed hash."""
        hasher = self._keyed.copy()  # the key is a block of its own, hashed once
        hasher.update(data)
        return hasher.digest()


class KeyedHashVerifier:
    """The simulation's verifier."""

    def __init__(self, members: Mapping[str, object], secret: bytes) -> None:
        """Derive every member's key from the run's secret."""
        self._keys = {name: member_key(name, secret) for name in members}

    def verify(self, sender: str, data: bytes, signature: bytes) -> bool:
        """Whether `sender`'s key made this signature."""
        key = self._keys.get(sender)
        if key is None:
            return False
        return hmac.compare_digest(hashlib.blake2b(data, digest_size=16, key=key).digest(), signature)


def member_key(sender: str, secret: bytes) -> bytes:
    """A member's key of the keyed hash."""
    return hashlib.blake2b(sender.encode(), digest_size=32, key=secret).digest()
