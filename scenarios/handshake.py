"""What became of a TLS connection."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["trusted", "terminated"]


@dataclass(frozen=True, slots=True)
class Handshake:
    """How a connection ended, as who opened it sees it."""

    reason: str
    """Why it was terminated, a stable word; empty when it is trusted."""
    text: str
    """The same for people."""
    fingerprint: str
    """Of the certificate that the server presented; empty when it presented none."""
    key: str
    """The kind of its key, as in `rsa-2048`."""

    @property
    def verdict(self) -> Verdict:
        """Whether the other end was trusted, and let us in (R-004)."""
        return "terminated" if self.reason else "trusted"
