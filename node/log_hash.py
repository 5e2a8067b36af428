"""The hash that chains the log: over an entry's bytes as they were signed and published."""

import hashlib
from functools import lru_cache


@lru_cache(maxsize=256)
def entry_hash(payload: bytes) -> bytes:
    """SHA-256 of the published bytes."""
    return hashlib.sha256(payload).digest()
