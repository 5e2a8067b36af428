"""The hash that chains the log: over an entry's bytes as they were signed and published."""

import hashlib


def entry_hash(payload: bytes) -> bytes:
    """SHA-256 of the published bytes."""
    return hashlib.sha256(payload).digest()
