"""What became of a TLS connection, and where connections go."""

from dataclasses import dataclass
from typing import Literal

from ucmlab.cluster.errors import Unusable
from ucmlab.node.listeners import Listener
from ucmlab.node.rulebook import RuleBook

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


def listener_of(rulebook: RuleBook, where: str | int) -> Listener:
    """The listener of a service (its last one: 8443 of Tomcat), of a name as `dump` has it, or of a port.

    Raises:
        Unusable: there is none.
    """
    found = [
        row
        for row in rulebook.listeners.values()
        if where in (row.name, row.service, row.service.removeprefix("Cisco "), row.port, str(row.port))
    ]
    always = [row for row in found if row.when is None]
    if not found:
        known = ", ".join(f"{row.service} ({row.port})" for row in rulebook.listeners.values())
        raise Unusable(f"nothing listens at {where}; there are {known}")
    return (always or found)[-1]
