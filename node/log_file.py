"""The cluster's log as the publisher keeps it on disk, and the answers it gave: both append-only, both durable.

Two files of framed records (see `RecordFile`): `entries` begins with a header (epoch, floor and the hash of the entry
at the floor) and holds the entries above it; `answers` holds what a repeated proposal is to be told once its entry
is gone, or when there never was one because it was refused.

The floor is logical: what lies below it counts as dropped at once, whenever the file is really cut. Cutting rewrites
the file and syncs a folder, so it waits until there is enough to drop. Answers are written before their entries go;
a kill in between leaves an answer twice, which is the same answer.
"""

from pathlib import Path

import msgspec

from ucmlab.node.durable import RecordFile
from ucmlab.node.events import LogImage
from ucmlab.node.log_hash import entry_hash

WORTH_CUTTING_ENTRIES = 64
WORTH_CUTTING_BYTES = 256 * 1024
"""Below both, rewriting costs more than the dead entries do."""
KEPT_ANSWERS = 20_000
"""As many as the publisher remembers; the file is shortened to them when it holds twice as many."""


class _Header(msgspec.Struct, frozen=True, array_like=True, tag="header"):
    epoch: int = 0
    floor: int = 0
    floor_hash: bytes = b""


class _Entry(msgspec.Struct, frozen=True, array_like=True, tag="entry"):
    epoch: int
    seq: int
    op_id: str
    payload: bytes


class _Answer(msgspec.Struct, frozen=True, array_like=True):
    op_id: str
    outcome: str
    reason: str
    seq: int


_encode = msgspec.msgpack.Encoder().encode
_decode_record = msgspec.msgpack.Decoder(_Header | _Entry).decode
_decode_answer = msgspec.msgpack.Decoder(_Answer).decode


class LogFile:
    """The log of one publisher, opened for writing; one process writes it."""

    def __init__(self, folder: Path) -> None:
        """Name the folder, which must be there at `open`."""
        self._entries_file = RecordFile(folder / "entries")
        self._answers_file = RecordFile(folder / "answers")
        self._header = _Header()
        self._floor = 0
        self._entries: list[_Entry] = []
        self._answers: dict[str, _Answer] = {}
        self._written = 0
        """Answers in the file, which has some that are kept no more."""

    @property
    def begun_epoch(self) -> int:
        """The epoch that the file was begun in."""
        return self._header.epoch

    def open(self) -> list[str]:
        """Open both files and cut what was torn; the floor is as low as the file has it, until `raise_floor`.

        Returns:
            One line for each thing that was wrong and had to be cut.

        Raises:
            OSError: a file cannot be read or written.
        """
        records, torn_entries = self._entries_file.open()
        answers, torn_answers = self._answers_file.open()
        decoded = [_decode_record(record) for record in records]
        self._header = next((record for record in decoded if isinstance(record, _Header)), _Header())
        self._entries = [record for record in decoded if isinstance(record, _Entry)]
        self._answers = {answer.op_id: answer for answer in map(_decode_answer, answers)}
        self._written = len(answers)
        self._forget_answers()
        self._floor = self._header.floor
        torn = {"log": torn_entries, "answers": torn_answers}
        return [f"{what}: {size} torn bytes at the end were cut" for what, size in torn.items() if size]

    def image(self) -> LogImage:
        """What the core is to know of the log."""
        # Answers are written before their entries go: after a kill in between the entry still speaks for itself.
        kept = {entry.op_id for entry in self._entries if entry.seq > self._floor}
        answers = {op_id: answer for op_id, answer in self._answers.items() if op_id not in kept}
        answers.update({answer.op_id: answer for answer in self._answers_below(self._floor)})
        told = tuple((answer.op_id, answer.outcome, answer.reason, answer.seq) for answer in answers.values())
        payloads = tuple(entry.payload for entry in self._entries if entry.seq > self._floor)
        return LogImage(self._epoch(), self._floor, self._hash_at(self._floor), payloads, told)

    def append(self, *, epoch: int, seq: int, op_id: str, payload: bytes) -> None:
        """Append an entry: durable.

        Raises:
            OSError: it could not be written; the log is as it was.
        """
        entry = _Entry(epoch, seq, op_id, payload)
        self._entries_file.append(_encode(entry))
        self._entries.append(entry)

    def answer(self, op_id: str, reason: str) -> None:
        """Remember a refusal: durable. Remembered already: nothing is written again."""
        self._remember([_Answer(op_id, "refused", reason, self._entries[-1].seq if self._entries else self._floor)])

    def raise_floor(self, floor: int) -> None:
        """Drop what is at or below `floor`, as soon as it is worth it; a floor never falls."""
        self._floor = max(self._floor, floor)
        below = [entry for entry in self._entries if entry.seq <= self._floor]
        if len(below) >= WORTH_CUTTING_ENTRIES or sum(len(entry.payload) for entry in below) >= WORTH_CUTTING_BYTES:
            kept = [entry for entry in self._entries if entry.seq > self._floor]
            self._cut(_Header(self._epoch(), self._floor, self._hash_at(self._floor)), kept)

    def begin_epoch(self, epoch: int) -> None:
        """Start a higher epoch, empty: durable. The rows of all entries so far must be durable already."""
        self._remember(self._answers_below(self._entries[-1].seq if self._entries else 0))
        self._cut(_Header(epoch), [])
        self._floor = 0

    def close(self) -> None:
        """Let go of both files."""
        self._entries_file.close()
        self._answers_file.close()

    def _cut(self, header: _Header, kept: list[_Entry]) -> None:
        self._remember(self._answers_below(header.floor))
        self._entries_file.rewrite([_encode(header), *map(_encode, kept)])
        self._header, self._entries = header, kept

    def _remember(self, answers: list[_Answer]) -> None:
        news = {answer.op_id: answer for answer in answers if self._answers.get(answer.op_id) != answer}
        if news:
            self._answers_file.append(*map(_encode, news.values()))
            self._answers.update(news)
            self._written += len(news)
            self._forget_answers()

    def _forget_answers(self) -> None:
        """A publisher lives for weeks: neither its memory nor its file may hold all that it ever answered."""
        for op_id in list(self._answers)[: max(0, len(self._answers) - KEPT_ANSWERS)]:
            del self._answers[op_id]
        if self._written > 2 * KEPT_ANSWERS:
            self._answers_file.rewrite([_encode(answer) for answer in self._answers.values()])
            self._written = len(self._answers)

    def _answers_below(self, floor: int) -> list[_Answer]:
        return [_Answer(entry.op_id, "done", "", entry.seq) for entry in self._entries if entry.seq <= floor]

    def _epoch(self) -> int:
        return max(self._header.epoch, self._entries[-1].epoch if self._entries else 0)

    def _hash_at(self, seq: int) -> bytes:
        below = [entry for entry in self._entries if entry.seq <= seq]
        return entry_hash(below[-1].payload) if below else self._header.floor_hash
