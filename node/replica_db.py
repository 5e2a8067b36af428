"""The database replica of one node in SQLite: rows, settings, tombstones and position, changed by whole log entries.

Tables carry the product's names where it has one (domain.md B.5): CERTIFICATE holds a certificate in a unit,
CERTIFICATEPROCESSNODEMAP the nodes that hold it, PROCESSCONFIG what administrators set. Ours are
REPLICATIONPOSITION and DELETEDCERTIFICATE (tombstones).

WAL with `synchronous=NORMAL`: a transaction is atomic at once, survives a kill at once, and a power cut after `sync`
(design 4). A reader in another process (the lab's `dump`) sees the last whole transaction and stops no writer.
"""

import sqlite3
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path

from ucmlab.broker.messages import Row, RowKey, Setting
from ucmlab.node.commands import ApplyEntry, InstallSnapshot
from ucmlab.node.durable import sync_path
from ucmlab.node.events import ReplicaImage

_SETTINGS = """
CREATE TABLE PROCESSCONFIG(
    place TEXT NOT NULL, paramname TEXT NOT NULL, paramvalue TEXT NOT NULL,
    PRIMARY KEY(place, paramname)) WITHOUT ROWID;
PRAGMA user_version = 2;
"""
_SCHEMA = """
CREATE TABLE CERTIFICATE(
    unit TEXT NOT NULL, fingerprint TEXT NOT NULL, der BLOB NOT NULL, description TEXT NOT NULL,
    everywhere INTEGER NOT NULL, UNIQUE(unit, fingerprint));
CREATE TABLE CERTIFICATEPROCESSNODEMAP(
    unit TEXT NOT NULL, fingerprint TEXT NOT NULL, place INTEGER NOT NULL, node TEXT NOT NULL,
    PRIMARY KEY(unit, fingerprint, place)) WITHOUT ROWID;
CREATE TABLE DELETEDCERTIFICATE(
    unit TEXT NOT NULL, fingerprint TEXT NOT NULL, seq INTEGER NOT NULL, UNIQUE(unit, fingerprint));
CREATE TABLE REPLICATIONPOSITION(
    one INTEGER PRIMARY KEY CHECK(one = 1), epoch INTEGER NOT NULL, seq INTEGER NOT NULL, hash BLOB NOT NULL,
    floor INTEGER NOT NULL);
INSERT INTO REPLICATIONPOSITION VALUES(1, 0, 0, x'', 0);
"""
_VERSION, _WITHOUT_SETTINGS = 2, 1
_CHECKPOINT_PAGES = 256
"""1 MiB of WAL before its pages go back into the database: a start after a kill has at most that much to replay."""


class ReplicaDb:
    """One node's replica on disk, opened for writing; one process writes it."""

    def __init__(self, path: Path) -> None:
        """Name the file; nothing is touched before `open`."""
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._changed = True

    def open(self) -> ReplicaImage:
        """Open or make the database, and read all of it.

        Raises:
            sqlite3.Error: the file is no database of ours or cannot be read.
        """
        self.close()
        made = not self._path.exists()
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=10)
        self._connection = connection
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        self._prepare(connection)
        if made:
            sync_path(self._path.parent)
        self._changed = True  # what an earlier process wrote may never have been synced
        return read_replica(connection)

    def apply(self, entry: ApplyEntry) -> None:
        """Bring one log entry in, in one transaction. A row that is put in is deleted no more."""
        with self._transaction() as connection:
            _drop(connection, entry.removes)
            _put(connection, entry.adds)
            _set(connection, entry.settings)
            deleted = [(unit, fingerprint, entry.seq) for unit, fingerprint in entry.tombstones]
            _bury(connection, deleted)
            _move(connection, epoch=entry.epoch, seq=entry.seq, entry_hash=entry.hash)

    def install(self, snapshot: InstallSnapshot) -> None:
        """Replace everything by a snapshot, in one transaction. The floor is unknown again: 0."""
        with self._transaction() as connection:
            for table in ("CERTIFICATE", "CERTIFICATEPROCESSNODEMAP", "PROCESSCONFIG", "DELETEDCERTIFICATE"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608  the names are the four above
            _put(connection, snapshot.rows)
            _set(connection, snapshot.settings)
            _bury(connection, snapshot.tombstones)
            _move(connection, epoch=snapshot.epoch, seq=snapshot.seq, entry_hash=snapshot.hash)
            connection.execute("UPDATE REPLICATIONPOSITION SET floor = 0")

    def raise_floor(self, floor: int) -> None:
        """Forget tombstones at or below `floor`; a floor never falls."""
        with self._transaction() as connection:
            connection.execute("UPDATE REPLICATIONPOSITION SET floor = max(floor, ?)", (floor,))
            connection.execute("DELETE FROM DELETEDCERTIFICATE WHERE seq <= ?", (floor,))

    def begin_epoch(self, epoch: int) -> None:
        """Start over at position 0 of a higher epoch with the rows at hand; deletions before it count from there."""
        with self._transaction() as connection:
            connection.execute("UPDATE DELETEDCERTIFICATE SET seq = 0")
            connection.execute("UPDATE REPLICATIONPOSITION SET epoch = ?, seq = 0, hash = x'', floor = 0", (epoch,))

    def sync(self) -> None:
        """Make every transaction so far survive a power cut.

        Syncing the WAL is enough: its frames carry checksums, and SQLite syncs by itself when it writes them back.
        """
        if self._changed and not sync_path(self._path.with_name(f"{self._path.name}-wal")):
            sync_path(self._path)
        self._changed = False

    def close(self) -> None:
        """Let go of the database; closed twice is closed."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection, None, None]:
        connection = self._open()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # some failures have rolled back already; the first error is what counts
                connection.execute("ROLLBACK")
            raise
        self._changed = True

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise sqlite3.ProgrammingError("the replica is not open")
        return self._connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        version = _version(connection)
        if version == _VERSION:
            return
        if version not in (0, _WITHOUT_SETTINGS):
            raise sqlite3.DatabaseError(f"{self._path} was written by another version of ucmlab (schema {version})")
        missing = _SETTINGS if version else _SCHEMA + _SETTINGS
        connection.executescript(f"BEGIN IMMEDIATE;{missing}COMMIT;")


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open a replica that another process may be writing; nothing in it can be changed through this connection.

    Raises:
        sqlite3.Error: there is no such database.
    """
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=1)


def read_replica(connection: sqlite3.Connection) -> ReplicaImage:
    """Read everything as of one transaction. Rows come in the order in which they were put in.

    Raises:
        sqlite3.Error: it is no database of ours.
    """
    connection.execute("BEGIN")
    try:
        holders: dict[RowKey, list[str]] = {}
        maps = "SELECT unit, fingerprint, node FROM CERTIFICATEPROCESSNODEMAP ORDER BY unit, fingerprint, place"
        for unit, fingerprint, node in connection.execute(maps):
            holders.setdefault((unit, fingerprint), []).append(node)
        select = "SELECT unit, fingerprint, der, description, everywhere FROM CERTIFICATE ORDER BY rowid"
        rows = tuple(
            Row(unit, fingerprint, der, text, None if everywhere else tuple(holders.get((unit, fingerprint), ())))
            for unit, fingerprint, der, text, everywhere in connection.execute(select)
        )
        buried = tuple(connection.execute("SELECT unit, fingerprint, seq FROM DELETEDCERTIFICATE ORDER BY rowid"))
        epoch, seq, entry_hash, floor = _position(connection)
        settings = _settings(connection)
    finally:
        connection.execute("COMMIT")
    return ReplicaImage(epoch, seq, entry_hash, floor, rows, buried, settings)


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _settings(connection: sqlite3.Connection) -> tuple[Setting, ...]:
    # Who only looks may look at what a version without settings wrote, and no node has opened since.
    if _version(connection) == _WITHOUT_SETTINGS:
        return ()
    select = "SELECT place, paramname, paramvalue FROM PROCESSCONFIG ORDER BY place, paramname"
    return tuple(Setting(place, name, value) for place, name, value in connection.execute(select))


def read_extent(connection: sqlite3.Connection) -> tuple[int, int, list[RowKey], tuple[Setting, ...]]:
    """Read how far a replica is, the keys of its rows in no order, and what is set: as of one transaction.

    It is a tenth of everything.

    Raises:
        sqlite3.Error: it is no database of ours.
    """
    connection.execute("BEGIN")
    try:
        keys = connection.execute("SELECT unit, fingerprint FROM CERTIFICATE").fetchall()
        epoch, seq, _, _ = _position(connection)
        settings = _settings(connection)
    finally:
        connection.execute("COMMIT")
    return epoch, seq, keys, settings


def _position(connection: sqlite3.Connection) -> tuple[int, int, bytes, int]:
    select = "SELECT epoch, seq, hash, floor FROM REPLICATIONPOSITION"
    epoch, seq, entry_hash, floor = connection.execute(select).fetchone()
    return int(epoch), int(seq), bytes(entry_hash), int(floor)


def _move(connection: sqlite3.Connection, *, epoch: int, seq: int, entry_hash: bytes) -> None:
    connection.execute("UPDATE REPLICATIONPOSITION SET epoch = ?, seq = ?, hash = ?", (epoch, seq, entry_hash))


def _drop(connection: sqlite3.Connection, keys: Iterable[RowKey]) -> None:
    for key in keys:
        connection.execute("DELETE FROM CERTIFICATE WHERE unit = ? AND fingerprint = ?", key)
        connection.execute("DELETE FROM CERTIFICATEPROCESSNODEMAP WHERE unit = ? AND fingerprint = ?", key)


def _put(connection: sqlite3.Connection, rows: Iterable[Row]) -> None:
    # An upsert, not a replacement: a row that is changed keeps its place among the others, as in the node's memory.
    for row in rows:
        connection.execute(
            "INSERT INTO CERTIFICATE VALUES(?, ?, ?, ?, ?) ON CONFLICT(unit, fingerprint) DO UPDATE SET"
            " der = excluded.der, description = excluded.description, everywhere = excluded.everywhere",
            (row.unit, row.fingerprint, row.der, row.description, row.holders is None),
        )
        connection.execute("DELETE FROM CERTIFICATEPROCESSNODEMAP WHERE unit = ? AND fingerprint = ?", row.key)
        nodes = [(*row.key, place, node) for place, node in enumerate(row.holders or ())]
        connection.executemany("INSERT INTO CERTIFICATEPROCESSNODEMAP VALUES(?, ?, ?, ?)", nodes)
        connection.execute("DELETE FROM DELETEDCERTIFICATE WHERE unit = ? AND fingerprint = ?", row.key)


def _set(connection: sqlite3.Connection, settings: Iterable[Setting]) -> None:
    for each in settings:
        values = (each.place, each.name, each.value)
        connection.execute("INSERT OR REPLACE INTO PROCESSCONFIG VALUES(?, ?, ?)", values)


def _bury(connection: sqlite3.Connection, deleted: Iterable[tuple[str, str, int]]) -> None:
    connection.executemany(
        "INSERT INTO DELETEDCERTIFICATE VALUES(?, ?, ?)"
        " ON CONFLICT(unit, fingerprint) DO UPDATE SET seq = excluded.seq",
        deleted,
    )
