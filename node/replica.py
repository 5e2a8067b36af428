"""The database replica: the fold of the cluster's log up to a position, and nothing else (anchors.md iv, S1..S4).

This file knows no files, no services and no bus. Rows change in two ways only: the next entry is applied, or a
snapshot takes the place of everything. The position never goes back within an epoch, and the epoch never goes back.
"""

import hashlib
from bisect import bisect_left, insort
from collections.abc import Iterable

from ucmlab.broker.messages import LogEntry, Row, RowKey
from ucmlab.node.events import ReplicaImage


class Replica:
    """Rows, tombstones and position of one node."""

    def __init__(self, image: ReplicaImage) -> None:
        """Take up what the disk holds."""
        self.epoch = image.epoch
        self.seq = image.seq
        self.hash = image.hash
        self.floor = image.floor
        self.tombstones: dict[RowKey, int] = {(unit, fingerprint): seq for unit, fingerprint, seq in image.tombstones}
        self.rows: dict[RowKey, Row] = {}
        self._units: dict[str, dict[str, Row]] = {}
        self._lines: list[bytes] = []
        self._digest: str | None = None
        self._take_rows(image.rows)

    @property
    def position(self) -> tuple[int, int]:
        """(epoch, seq) of the last entry applied."""
        return (self.epoch, self.seq)

    def apply(self, entry: LogEntry, entry_hash: bytes) -> tuple[RowKey, ...]:
        """Apply the next entry; return the keys whose deletion is to be remembered.

        A key that the entry removes and adds again (a replacement) is no deletion.
        """
        added = {row.key for row in entry.adds}
        deleted = tuple(key for key in entry.removes if key not in added)
        for key in entry.removes:
            self._drop(key)
        for row in entry.adds:
            self._put(row)
        for key in deleted:
            self.tombstones[key] = entry.seq
        self.seq = entry.seq
        self.hash = entry_hash
        return deleted

    def install(
        self,
        *,
        epoch: int,
        seq: int,
        entry_hash: bytes,
        rows: Iterable[Row],
        tombstones: Iterable[tuple[str, str, int]],
    ) -> None:
        """Put a snapshot in the place of everything."""
        self.epoch = epoch
        self.seq = seq
        self.hash = entry_hash
        self.floor = 0
        self.tombstones = {(unit, fingerprint): at for unit, fingerprint, at in tombstones}
        self._take_rows(rows)

    def raise_floor(self, floor: int) -> bool:
        """Forget tombstones at or below `floor`: every member has them behind it. False when that is no news."""
        if floor <= self.floor:
            return False
        self.floor = floor
        self.tombstones = {key: seq for key, seq in self.tombstones.items() if seq > floor}
        return True

    def digest(self) -> str:
        """SHA-256 over the sorted lines `unit TAB fingerprint LF` of rows with holders (design 7.2)."""
        if self._digest is None:
            self._digest = hashlib.sha256(b"".join(self._lines)).hexdigest()
        return self._digest

    def of_unit(self, unit: str) -> dict[str, Row]:
        """A unit's rows by fingerprint, in the order in which they came; not to be changed."""
        return self._units.get(unit, {})

    def _take_rows(self, rows: Iterable[Row]) -> None:
        self.rows = {row.key: row for row in rows}
        self._units = {}
        for row in self.rows.values():
            self._units.setdefault(row.unit, {})[row.fingerprint] = row
        self._lines = sorted(digest_line(row) for row in self.rows.values())
        self._digest = None

    def _put(self, row: Row) -> None:
        if row.key not in self.rows:
            insort(self._lines, digest_line(row))
            self._digest = None
        self.rows[row.key] = row
        self._units.setdefault(row.unit, {})[row.fingerprint] = row
        self.tombstones.pop(row.key, None)

    def _drop(self, key: RowKey) -> None:
        row = self.rows.pop(key, None)
        if row is not None:
            del self._units[row.unit][row.fingerprint]
            del self._lines[bisect_left(self._lines, digest_line(row))]
            self._digest = None


def digest_line(row: Row) -> bytes:
    """A row's line of the digest."""
    return f"{row.unit}\t{row.fingerprint}\n".encode()
