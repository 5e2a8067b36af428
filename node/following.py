"""Following the publisher's log: entries in order, gaps pulled, a snapshot below the floor, and how far we got.

What governs this file: receivers act on `(epoch, seq)`, the hash chain and the signature only; never on the retain
flag, the order in which topics arrive, or the presence of a retained message (anchors.md v, rules 1 to 4). The tail is
what has been received in order; the replica follows it after the time that database replication takes.
"""

from collections import deque
from collections.abc import Callable, Iterable

import msgspec

from ucmlab.broker.codec import Refused
from ucmlab.broker.messages import Ack, CatchUp, Entries, Head, LogEntry, Row, RowKey, Setting, Snapshot
from ucmlab.node.commands import ApplyEntry, InstallSnapshot, RaiseFloor, SyncDisk
from ucmlab.node.context import Context
from ucmlab.node.instant import MILLISECOND, MINUTE
from ucmlab.node.log_hash import entry_hash
from ucmlab.node.parameter_rules import tell_set
from ucmlab.node.replica import Replica

GAP_TIMER = "follow:gap"
ASK_TIMER = "follow:ask"
APPLY_TIMER = "follow:apply"
ACK_TIMER = "follow:ack"
ACK_SYNC = "ack"

GAP_WAIT = (20 * MILLISECOND, 80 * MILLISECOND)
"""How long a gap may close by itself before it is pulled (rule 4: a short jittered time)."""
ACK_AFTER = 200 * MILLISECOND
"""Acknowledgements of a burst are one: only the last position counts."""
ACK_LAG = 8
"""So many entries may be applied and not acknowledged before it becomes urgent. The floor is all that waits for it, and
the publisher tells of a higher one in steps as large as this (`FLOOR_LAG`)."""
ACK_AT_LEISURE = 10 * MINUTE
"""How long fewer of them may wait. Each acknowledgement is a sync on this node and a message to the publisher."""
AHEAD_LIMIT = 256
"""Entries kept that came before their predecessors; more are dropped and pulled again."""


class Received(msgspec.Struct, frozen=True):
    """An entry in order, on its way into the replica."""

    due: int
    entry: LogEntry
    hash: bytes
    live: bool


class Follower:
    """The replication follower of a node; on the publisher only its acknowledging half is used."""

    def __init__(
        self,
        context: Context,
        replica: Replica,
        *,
        applied: Callable[[LogEntry, tuple[RowKey, ...], bool], None],
        replaced: Callable[[bool], None],
        may_acknowledge: Callable[[], bool],
        publisher_away: Callable[[], bool] = lambda: False,
        settled_files: Callable[[], Iterable[RowKey]] = lambda: (),
    ) -> None:
        """Nothing has been heard yet.

        Args:
            applied: hears of every entry, the keys of its new rows, and whether it arrived live.
            replaced: hears of every snapshot, and whether it is the first thing that this replica ever holds.
            may_acknowledge: whether this node's files let its position count.
            publisher_away: whether the publisher is known to be unreachable.
            settled_files: files that had a row once, whether this replica knows of it or not.
        """
        self._context = context
        self._replica = replica
        self._applied = applied
        self._replaced = replaced
        self._may_acknowledge = may_acknowledge
        self._publisher_away = publisher_away
        self._settled_files = settled_files
        self.broken = False
        self.publisher_release = ""
        """As the publisher's head tells; empty before one was heard."""
        self.head: Head | None = None
        self._end = (0, 0)
        """The furthest position of the log that was heard of, by head, entry or answer."""
        self._tail = (replica.epoch, replica.seq, replica.hash)
        self._queue: deque[Received] = deque()
        self._ahead: dict[int, tuple[LogEntry, bytes]] = {}
        self._asking = False
        self._gap_waiting = False
        self._request = 0
        self._attempts = 0
        self._parts: dict[int, Snapshot] = {}
        self._acked: tuple[int, int] | None = None
        self._acked_hash = b""
        self._syncing: tuple[int, int, str, bytes, str] | None = None
        self._ack_due: int | None = None
        self._acks = 0

    # -- state

    def caught_up(self) -> bool:
        """Whether the replica is at the head that the publisher last told of; False while none was seen."""
        return self.head is not None and self._replica.position >= (self.head.epoch, self.head.seq)

    @property
    def apart(self) -> bool:
        """Whether the publisher runs another release: nothing is replicated between the two (B.19)."""
        return self.publisher_release not in ("", self._context.config.release)

    @property
    def _deaf(self) -> bool:
        return self.broken or self.apart

    def busy(self) -> bool:
        """Whether entries are being waited for or brought in."""
        return bool(self._queue) or (not self._deaf and self.head is not None and self._behind())

    def set_broken(self, *, broken: bool) -> None:
        """The fault `replication break`: nothing from the log reaches this node until it is repaired."""
        if broken == self.broken:
            return
        self.broken = broken
        self._ahead.clear()
        self._asking = False
        if not self._deaf:
            self._ask()

    # -- the bus

    def connected(self) -> None:
        """A new session: what was on its way is gone, and the acknowledgement may be unknown to a new broker."""
        self._asking = self._gap_waiting = False
        if self._acked is not None:
            digest, settings = self._replica.digest(), self._replica.settings_digest
            self._publish_ack(*self._acked, digest, self._acked_hash, settings)
        if self._replica.epoch:
            self.acknowledge_soon(urgent=True)  # what the disk holds may be news to a publisher that was restored
        if not self._deaf and self._behind():
            self._ask()

    def publisher_back(self) -> None:
        """The publisher is there again; its head may have come before the news of that."""
        if not self._deaf and self._behind():
            self._expect_gap_to_close()

    def head_told(self, head: Head) -> None:
        """The publisher tells where its log ends, and which release it runs."""
        self._release_told(head.release)
        if self._deaf:
            return
        if self.head is not None and self._older(head, self.head):
            # A publisher that came back from a backup may have missed, or a broker forgotten, how far this node is.
            self._ask_again()
            return
        self.head = head
        self._end = max(self._end, (head.epoch, head.seq))
        # Who came back from a backup acknowledged in an earlier life what its files now lack: this life's word counts.
        acknowledged = self._acked[1] if self._acked is not None and self._acked[0] == head.epoch else 0
        if head.epoch == self._replica.epoch and self._replica.raise_floor(min(head.floor, acknowledged)):
            self._context.ask(RaiseFloor(self._replica.floor))
        if self._behind():
            self._expect_gap_to_close()
        elif self._replica.position == (head.epoch, head.seq) and (
            self._replica.digest() != head.digest or self._replica.settings_digest != head.settings
        ):
            # S7: equal position, unequal rows or settings. Nothing here can tell who is right, so people are called.
            self._context.alarm("digest_mismatch", epoch=head.epoch, seq=head.seq)
            self._ask_again()

    def _ask_again(self) -> None:
        """Show the publisher this node's position and hash: it answers with what follows, or with a snapshot."""
        if not self._asking:
            self._ask()

    def entry_told(self, entry: LogEntry, payload: bytes) -> None:
        """An entry was published."""
        if self._deaf:
            return
        if self.is_past(entry):
            # An old entry published again, or one that was pulled before it came by itself: either way it has had its
            # effect, and must not have another (S4).
            reason = "epoch" if entry.epoch < self._tail[0] else "repeated"
            self._context.record("bus_refused", reason=reason, epoch=entry.epoch, seq=entry.seq)
            return
        self._end = max(self._end, (entry.epoch, entry.seq))
        if entry.epoch > self._tail[0]:
            self._expect_gap_to_close()
        elif self.is_next(entry):
            self._receive(entry, entry_hash(payload), live=True)
            self._receive_ahead()
        else:
            if len(self._ahead) < AHEAD_LIMIT:
                self._ahead[entry.seq] = (entry, entry_hash(payload))
            self._expect_gap_to_close()

    def entries_told(self, answer: Entries) -> None:
        """The publisher answers a request with what comes after our position."""
        if self._deaf or answer.request != self._request:
            return
        self._ends_at(self._tail[0], answer.head_seq)
        for payload in answer.payloads:
            try:
                opened = self._context.open(self._context.topics.log_binding(), payload)
            except Refused as refused:
                self._context.record("bus_refused", reason=refused.reason, sender=refused.sender)
                return
            entry = opened.message
            publisher = self._context.config.publisher
            if isinstance(entry, LogEntry) and opened.sender == publisher and self.is_next(entry):
                self._receive(entry, entry_hash(payload), live=False)
        if answer.payloads:
            self._context.record("gap_closed", epoch=self._tail[0], seq=self._tail[1])
        self._answered()

    def snapshot_told(self, part: Snapshot) -> None:
        """One part of a snapshot; when all are there they take the place of everything."""
        if self._deaf or part.request != self._request or (part.epoch, part.seq) < self._tail[:2]:
            return
        # The publisher answers a request that reaches it twice a second time, perhaps from further on.
        of_one = (part.epoch, part.seq, part.hash, part.parts)
        self._parts = {
            number: each
            for number, each in self._parts.items()
            if (each.epoch, each.seq, each.hash, each.parts) == of_one
        }
        self._parts[part.part] = part
        if len(self._parts) < part.parts:
            return
        self._ends_at(part.epoch, part.seq)
        parts = [self._parts[number] for number in sorted(self._parts)]
        self._parts = {}
        # As it came, if it came whole: `table_of` may know it.
        rows = part.rows if part.parts == 1 else tuple(row for each in parts for row in each.rows)
        self._install(part, rows, parts[0].settings)
        self._answered()

    def is_past(self, entry: LogEntry) -> bool:
        """Whether the entry is no later than the tail."""
        return (entry.epoch, entry.seq) <= self._tail[:2]

    def is_next(self, entry: LogEntry) -> bool:
        """Whether the entry comes right after the tail, by number and by hash."""
        epoch, seq, tail_hash = self._tail
        if entry.epoch != epoch or entry.seq != seq + 1:
            return False
        if entry.prev != tail_hash:
            self._context.alarm("log_fork", epoch=entry.epoch, seq=entry.seq)
            return False
        return True

    # -- timers and disk

    def timer(self, token: str) -> None:
        """One of this file's timers has run out."""
        if token == GAP_TIMER:
            self._gap_waiting = False
            if self._behind() and not self._asking:
                self._ask()
        elif token == ASK_TIMER:
            if self._asking:
                self._attempts += 1
                self._ask()
        elif token == APPLY_TIMER:
            self._apply_due()
        elif token == ACK_TIMER:
            self._ack_due = None
            self.acknowledge()

    def acknowledge_soon(self, *, urgent: bool = False) -> None:
        """The position changed, or files came to agree with it."""
        if self._acked == self._replica.position:
            return
        delay = ACK_AFTER if urgent or self._much_is_unacknowledged() else ACK_AT_LEISURE
        due = self._context.now.lab + delay
        if self._ack_due is None or due < self._ack_due:
            self._ack_due = due
            self._context.start_timer(ACK_TIMER, delay)

    def _much_is_unacknowledged(self) -> bool:
        epoch, seq = self._replica.position
        return self._acked is None or self._acked[0] != epoch or seq - self._acked[1] >= ACK_LAG

    def acknowledge(self) -> None:
        """Make the position durable, then tell it: the publisher forgets tombstones on the strength of it."""
        if self._syncing is not None or self._acked == self._replica.position or not self._may_acknowledge():
            return
        replica = self._replica
        self._syncing = (*replica.position, replica.digest(), replica.hash, replica.settings_digest)
        # Files count for a position in `modern` only; elsewhere the next comparison writes again what a power cut took.
        self._context.ask(SyncDisk(ACK_SYNC, files=self._context.config.replication == "modern"))

    def synced(self) -> tuple[int, int] | None:
        """The position is durable: tell it; returns it."""
        if self._syncing is None:
            return None
        epoch, seq, digest, self._acked_hash, settings = self._syncing
        self._syncing = None
        self._acked = (epoch, seq)
        self._publish_ack(epoch, seq, digest, self._acked_hash, settings)
        if self._acked != self._replica.position:
            self.acknowledge_soon()
        return self._acked

    # -- inside

    def _release_told(self, release: str) -> None:
        if release in ("", self.publisher_release):
            return
        self.publisher_release = release
        self._ahead.clear()
        self._asking = False
        if self.apart:
            self._context.record("releases_differ", release=self._context.config.release, publisher=release)

    def _older(self, head: Head, than: Head) -> bool:
        return (head.epoch, head.seq) < (than.epoch, than.seq)

    def _ends_at(self, epoch: int, seq: int) -> None:
        """Where the log ends is what the publisher says, by answer or head: an entry that went further is of no log.

        Or it is so new that a head follows it. To go on asking for what lies before it would be a storm.
        """
        self._end = max((epoch, seq), (self.head.epoch, self.head.seq) if self.head is not None else (0, 0))

    def _behind(self) -> bool:
        return self._end > self._tail[:2]

    def _expect_gap_to_close(self) -> None:
        if not self._gap_waiting and not self._asking:
            self._gap_waiting = True
            self._context.start_timer(GAP_TIMER, self._context.draw(*GAP_WAIT, "gap", *self._tail[:2]))

    def _ask(self) -> None:
        """Ask for what is missing. Nobody is asked who is known to be away: the publisher's return brings a head."""
        self._asking = self._context.connected and not self._deaf and not self._publisher_away()
        if not self._asking:
            return
        self._request += 1
        self._parts = {}
        epoch, seq, tail_hash = self._tail
        topic = self._context.topics.request(self._context.config.name, "catchup")
        self._context.publish(topic, CatchUp(self._request, epoch, seq, tail_hash))
        self._context.start_timer(ASK_TIMER, self._context.backoff(self._attempts, "ask", self._request))

    def _answered(self) -> None:
        self._asking = False
        self._attempts = 0
        self._context.cancel_timer(ASK_TIMER)
        self._ahead = {seq: held for seq, held in self._ahead.items() if (held[0].epoch, seq) > self._tail[:2]}
        self._receive_ahead()
        if self._behind():
            self._expect_gap_to_close()

    def _receive_ahead(self) -> None:
        while (held := self._ahead.pop(self._tail[1] + 1, None)) is not None:
            if not self.is_next(held[0]):
                return
            self._receive(*held, live=True)

    def _receive(self, entry: LogEntry, digest: bytes, *, live: bool) -> None:
        self._tail = (entry.epoch, entry.seq, digest)
        delay = self._context.draw(*self._context.timing.row_replication, "row", entry.epoch, entry.seq)
        if not delay and not self._queue:
            self._apply(entry, digest, live=live)
            return
        due = self._context.now.lab + delay
        if self._queue:
            due = max(due, self._queue[-1].due)
        else:
            self._context.start_timer(APPLY_TIMER, delay)
        self._queue.append(Received(due, entry, digest, live))

    def _apply_due(self) -> None:
        while self._queue and self._queue[0].due <= self._context.now.lab:
            received = self._queue.popleft()
            self._apply(received.entry, received.hash, live=received.live)
        if self._queue:
            self._context.start_timer(APPLY_TIMER, self._queue[0].due - self._context.now.lab)

    def _apply(self, entry: LogEntry, digest: bytes, *, live: bool) -> None:
        new = apply_entry(self._context, self._replica, entry, digest)
        self._applied(entry, new, live)
        self.acknowledge_soon()

    def _install(self, snapshot: Snapshot, rows: tuple[Row, ...], settings: tuple[Setting, ...]) -> None:
        first = self._replica.epoch == 0
        tombstones = (*snapshot.tombstones, *self._gone_since(snapshot, rows))
        self._queue.clear()
        self._context.cancel_timer(APPLY_TIMER)
        self._tail = (snapshot.epoch, snapshot.seq, snapshot.hash)
        self._replica.install(
            epoch=snapshot.epoch,
            seq=snapshot.seq,
            entry_hash=snapshot.hash,
            rows=rows,
            tombstones=tombstones,
            settings=settings,
        )
        self._context.ask(InstallSnapshot(snapshot.epoch, snapshot.seq, snapshot.hash, rows, tombstones, settings))
        self._context.record("snapshot_installed", epoch=snapshot.epoch, seq=snapshot.seq)
        tell_set(self._context, self._replica.settings)
        self._replaced(first)
        self.acknowledge_soon()

    def _gone_since(self, snapshot: Snapshot, rows: tuple[Row, ...]) -> list[tuple[str, str, int]]:
        """Rows and files of this node that the snapshot lacks: they were deleted, and nobody else remembers it.

        So it is when a node comes back with the disk of a backup, below what it once acknowledged: without this its
        files would bring back what was deleted for everybody. A file may have lost its row by a power cut. In another
        epoch a missing row may be one that the publisher lost, and files are what brings it back.
        """
        if snapshot.epoch != self._replica.epoch:
            return []
        there = {row.key for row in rows}
        there.update((unit, fingerprint) for unit, fingerprint, _ in snapshot.tombstones)
        # What this node remembers itself it goes on remembering: a snapshot may come twice.
        gone = dict.fromkeys((*self._replica.rows, *self._settled_files()), snapshot.seq)
        gone |= self._replica.tombstones
        return [(*key, seq) for key, seq in gone.items() if key not in there]

    def _publish_ack(self, epoch: int, seq: int, digest: str, entry: bytes, settings: str) -> None:
        self._acks += 1
        topic = self._context.topics.ack(self._context.config.name)
        self._context.publish(topic, Ack(epoch, seq, digest, self._acks, entry, settings), retain=True)


def apply_entry(context: Context, replica: Replica, entry: LogEntry, digest: bytes) -> tuple[RowKey, ...]:
    """Bring an entry into replica and disk; return the keys of rows that were not there before."""
    new = tuple(row.key for row in entry.adds if row.key not in replica.rows)
    tombstones = replica.apply(entry, digest)
    context.ask(
        ApplyEntry(entry.epoch, entry.seq, digest, entry.op_id, entry.removes, entry.adds, tombstones, entry.settings)
    )
    context.record("row_applied", entry.op_id, epoch=entry.epoch, seq=entry.seq)
    if entry.settings:
        tell_set(context, replica.settings, entry.op_id)
    return new
