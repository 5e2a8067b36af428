"""The cluster's one log, as its only writer knows it: entries above the floor, and the answers given so far.

`(epoch, seq, previous hash, signature)`; entries at or below the floor are forgotten once every member has acknowledged
past them, because from then on nobody can need them: neither to catch up nor to learn of a delete (S14).
"""

from collections import deque

from ucmlab.broker.messages import Answer, LogEntry
from ucmlab.node.log_hash import entry_hash

KEPT_ANSWERS = 20_000
"""Operation ids remembered. One operation takes the lifetime of an operator's retries: minutes, not thousands."""


class Log:
    """Entries and answers, in memory; the shell keeps them on disk."""

    def __init__(self, *, epoch: int, floor: int, floor_hash: bytes) -> None:
        """A log that begins after `floor`."""
        self.epoch = epoch
        self.floor = floor
        self.floor_hash = floor_hash
        self._entries: deque[tuple[int, bytes, bytes]] = deque()
        self._answers: dict[str, Answer] = {}

    @property
    def head(self) -> tuple[int, int]:
        """(epoch, seq) of the last entry."""
        return (self.epoch, self._entries[-1][0] if self._entries else self.floor)

    @property
    def head_hash(self) -> bytes:
        """Hash of the last entry."""
        return self._entries[-1][2] if self._entries else self.floor_hash

    def append(self, entry: LogEntry, payload: bytes) -> bytes:
        """Add the next entry; return its hash."""
        digest = entry_hash(payload)
        self._entries.append((entry.seq, payload, digest))
        return digest

    def hash_at(self, seq: int) -> bytes | None:
        """Hash of the entry at that place; None below the floor and above the head."""
        if seq == self.floor:
            return self.floor_hash
        if not self._entries or not self.floor < seq <= self._entries[-1][0]:
            return None
        return self._entries[seq - self._entries[0][0]][2]

    def after(self, seq: int, known_hash: bytes) -> tuple[bytes, ...] | None:
        """Payloads after `seq`, or None when a follower with that position needs a snapshot."""
        if self.hash_at(seq) != known_hash:
            return None
        return tuple(payload for at, payload, _ in self._entries if at > seq)

    def raise_floor(self, floor: int) -> None:
        """Forget entries at or below `floor`."""
        while self._entries and self._entries[0][0] <= floor:
            self.floor, _, self.floor_hash = self._entries.popleft()

    def begin_epoch(self, epoch: int) -> None:
        """Start over above everything that anybody has seen."""
        self.epoch = epoch
        self.floor = 0
        self.floor_hash = b""
        self._entries.clear()

    def answer(self, op_id: str) -> Answer | None:
        """The answer given to that operation."""
        return self._answers.get(op_id)

    def remember(self, answer: Answer) -> None:
        """Give every repetition of the operation this same answer."""
        self._answers[answer.op_id] = answer
        while len(self._answers) > KEPT_ANSWERS:
            del self._answers[next(iter(self._answers))]
