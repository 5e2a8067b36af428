"""What was read of certificates and names, remembered by their bytes: thousands of usual ones, few of the largest.

A lab holds the same few hundred certificates on every node, and asks the same of them at each turn. What an operator
uploads may be 64 kB each, and more when it is read: a number alone would let a node grow by hundreds of megabytes.
"""

from collections.abc import Callable
from functools import lru_cache, update_wrapper
from typing import Generic, TypeVar

USUAL_LENGTH = 1 << 12
"""Bytes (or characters) of what is usual: certificates have 500 to 2,500, with the names of a hundred nodes 4,000."""
USUAL = 4096
"""How many of these are remembered: 16 MiB at most."""
LARGEST = 64
"""How many others: 4 MiB of certificates, as none is longer than 64 kB."""

Encoded = TypeVar("Encoded", bytes, str)
Told = TypeVar("Told")


class Remembered(Generic[Encoded, Told]):
    """A pure function of one string, as a decorator; what it raises is not remembered."""

    def __init__(self, read: Callable[[Encoded], Told]) -> None:
        """Nothing is remembered yet."""
        self._usual = lru_cache(maxsize=USUAL)(read)
        self._large = lru_cache(maxsize=LARGEST)(read)
        update_wrapper(self, read)

    def __call__(self, encoded: Encoded) -> Told:
        """What the function says of it; the same value as before, while it is remembered."""
        return (self._usual if len(encoded) <= USUAL_LENGTH else self._large)(encoded)

    def cache_clear(self) -> None:
        """Forget all of it."""
        self._usual.cache_clear()
        self._large.cache_clear()
