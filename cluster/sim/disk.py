"""A node's disk in memory, with the disk contract of design 4: what a kill keeps, and what a power cut may lose.

Live state answers reads. What was written since the last sync is also remembered as changes per file and for the
database, so that a power cut can take away any suffix of each: files are independent of one another and of the
database; order holds only across a sync. The publisher's log, operation ids, the epoch and private keys are synced
before any answer, so a power cut never touches them.
"""

import random

from ucmlab.broker.messages import RowKey
from ucmlab.node.commands import (
    AppendLog,
    ApplyEntry,
    BeginEpoch,
    InstallSnapshot,
    RaiseFloor,
    RecordAnswer,
    RemoveFile,
    SetRelease,
    SettleFile,
    WriteFile,
)
from ucmlab.node.events import DiskImage, FileImage, LogImage, ReplicaImage
from ucmlab.node.log_hash import entry_hash
from ucmlab.node.row_table import table_of
from ucmlab.node.settings import after, in_order, settings_of

FileKey = tuple[str, str]
DatabaseChange = ApplyEntry | InstallSnapshot | RaiseFloor | BeginEpoch
COMPACT_AT = 8
"""Log entries below the floor that are dropped together; few, so that searches reach snapshots."""


class SimDisk:
    """Everything that one node has on disk."""

    def __init__(self, image: DiskImage) -> None:
        """A disk that holds `image`, all of it durable."""
        self.boot = image.boot
        self.identities = dict(image.identities)
        self.files: dict[FileKey, FileImage] = {(file.unit, file.name): file for file in image.files}
        self._read: tuple[FileImage, ...] | None = None
        """What reading all files gives, until one of them changes."""
        self._unsynced_files: dict[FileKey, list[FileImage | None]] = {}
        self._strays: dict[FileKey, bytes] = {}
        """Files that hold no certificate (any more): whoever reads the folder passes them over."""
        self._base = image.replica
        self._changes: list[DatabaseChange] = []
        self._durable_changes = 0
        self._epoch = image.log.epoch
        self._floor = image.log.floor
        self._floor_hash = image.log.floor_hash
        self._log = [(image.log.floor + 1 + at, payload) for at, payload in enumerate(image.log.payloads)]
        self._op_ids: dict[int, str] = {}
        self._answers = list(image.log.answers)
        self.csrs = dict(image.csrs)
        self.installed_by = dict(image.installed_by)
        self.enabled = dict(image.enabled)
        self._done_orders = list(image.done_orders)
        self.keys = dict(image.keys)
        self.authz = dict(image.authz)
        self.installed = image.installed
        self.fips = image.fips
        self.release, self.former = image.release, image.former

    # -- reading

    def load(self) -> DiskImage:
        """Read everything, as a node does at its start; the boot number goes up."""
        self.boot += 1
        return self.image()

    def image(self) -> DiskImage:
        """Everything as it is now."""
        return DiskImage(
            boot=self.boot,
            identities=dict(self.identities),
            csrs=dict(self.csrs),
            installed_by=dict(self.installed_by),
            files=self.read_files(),
            replica=self.replica(),
            log=self.log_image(),
            enabled=dict(self.enabled),
            done_orders=tuple(self._done_orders),
            keys=dict(self.keys),
            authz=dict(self.authz),
            installed=self.installed,
            fips=self.fips,
            release=self.release,
            former=self.former,
        )

    def replica(self) -> ReplicaImage:
        """The database as it is now."""
        return fold(self._base, self._changes)

    def position(self) -> tuple[int, int]:
        """(epoch, seq) of the database as it is now."""
        for change in reversed(self._changes):
            if isinstance(change, ApplyEntry | InstallSnapshot):
                return (change.epoch, change.seq)
            if isinstance(change, BeginEpoch):
                return (change.epoch, 0)
        return (self._base.epoch, self._base.seq)

    def log_image(self) -> LogImage:
        """The publisher's log as it is now."""
        payloads = tuple(payload for _, payload in self._log)
        return LogImage(self._epoch, self._floor, self._floor_hash, payloads, tuple(self._answers))

    def has_done(self, op_id: str) -> bool:
        """Whether a service order is known to have taken effect."""
        return op_id in self._done_orders

    def strays(self) -> list[str]:
        """What reading the files passes over, one line each."""
        return [f"{unit}/{name} holds no certificate; it was passed over" for unit, name in self._strays]

    # -- what only faults do

    def spoil_file(self, key: FileKey) -> None:
        """One bit of a file changes, in its first byte: it is no certificate any more."""
        der = self.files[key].der
        self.lose_file(key)
        self._strays[key] = bytes([der[0] ^ 1]) + der[1:]

    def lose_file(self, key: FileKey) -> None:
        """A file is gone, and nothing that was ever written of it comes back."""
        self._put(key, None)
        self._unsynced_files.pop(key, None)

    # -- files

    def read_files(self) -> tuple[FileImage, ...]:
        """All files; the same tuple as before as long as they are the same."""
        if self._read is None:
            self._read = tuple(self.files.values())
        return self._read

    def write_file(self, command: WriteFile) -> None:
        """Put a file in place."""
        image = FileImage(command.unit, command.name, command.der, command.description, command.op_id)
        self._change_file((command.unit, command.name), image)

    def remove_file(self, command: RemoveFile) -> None:
        """Take a file away."""
        self._change_file((command.unit, command.name), None)

    def settle_file(self, command: SettleFile) -> None:
        """Forget the operation id beside a file."""
        old = self.files.get((command.unit, command.name))
        if old is not None:
            self._change_file((command.unit, command.name), FileImage(old.unit, old.name, old.der, old.description, ""))

    def _change_file(self, key: FileKey, image: FileImage | None) -> None:
        versions = self._unsynced_files.get(key)
        if versions is None:
            self._unsynced_files[key] = [self.files.get(key), image]
        else:
            versions.append(image)
        self._put(key, image)

    def _put(self, key: FileKey, image: FileImage | None) -> None:
        self._read = None
        if image is None:
            self.files.pop(key, None)
        else:
            self.files[key] = image
        if self._strays:
            self._strays.pop(key, None)

    # -- database and log

    def change_database(self, command: ApplyEntry | InstallSnapshot) -> None:
        """One transaction."""
        self._changes.append(command)

    def append_log(self, command: AppendLog) -> None:
        """Durable at once."""
        self._log.append((command.seq, command.payload))
        self._op_ids[command.seq] = command.op_id

    def record_answer(self, command: RecordAnswer) -> None:
        """Durable at once."""
        self._answers.append((command.op_id, "refused", command.reason, self._log[-1][0] if self._log else self._floor))

    def begin_epoch(self, command: BeginEpoch) -> None:
        """Durable at once; rows and tombstones stay, the log's entries go."""
        self._changes.append(command)
        self._durable_changes = len(self._changes)
        self._answers += [(self._op_ids.get(seq, ""), "done", "", seq) for seq, _ in self._log]
        self._epoch, self._floor, self._floor_hash = command.epoch, 0, b""
        self._log.clear()

    def raise_floor(self, command: RaiseFloor) -> None:
        """Forget what everybody has behind them."""
        self._changes.append(command)
        below = sum(seq <= command.floor for seq, _ in self._log)
        if below < COMPACT_AT:
            return
        for seq, payload in self._log[:below]:
            self._answers.append((self._op_ids.get(seq, ""), "done", "", seq))
            self._floor, self._floor_hash = seq, entry_hash(payload)
        del self._log[:below]

    def record_order(self, op_id: str) -> None:
        """Durable at once."""
        self._done_orders.append(op_id)

    def set_release(self, command: SetRelease) -> None:
        """Durable at once."""
        self.release, self.former = command.release, command.former

    # -- sync and power

    def sync(self, *, files: bool) -> None:
        """What was written to the database so far, and to files too if asked, survives a power cut."""
        if files:
            self._unsynced_files.clear()
        self._durable_changes = len(self._changes)

    def cut_power(self, chance: random.Random) -> None:
        """Lose an unsynced suffix of every file and of the database."""
        for key, versions in self._unsynced_files.items():
            self._put(key, versions[chance.randrange(len(versions))])
        kept = chance.randint(self._durable_changes, len(self._changes))
        del self._changes[kept:]
        self.sync(files=True)


class Database:
    """A replica database after some transactions."""

    def __init__(self, base: ReplicaImage) -> None:
        """Nothing has changed yet."""
        self.epoch, self.seq, self.hash, self.floor = base.epoch, base.seq, base.hash, base.floor
        self.table = table_of(base.rows)
        self.settings = settings_of(base.settings)
        self.tombstones: dict[RowKey, int] = {(unit, fingerprint): seq for unit, fingerprint, seq in base.tombstones}

    def perform(self, change: DatabaseChange) -> None:
        """One transaction."""
        match change:
            case ApplyEntry():
                self.table = self.table.after(change.removes, change.adds)
                for row in change.adds:
                    self.tombstones.pop(row.key, None)
                self.tombstones.update(dict.fromkeys(change.tombstones, change.seq))
                if change.settings:
                    self.settings = after(self.settings, change.settings)
                self.epoch, self.seq, self.hash = change.epoch, change.seq, change.hash
            case InstallSnapshot():
                self.table = table_of(change.rows)
                self.settings = settings_of(change.settings)
                self.tombstones = {(unit, fingerprint): at for unit, fingerprint, at in change.tombstones}
                self.epoch, self.seq, self.hash, self.floor = change.epoch, change.seq, change.hash, 0
            case RaiseFloor():
                self.floor = max(self.floor, change.floor)
                self.tombstones = {key: at for key, at in self.tombstones.items() if at > self.floor}
            case BeginEpoch():
                self.tombstones = dict.fromkeys(self.tombstones, 0)
                self.epoch, self.seq, self.hash, self.floor = change.epoch, 0, b"", 0

    def image(self) -> ReplicaImage:
        """What it holds."""
        return ReplicaImage(
            epoch=self.epoch,
            seq=self.seq,
            hash=self.hash,
            floor=self.floor,
            rows=self.table.in_order(),
            tombstones=tuple((unit, fingerprint, at) for (unit, fingerprint), at in self.tombstones.items()),
            settings=in_order(self.settings),
        )


def fold(base: ReplicaImage, changes: list[DatabaseChange]) -> ReplicaImage:
    """The database after these transactions."""
    database = Database(base)
    for change in changes:
        database.perform(change)
    return database.image()
