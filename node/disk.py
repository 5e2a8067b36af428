"""A node's disk: reads it at the start, and performs the core's disk commands, each completely before the next begins.

Below the node's home:

    usr/local/{cm,platform,sip}/.security/…   certificates and keys, as the product lays them out (domain.md B.5)
    db/replica.sqlite                         the database replica (`ReplicaDb`)
    log/entries, log/answers                  the cluster's log (`LogFile`), on the publisher only
    state/node.json                           boot number, installation, services whose start at boot was changed, FIPS,
                                              the release that the node was upgraded to
    state/orders                              ids of service orders that took effect
    state/identities.json                     which operations identity certificates are from
    private/                                  what the key ring keeps; only tidied up here

This file decides nothing: what is written, and whether it may be, is the core's. It is also used by no other process
while the node runs; who only wants to look uses `ucmlab.cluster.homeview`.
"""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ucmlab.broker.codec import UNREADABLE
from ucmlab.node.certificates import parse
from ucmlab.node.commands import (
    AppendLog,
    ApplyEntry,
    BeginEpoch,
    Command,
    InstallSnapshot,
    RaiseFloor,
    ReadFiles,
    RecordAnswer,
    RecordOrder,
    RemoveFile,
    SetEnabled,
    SetFips,
    SetInstalled,
    SetRelease,
    SettleFile,
    SyncDisk,
    WriteFile,
)
from ucmlab.node.durable import RecordFile, make_folder, remove_file, remove_temporaries, replace_file
from ucmlab.node.events import DiskImage, DiskSynced, Event, FilesRead, LogImage, ReplicaImage
from ucmlab.node.identity_files import recover_identities
from ucmlab.node.installed_by import read_installed_by
from ucmlab.node.keyring import KeyRing
from ucmlab.node.layout import HomeLayout, read_csrs, read_identities, read_key_generations
from ucmlab.node.leaf_rules import has_key_of
from ucmlab.node.log_file import LogFile
from ucmlab.node.replica_db import ReplicaDb
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.trust_files import TrustFiles


class NodeState(msgspec.Struct, frozen=True):
    """What fits in one small file that is replaced as a whole."""

    boot: int = 0
    installed: bool = False
    enabled: dict[str, bool] = {}
    fips: bool = False
    release: str = ""
    """As in `DiskImage`, like `former`."""
    former: str = ""


class NodeDisk:
    """One node's files, database and log, opened by the one process that writes them.

    Attributes:
        load_warnings: what `load` found wrong and passed over or cut, one line each; for the log.
    """

    def __init__(self, home: Path, rulebook: RuleBook, *, publisher: bool) -> None:
        """Name the home; nothing is touched before `load`."""
        self._rulebook = rulebook
        self._layout = HomeLayout(home, rulebook)
        self._files = TrustFiles(self._layout.trust_folders)
        self._replica = ReplicaDb(self._layout.replica)
        self._log = LogFile(self._layout.log) if publisher else None
        self._orders = RecordFile(self._layout.orders)
        self._state = NodeState()
        self.load_warnings: tuple[str, ...] = ()

    def load(self) -> DiskImage:
        """Tidy up after whatever ended the last run, count the boot, and read everything.

        Raises:
            OSError: the disk cannot be read or written, or was written by another version of ucmlab.
        """
        with _as_os_errors():
            self._tidy()
            self._count_boot()
            files, strays = self._files.read()
            orders, torn = self._orders.open()
            replica, log, cuts = self._load_database()
            identities = read_identities(self._layout)
            csrs = self._waiting_requests(identities)
            cuts += [f"orders: {torn} torn bytes at the end were cut"] if torn else []
            self.load_warnings = (*strays, *cuts)
            return DiskImage(
                boot=self._state.boot,
                identities=identities,
                csrs=csrs,
                installed_by=read_installed_by(self._layout.installed_by, identities),
                files=files,
                replica=replica,
                log=log,
                enabled=self._state.enabled,
                done_orders=tuple(dict.fromkeys(order.decode() for order in orders)),
                keys=read_key_generations(self._layout, self._rulebook, identities),
                installed=self._state.installed,
                fips=self._state.fips,
                release=self._state.release,
                former=self._state.former,
            )

    def perform(self, command: Command) -> Event | None:
        """Perform one command completely; return the event that answers it, if one does.

        Raises:
            OSError: it could not be performed (disk full, no permission); nothing, or a prefix that `load` tidies up,
                was done. The shell reports it as `CommandFailed`.
            TypeError: the command does not concern the disk.
        """
        with _as_os_errors():
            match command:
                case ReadFiles(token=token):
                    return FilesRead(token, self._files.read()[0])
                case SyncDisk(token=token, files=files):
                    if files:
                        self._files.sync()
                    self._replica.sync()
                    return DiskSynced(token)
                case WriteFile() | RemoveFile() | SettleFile():
                    self._change_file(command)
                case ApplyEntry() | InstallSnapshot() | RaiseFloor():
                    self._change_replica(command)
                case AppendLog() | RecordAnswer() | BeginEpoch():
                    self._change_log(command)
                case RecordOrder(op_id=op_id):
                    self._orders.append(op_id.encode())
                case SetEnabled() | SetInstalled() | SetFips() | SetRelease():
                    self._change_state(command)
                case _:
                    raise TypeError(f"{type(command).__name__} does not concern the disk")
        return None

    def close(self) -> None:
        """Let go of everything that is open; what was performed stays."""
        self._replica.close()
        self._orders.close()
        if self._log is not None:
            self._log.close()

    def _change_file(self, command: WriteFile | RemoveFile | SettleFile) -> None:
        match command:
            case WriteFile(unit=unit, name=name):
                self._files.write(unit, name, der=command.der, description=command.description, op_id=command.op_id)
            case RemoveFile(unit=unit, name=name):
                self._files.remove(unit, name)
            case SettleFile(unit=unit, name=name):
                self._files.settle(unit, name)

    def _change_replica(self, command: ApplyEntry | InstallSnapshot | RaiseFloor) -> None:
        match command:
            case ApplyEntry():
                self._replica.apply(command)
            case InstallSnapshot():
                self._replica.install(command)
            case RaiseFloor(floor=floor):
                self._replica.raise_floor(floor)
                if self._log is not None:
                    self._log.raise_floor(floor)

    def _change_log(self, command: AppendLog | RecordAnswer | BeginEpoch) -> None:
        log = self._log
        if log is None:
            raise OSError(f"{type(command).__name__}: only the publisher keeps the log")
        match command:
            case AppendLog(epoch=epoch, seq=seq, op_id=op_id, payload=payload):
                log.append(epoch=epoch, seq=seq, op_id=op_id, payload=payload)
            case RecordAnswer(op_id=op_id, reason=reason):
                log.answer(op_id, reason)
            case BeginEpoch(epoch=epoch):
                self._replica.sync()  # the entries are dropped: from here on their rows are all that is left of them
                log.begin_epoch(epoch)
                self._replica.begin_epoch(epoch)
                self._replica.sync()

    def _change_state(self, command: SetEnabled | SetInstalled | SetFips | SetRelease) -> None:
        match command:
            case SetEnabled(service=service, enabled=enabled):
                changed = {**self._state.enabled, service: enabled}
                self._save(msgspec.structs.replace(self._state, enabled=changed))
            case SetInstalled():
                self._save(msgspec.structs.replace(self._state, installed=True))
            case SetFips(enabled=fips):
                self._save(msgspec.structs.replace(self._state, fips=fips))
            case SetRelease(release=release, former=former):
                self._save(msgspec.structs.replace(self._state, release=release, former=former))

    def _tidy(self) -> None:
        for folder in self._layout.own_folders:
            make_folder(folder)
        for folder in self._layout.folders_with_temporaries:
            remove_temporaries(folder)
        KeyRing(self._layout.home).clean(self._rulebook.units.values())
        self._files.recover()
        recover_identities(self._layout.identity_files.values())

    def _waiting_requests(self, identities: dict[str, bytes]) -> dict[str, bytes]:
        """Without those whose certificate is in place: a kill came before they were removed (R-020)."""
        csrs = read_csrs(self._layout)
        there = {unit: parse(identities[unit]) for unit in csrs if unit in identities}
        for unit in [unit for unit, identity in there.items() if has_key_of(identity, csrs[unit])]:
            remove_file(self._layout.csr_files[unit])
            KeyRing(self._layout.home).drop_csr_keys(self._rulebook.units[unit])
            del csrs[unit]
        return csrs

    def _load_database(self) -> tuple[ReplicaImage, LogImage, list[str]]:
        replica = self._replica.open()
        if self._log is None:
            return replica, LogImage(), []
        cuts = self._log.open()
        if self._log.begun_epoch > replica.epoch:
            # A kill between the two steps of BeginEpoch: the log, written first, says that it was begun.
            self._replica.begin_epoch(self._log.begun_epoch)
            deleted = tuple((unit, fingerprint, 0) for unit, fingerprint, _ in replica.tombstones)
            replica = ReplicaImage(
                self._log.begun_epoch, rows=replica.rows, tombstones=deleted, settings=replica.settings
            )
        self._log.raise_floor(replica.floor)  # logical, so known to the replica alone until the file was cut
        return replica, self._log.image(), cuts

    def _count_boot(self) -> None:
        state = read_state(self._layout.state)
        self._save(msgspec.structs.replace(state, boot=state.boot + 1))

    def _save(self, state: NodeState) -> None:
        replace_file(self._layout.state, msgspec.json.encode(state), durable=True)
        self._state = state


def read_state(path: Path) -> NodeState:
    """A node's state file; that of a node that was never started when there is none.

    Raises:
        OSError: it cannot be read or is none of ours.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=NodeState)
    except FileNotFoundError:
        return NodeState()
    except UNREADABLE as error:
        raise OSError(f"{path} was not written by ucmlab: {error}") from error


@contextmanager
def _as_os_errors() -> Generator[None, None, None]:
    # One kind of error for whoever performs commands: a disk that failed, whichever library found it out.
    try:
        yield
    except (sqlite3.Error, *UNREADABLE) as error:
        raise OSError(str(error)) from error
