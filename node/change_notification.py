"""Cisco Certificate Change Notification: makes files follow rows, and at times rows follow files (design 4).

It acts on listed units only (`replicated` in the unit table; domain.md 0.3, fact 3). Two ways lead here:

- a *notice*: a row changed by an entry that arrived while the service ran. Notices are not durable; an entry that was
  pulled after an absence gives none.
- a *comparison* of files and rows: at the service's start, once the replica has caught up, and every 30 minutes (K1).

What a comparison does with a difference is the policy's table:

                                          faithful               modern            legacy
    row, no file                          write                  write             write, also where it was deleted
    file, no row, never in the log        propose                propose           propose
    file, no row, delete remembered       propose (the zombie)   remove the file   does not arise: rows keep a holder
"""

from collections import deque
from collections.abc import Callable

from ucmlab.broker.messages import LogEntry, RowKey
from ucmlab.node.commands import ReadFiles
from ucmlab.node.context import Context
from ucmlab.node.events import FilesRead
from ucmlab.node.filing import NO_FILES, Filing
from ucmlab.node.identity_rows import IDENTITY_KINDS
from ucmlab.node.replica import Replica
from ucmlab.node.row_table import NO_ROWS

COMPARE = "compare"
RESYNC_TIMER = "certcn:resync"
REACTION_TIMER = "certcn:react"


class ChangeNotification:
    """The service's decisions; whether it runs is told by `started` and `stopped`."""

    def __init__(
        self,
        context: Context,
        filing: Filing,
        replica: Replica,
        *,
        propose_file: Callable[[str, str], None],
        propose_mapping: Callable[[RowKey], None],
        occupied: Callable[[str], bool],
        caught_up: Callable[[], bool],
    ) -> None:
        """The service is stopped.

        Args:
            propose_file: puts the row of a file (unit, fingerprint) to the publisher.
            propose_mapping: puts this node back among a row's holders.
            occupied: whether an operation is changing a unit; the differences there are its own.
            caught_up: whether the replica is where the publisher's log ends.
        """
        self._context = context
        self._filing = filing
        self._replica = replica
        self._propose_file = propose_file
        self._propose_mapping = propose_mapping
        self._occupied = occupied
        self._caught_up = caught_up
        units = context.rulebook.units_of(context.config.role)
        self._stores = tuple(unit for unit in units if unit.kind == "trust")
        self._listed = tuple(unit.name for unit in units if unit.replicated)
        self.running = False
        self._first_comparison_due = False
        self._notices: deque[tuple[int, LogEntry, tuple[RowKey, ...]]] = deque()

    def started(self) -> None:
        """The service came up: compare as soon as the replica has caught up, and from now on every 30 minutes."""
        self.running = True
        self._first_comparison_due = True
        self._context.start_timer(RESYNC_TIMER, self._context.timing.resync)
        self.replica_caught_up()

    def stopped(self) -> None:
        """The service ended: notices not yet acted upon are lost."""
        self.running = False
        self._notices.clear()
        self._context.cancel_timer(RESYNC_TIMER)
        self._context.cancel_timer(REACTION_TIMER)

    def replica_caught_up(self) -> None:
        """The comparison at start waits for this: before, every row that was missed would look like a lost file."""
        if self.running and self._first_comparison_due and self._caught_up():
            self._first_comparison_due = False
            self._context.ask(ReadFiles(COMPARE))

    def resync_due(self) -> None:
        """The 30 minutes are over."""
        if self.running:
            self._first_comparison_due = False
            self._context.start_timer(RESYNC_TIMER, self._context.timing.resync)
            self._context.ask(ReadFiles(COMPARE))

    def notice(self, entry: LogEntry, added: tuple[RowKey, ...]) -> None:
        """An entry was applied while this node listened; `added` are its rows that were not there before."""
        if not self.running or not self._concerns(entry):
            return
        delay = self._context.draw(*self._context.timing.change_notification, "certcn", entry.epoch, entry.seq)
        if not delay:
            self._react(entry, added)
            return
        due = self._context.now.lab + delay
        if self._notices:
            due = max(due, self._notices[-1][0])
        else:
            self._context.start_timer(REACTION_TIMER, delay)
        self._notices.append((due, entry, added))

    def reaction_due(self) -> None:
        """Act upon the notices whose time has come."""
        while self._notices and self._notices[0][0] <= self._context.now.lab:
            _, entry, added = self._notices.popleft()
            self._react(entry, added)
        if self._notices:
            self._context.start_timer(REACTION_TIMER, self._notices[0][0] - self._context.now.lab)

    def waiting(self) -> int:
        """Notices not yet acted upon."""
        return len(self._notices)

    def compare(self, event: FilesRead) -> None:
        """Compare what was read with the rows, and mend by the policy's table."""
        if not self.running:
            return
        self._filing.take(event.files)
        self._context.record("resync")
        cause = self._context.cause
        for unit in self._stores:
            if not self._occupied(unit.name):
                self._compare_unit(unit.name, listed=unit.replicated)
        self._context.cause = cause

    def agrees(self) -> bool:
        """Whether files equal rows for the listed units of this node."""
        files, rows = self._filing.by_unit, self._replica.table.units
        return not [unit for unit in self._listed if files.get(unit, NO_FILES).keys() != rows.get(unit, NO_ROWS).keys()]

    def _concerns(self, entry: LogEntry) -> bool:
        units = self._context.rulebook.units
        return any(units[row.unit].replicated for row in entry.adds) or any(
            units[unit].replicated for unit, _ in entry.removes
        )

    def _react(self, entry: LogEntry, added: tuple[RowKey, ...]) -> None:
        """Look at the rows as they are now: a later entry may have overtaken this notice."""
        units, me = self._context.rulebook.units, self._context.config
        # Before 11.0 a delete is one node's affair; what an identity took the place of goes everywhere (B.6.4).
        for unit, fingerprint in entry.removes if me.replication != "legacy" or entry.kind in IDENTITY_KINDS else ():
            if units[unit].replicated and (unit, fingerprint) not in self._replica.rows:
                self._filing.remove(unit, fingerprint, op_id=entry.op_id)
        for key in added:
            row = self._replica.rows.get(key)
            if row is None or not row.held_by(me.name):
                continue
            if units[row.unit].replicated and me.role in units[row.unit].roles:
                self._filing.write(row)

    def _compare_unit(self, unit: str, *, listed: bool) -> None:
        files, rows, me = self._filing.fingerprints(unit), self._replica.of_unit(unit), self._context.config.name
        if listed and files.keys() != rows.keys():
            for lost in [row for fingerprint, row in rows.items() if fingerprint not in files]:
                self._filing.write(lost)
                # Only before 11.0 can a listed row be without this node: it was deleted here, and comes back.
                if not lost.held_by(me):
                    self._propose_mapping(lost.key)
        # A file that waits for nothing is as it should be, unless it is to follow a row and there is none.
        for fingerprint in [each for each, file in files.items() if file.op_id or (listed and each not in rows)]:
            row = self._replica.of_unit(unit).get(fingerprint)
            if row is not None and (listed or row.held_by(me)):
                self._filing.settle(unit, fingerprint)
            else:
                self._file_without_row(unit, fingerprint)

    def _file_without_row(self, unit: str, fingerprint: str) -> None:
        deleted = (unit, fingerprint) in self._replica.tombstones
        if deleted and self._context.config.replication == "modern":
            self._context.record("zombie_refused", unit=unit, fingerprint=fingerprint)
            self._filing.remove(unit, fingerprint)
        else:
            self._propose_file(unit, fingerprint)
