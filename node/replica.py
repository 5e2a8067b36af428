"""The database replica: the fold of the cluster's log up to a position, and nothing else (anchors.md iv, S1..S4).

This file knows no files, no services and no bus. Rows and settings change in two ways only: the next entry is applied,
or a snapshot takes the place of everything. The position never goes back within an epoch, and the epoch never at all.
"""

from collections.abc import Iterable

from ucmlab.broker.messages import LogEntry, Row, RowKey, Setting
from ucmlab.node.events import ReplicaImage
from ucmlab.node.row_table import NO_ROWS, RowTable, table_of
from ucmlab.node.settings import Settings, after, settings_digest, settings_of


class Replica:
    """Rows, settings, tombstones and position of one node."""

    def __init__(self, image: ReplicaImage) -> None:
        """Take up what the disk holds."""
        self.position = (image.epoch, image.seq)
        """(epoch, seq) of the last entry applied."""
        self.hash = image.hash
        self.floor = image.floor
        self.version = 0
        """Another number whenever rows or tombstones may be others than before."""
        self.tombstones: dict[RowKey, int] = {(unit, fingerprint): seq for unit, fingerprint, seq in image.tombstones}
        self.table: RowTable
        self.rows: dict[RowKey, Row]
        """The table's, not to be changed."""
        self._take(table_of(image.rows))
        self.settings: Settings
        self.settings_digest: str
        """Of what is set; the digest of rows says nothing of it."""
        self._set(settings_of(image.settings))

    @property
    def epoch(self) -> int:
        """The position's epoch; 0 before anything was ever replicated."""
        return self.position[0]

    @property
    def seq(self) -> int:
        """The position's place in the epoch."""
        return self.position[1]

    def apply(self, entry: LogEntry, entry_hash: bytes) -> tuple[RowKey, ...]:
        """Apply the next entry; return the keys whose deletion is to be remembered.

        A key that the entry removes and adds again (a replacement) is no deletion.
        """
        added = [row.key for row in entry.adds]
        deleted = tuple(key for key in entry.removes if key not in added)
        self._take(self.table.after(entry.removes, entry.adds))
        for key in added:
            self.tombstones.pop(key, None)
        for key in deleted:
            self.tombstones[key] = entry.seq
        if entry.settings:
            self._set(after(self.settings, entry.settings))
        self.position = (self.position[0], entry.seq)
        self.hash = entry_hash
        return deleted

    def install(
        self,
        *,
        epoch: int,
        seq: int,
        entry_hash: bytes,
        rows: tuple[Row, ...],
        tombstones: Iterable[tuple[str, str, int]],
        settings: tuple[Setting, ...],
    ) -> None:
        """Put a snapshot in the place of everything."""
        self.position = (epoch, seq)
        self.hash = entry_hash
        self.floor = 0
        self.tombstones = {(unit, fingerprint): at for unit, fingerprint, at in tombstones}
        self._take(table_of(rows))
        self._set(settings_of(settings))

    def raise_floor(self, floor: int) -> bool:
        """Forget tombstones at or below `floor`: every member has them behind it. False when that is no news."""
        if floor <= self.floor:
            return False
        self.floor = floor
        self.version += 1
        if self.tombstones:
            self.tombstones = {key: seq for key, seq in self.tombstones.items() if seq > floor}
        return True

    def digest(self) -> str:
        """SHA-256 over the sorted lines `unit TAB fingerprint LF` of rows with holders (design 7.2)."""
        return self.table.digest()

    def of_unit(self, unit: str) -> dict[str, Row]:
        """A unit's rows by fingerprint, in the order in which they came; not to be changed."""
        return self.table.units.get(unit, NO_ROWS)

    def _take(self, table: RowTable) -> None:
        self.table = table
        self.rows = table.rows
        self.version += 1

    def _set(self, settings: Settings) -> None:
        self.settings = settings
        self.settings_digest = settings_digest(settings)
