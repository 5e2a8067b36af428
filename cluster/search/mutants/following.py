"""Followers that follow wrongly: each leaves out one check, or one step, of `node/following.py`."""

from msgspec.structs import replace

from ucmlab.broker.messages import Birth, Head, LogEntry, RowKey, Snapshot
from ucmlab.node.core import NodeCore
from ucmlab.node.following import Follower
from ucmlab.node.replica import Replica


class SkippingFollower(Follower):
    """Takes whatever comes, in whatever order."""

    def is_next(self, entry: LogEntry) -> bool:
        """Everything later is next."""
        return (entry.epoch, entry.seq) > self._tail[:2]


class RepeatingFollower(Follower):
    """Applies the last entry again when it comes a second time."""

    def is_past(self, entry: LogEntry) -> bool:
        """The last one is not past."""
        return (entry.epoch, entry.seq) < self._tail[:2]

    def is_next(self, entry: LogEntry) -> bool:
        """And may be next."""
        return super().is_next(entry) or (entry.epoch, entry.seq) == self._tail[:2]


class ChainlessFollower(Follower):
    """Believes numbers: an entry may follow another branch of the log."""

    def is_next(self, entry: LogEntry) -> bool:
        """The next number of the epoch is next."""
        return (entry.epoch, entry.seq) == (self._tail[0], self._tail[1] + 1)


class EpochlessFollower(Follower):
    """Looks at numbers and hashes, whatever the epoch."""

    def is_past(self, entry: LogEntry) -> bool:
        """A lower epoch is not past."""
        return entry.seq <= self._tail[1]

    def is_next(self, entry: LogEntry) -> bool:
        """Any epoch may go on where this node stands."""
        return entry.seq == self._tail[1] + 1 and entry.prev == self._tail[2]


class HeadBelievingFollower(Follower):
    """Takes what is retained for the truth: where the head says that the log ends, there this node stands."""

    def head_told(self, head: Head) -> None:
        """Go back, if the head does."""
        if not self.broken and (head.epoch, head.seq) < self._tail[:2] and head.epoch == self._tail[0]:
            self._tail = (head.epoch, head.seq, head.hash)
        super().head_told(head)


class HastyFollower(Follower):
    """Acknowledges what a power cut may still take."""

    def acknowledge(self) -> None:
        """Tell the position at once."""
        if self._acked != self._replica.position and self._may_acknowledge():
            replica = self._replica
            self._syncing = (*replica.position, replica.digest(), replica.hash, replica.settings_digest)
            self.synced()


class StaleSnapshotFollower(Follower):
    """Installs any snapshot, however old."""

    def snapshot_told(self, part: Snapshot) -> None:
        """Whatever was asked for meanwhile, and wherever this node stands."""
        self._request, position = part.request, self._tail
        if (part.epoch, part.seq) < position[:2]:
            self._tail = (0, 0, b"")
        super().snapshot_told(part)


class AmnesicReplica(Replica):
    """Forgets deletions with every snapshot."""

    def install(self, **snapshot: object) -> None:
        """Rows only."""
        super().install(**{**snapshot, "tombstones": ()})  # type: ignore[arg-type]  # passed through


class SilentFollower(Follower):
    """Never asks for what it missed."""

    def _ask(self) -> None:
        """Wait for it."""


class ShortOfBreathFollower(Follower):
    """Gives up after a few unanswered requests, until the next life."""

    _left = 3

    def _ask(self) -> None:
        """Three times."""
        self._left -= 1
        if self._left >= 0:
            super()._ask()


class UnseeingFollower(Follower):
    """Does not compare digests."""

    def head_told(self, head: Head) -> None:
        """Whatever the head says of rows and settings is right."""
        if (head.epoch, head.seq) == self._replica.position:
            head = replace(head, digest=self._replica.digest(), settings=self._replica.settings_digest)
        super().head_told(head)


class HoardingReplica(Replica):
    """Keeps the rows that an entry removes."""

    def apply(self, entry: LogEntry, entry_hash: bytes) -> tuple[RowKey, ...]:
        """Only what it adds counts."""
        return super().apply(replace(entry, removes=()), entry_hash)


class StubbornReplica(Replica):
    """Keeps the first value of every parameter."""

    def apply(self, entry: LogEntry, entry_hash: bytes) -> tuple[RowKey, ...]:
        """What is set already is not set again."""
        new = tuple(each for each in entry.settings if (each.place, each.name) not in self.settings)
        return super().apply(replace(entry, settings=new), entry_hash)


class CarefreeReplica(Replica):
    """Forgets what was set with every snapshot."""

    def install(self, **snapshot: object) -> None:
        """Rows and tombstones only."""
        super().install(**{**snapshot, "settings": ()})  # type: ignore[arg-type]  # passed through


class TalkativeFollower(Follower):
    """Answers every head with an acknowledgement."""

    def head_told(self, head: Head) -> None:
        """Which brings the next head, where the publisher answers as well."""
        super().head_told(head)
        if self._acked is not None:
            replica = self._replica
            self._publish_ack(*self._acked, replica.digest(), self._acked_hash, replica.settings_digest)


class MemorialReplica(Replica):
    """Digests more than rows: what it remembers of deletions, which is each node's own affair."""

    def digest(self) -> str:
        """As many as there are."""
        return f"{super().digest()}{len(self.tombstones)}"


class HopelessNode(NodeCore):
    """Waits for a birth, however much the publisher says meanwhile."""

    def _publisher_speaks(self, kind: str, boot: int) -> None:
        """It does not listen."""


class WillBelievingNode(HopelessNode):
    """Believes every birth and every will in the order in which they come."""

    def _birth_told(self, sender: str, birth: Birth) -> None:
        """Boot numbers say nothing."""
        self._publisher_birth = None if self._publisher_birth is None else (0, self._publisher_birth[1])
        super()._birth_told(sender, birth)


class CarelessNode(NodeCore):
    """Acknowledges deletes whose files are still there."""

    def _may_acknowledge(self) -> bool:
        """Rows are enough."""
        return True
