"""Trust files that are not Change Notification's to move, and copies of this node's own identities.

They follow the operation itself: when its entry comes into the replica, at once and however late (X-04, B.6.4). Files
of listed units are left alone here, but for those copies; they are `change_notification`'s.
"""

from collections.abc import Callable

from ucmlab.broker.messages import LogEntry, RowKey
from ucmlab.node.context import Context
from ucmlab.node.filing import Filing
from ucmlab.node.identity_rows import IDENTITY_KINDS
from ucmlab.node.planting import KIND as PLANTED
from ucmlab.node.replica import Replica


class UnlistedFiles:
    """What this node's own operations, installations and other nodes' deletes do to its files."""

    def __init__(
        self,
        context: Context,
        filing: Filing,
        replica: Replica,
        *,
        occupied: Callable[[str], bool],
        up_to_date: Callable[[], bool],
    ) -> None:
        """Nothing is touched yet.

        Args:
            context: whose node it is.
            filing: its files, changed here.
            replica: its rows.
            occupied: whether an operation is changing the unit.
            up_to_date: whether the replica has all that answers have told this node of.
        """
        self._context = context
        self._filing = filing
        self._replica = replica
        self._occupied = occupied
        self._up_to_date = up_to_date
        units = context.rulebook.units_of(context.config.role)
        self._unlisted = tuple(unit.name for unit in units if unit.kind == "trust" and not unit.replicated)

    def applied(self, entry: LogEntry, new: tuple[RowKey, ...]) -> None:
        """An entry came into the replica; `new` are the keys that it added and that were not there."""
        # What is planted in the database alone stays there, until a comparison finds a row without its file.
        for key in (*entry.removes, *(row.key for row in entry.adds)) if entry.kind != PLANTED else ():
            if not self._context.rulebook.units[key[0]].replicated:
                self._follow(entry, key)
        if entry.kind in ("install", "upgrade"):
            self.installed(new)
        elif entry.kind in IDENTITY_KINDS and entry.origin == self._context.config.name:
            self._follow_own_identity(entry)

    def _follow(self, entry: LogEntry, key: RowKey) -> None:
        """A delete of a unit that is not listed is carried to the nodes as the operation itself (X-04: CAPF-trust).

        However late the entry arrives. A file that waits for this node's own proposal is left to its answer; of what
        this node did, the log has the last word: somebody else's delete may have come between file and entry.
        """
        config = self._context.config
        unit, row, file = self._context.rulebook.units[key[0]], self._replica.rows.get(key), self._filing.get(*key)
        own = entry.origin == config.name and entry.kind != "install"
        everywhere = row is None and unit.delete_reach(config.replication) == "cluster"
        if own and unit.kind == "trust" and row is not None and row.held_by(config.name):
            self._filing.write(row)
            self._filing.settle(*key)
        elif file is not None and not file.op_id and (own or everywhere):
            self._filing.remove(*key, op_id=entry.op_id)

    def _follow_own_identity(self, entry: LogEntry) -> None:
        """Copies of this node's own identity: certificate management changes them itself, after the rows (B.6.4)."""
        config = self._context.config
        for key in entry.removes:
            if key not in self._replica.rows:
                self._filing.remove(*key, op_id=entry.op_id)
        for row in entry.adds:
            unit = self._context.rulebook.units[row.unit]
            held = unit.kind == "trust" and config.role in unit.roles and row.held_by(config.name)
            if held and row.key in self._replica.rows:
                self._filing.write(row, op_id="")

    def installed(self, new: tuple[RowKey, ...]) -> None:
        """Trust that an installation sets up outside Change Notification's list (B.18: the publisher's ipsec)."""
        config = self._context.config
        for key in new:
            row = self._replica.rows[key]
            unit = self._context.rulebook.units[row.unit]
            outside = unit.kind == "trust" and not unit.replicated and config.role in unit.roles
            if outside and row.held_by(config.name):
                self._filing.write(row)

    def mend(self) -> None:
        """Finish or undo changes: not Change Notification's files, but its comparison is the time to look at them.

        A kill may have come between an entry and its files, or a delete may have ended `indefinite` and never reached
        the log (design 3). Rows of a change that was answered and is still under way say nothing about its files.
        """
        if not self._up_to_date():
            return
        me = self._context.config.name
        for unit in self._unlisted:
            if self._occupied(unit):
                continue
            rows, files = self._replica.of_unit(unit), self._filing.fingerprints(unit)
            tombstones = self._replica.tombstones
            for fingerprint in [each for each, file in files.items() if not file.op_id]:
                row = rows.get(fingerprint)
                deleted = (unit, fingerprint) in tombstones
                if deleted or (row is not None and not row.held_by(me)):
                    self._filing.remove(unit, fingerprint)
            for row in [row for fingerprint, row in rows.items() if fingerprint not in files]:
                if row.held_by(me):
                    self._filing.write(row)
