"""The OAuth "authz" keys and other private material of the cluster: made here, sealed to each member (R-125, R-133).

The publisher copies a new generation to the members that are up when it is made, and repeats until they say that they
have it or go away. A member that never had any gets the current one when it appears: that is its installation. A member
that was down during a regeneration keeps the old one, as in the product, until somebody regenerates again (C-62).
"""

from ucmlab.broker.messages import SealedKeys
from ucmlab.node.commands import SealKeys
from ucmlab.node.context import Context

TIMER = "keys:repeat"
AUTHZ = "authz"


class KeyDistribution:
    """Who is still to get which generation of what."""

    def __init__(self, context: Context) -> None:
        """Nobody yet."""
        self._context = context
        self._due: dict[tuple[str, str], int] = {}
        self._blobs: dict[tuple[str, str], SealedKeys] = {}
        self._attempts = 0

    def busy(self) -> int:
        """Deliveries not yet confirmed."""
        return len(self._due)

    def deliver(self, member: str, kind: str, generation: int) -> None:
        """Seal that generation to a member and keep sending it."""
        if self._due.get((member, kind), 0) >= generation:
            return
        self._due[member, kind] = generation
        self._blobs.pop((member, kind), None)
        self._context.ask(SealKeys(member, kind, generation))

    def sealed(self, member: str, kind: str, generation: int, blob: bytes) -> None:
        """The key ring has sealed it."""
        if self._due.get((member, kind)) == generation:
            self._blobs[member, kind] = SealedKeys(generation, kind, blob)
            self._send(member, kind)
            self._attempts = 0
            self._context.start_timer(TIMER, self._context.backoff(self._attempts, "keys"))

    def confirmed(self, member: str, kind: str, generation: int) -> None:
        """The member has it."""
        if self._due.get((member, kind)) == generation:
            self._forget(member, kind)

    def member_left(self, member: str) -> None:
        """The member went away: it misses what it has not confirmed."""
        for holder, kind in [key for key in self._due if key[0] == member]:
            self._forget(holder, kind)

    def repeat(self) -> None:
        """Send again what is not confirmed."""
        for member, kind in self._blobs:
            self._send(member, kind)
        if self._due:
            self._attempts += 1
            self._context.start_timer(TIMER, self._context.backoff(self._attempts, "keys"))

    def _send(self, member: str, kind: str) -> None:
        self._context.publish(self._context.topics.keys(member), self._blobs[member, kind])

    def _forget(self, member: str, kind: str) -> None:
        self._due.pop((member, kind), None)
        self._blobs.pop((member, kind), None)
