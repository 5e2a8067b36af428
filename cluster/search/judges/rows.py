"""What is in the log: S3 no zombie, S5 no invention, S15 membership; and what operators hear of it: S6, one reply."""

from ucmlab.broker.messages import LogEntry, Row, RowKey
from ucmlab.cluster.search.judges.facts import Facts
from ucmlab.cluster.sim.world import SimNode
from ucmlab.node.commands import Reply
from ucmlab.node.events import DiskImage
from ucmlab.node.identity_rows import FOUND


class RowsJudge:
    """Judges every entry at the moment when it becomes durable."""

    def __init__(self, facts: Facts, images: dict[str, DiskImage]) -> None:
        """Begin with the rows and the log on the disks."""
        self._facts = facts
        self._members = frozenset(facts.world.nodes)
        self._logged = {known.entry.op_id for known in facts.entries.values()}
        self._lost: set[str] = set()
        """Operations whose entries a backup of the publisher lacks: the next answer may be another one."""
        self._given_up: set[tuple[RowKey, str]] = set()
        """Rows that live on and a holder that deleted them for itself, before 11.0."""
        self._holders: dict[RowKey, tuple[str, ...] | None] = {
            row.key: row.holders for image in images.values() for row in image.replica.rows
        }

    def appended(self, node: SimNode, entry: LogEntry) -> None:
        """An entry is in the log from now on."""
        facts = self._facts
        if entry.op_id in self._logged and not facts.lost:
            facts.violate("replies", node.name, f"{entry.op_id} took effect twice")
        self._logged.add(entry.op_id)
        self._lost.discard(entry.op_id)
        if entry.origin not in self._members or not self._is_a_members(entry.op_id):
            facts.violate("S15", node.name, f"{entry.op_id}, from {entry.origin}, was asked for by no member")
        for key in entry.removes:
            facts.rows.discard(key)
            facts.deletions[key] = (entry.epoch, entry.seq)
        for row in entry.adds:
            if row.fingerprint not in facts.brought:
                facts.violate("S5", node.name, f"{row.unit} {row.fingerprint[:12]} was brought by nobody")
            self._added(node, entry, row)

    def _is_a_members(self, op_id: str) -> bool:
        """Whether an operator asked for it, or a member by itself: `resync-sub1-3-1`."""
        return op_id in self._facts.asked or not self._members.isdisjoint(op_id.split("-")[1:2])

    def _added(self, node: SimNode, entry: LogEntry, row: Row) -> None:
        key, facts = row.key, self._facts
        if key in facts.rows:
            self._mapped(node, entry, row)
        elif key in facts.deletions:
            self._check_zombie(node, entry, key, "came back")
        facts.rows.add(key)
        facts.deletions.pop(key, None)
        self._holders[key] = row.holders

    def _mapped(self, node: SimNode, entry: LogEntry, row: Row) -> None:
        """The row is there already: what changes is who holds it."""
        key, me = row.key, (row.key, entry.origin)
        if entry.kind == "delete":
            self._given_up.add(me)
        elif me in self._given_up:
            self._given_up.discard(me)
            self._check_zombie(node, entry, key, f"came back on {entry.origin}")

    def _check_zombie(self, node: SimNode, entry: LogEntry, key: RowKey, what: str) -> None:
        if entry.kind == FOUND:
            return  # an identity on disk is right, and its copies go with it; it was no operator who took it away
        # A backup from before a change of epoch cannot tell what was deleted since from what the publisher lost.
        excused = self._facts.lost and entry.origin in self._facts.from_backup
        if entry.op_id not in self._facts.asked and not excused:
            text = f"{key[0]} {key[1][:12]} was deleted and {what} by {entry.op_id} of {entry.origin}"
            self._facts.violate("S3", node.name, text)

    def lost(self, entries: list[LogEntry]) -> None:
        """The log came back from a backup: deletes that it does not hold were never made, and a new epoch says so."""
        for entry in entries:
            self._lost.add(entry.op_id)
            for key in entry.removes:
                self._facts.deletions.pop(key, None)

    def replied(self, node: SimNode, reply: Reply) -> None:
        """One reply; and S6: `done` means that the log has it."""
        facts = self._facts
        if reply.op_id in facts.replies:
            facts.violate("replies", node.name, f"{reply.op_id} was answered twice")
        facts.replies[reply.op_id] = reply
        asked = facts.asked.get(reply.op_id)
        acknowledged = reply.outcome == "done" and reply.reason != "already_present"
        changes = asked is not None and asked.kind in ("upload", "delete", "regenerate", "parameter")
        if changes and acknowledged and reply.op_id not in self._logged:
            facts.violate("S6", node.name, f"{reply.op_id} was answered done and is not in the log")
        elif changes and reply.outcome == "refused" and reply.op_id in self._logged and reply.op_id not in self._lost:
            facts.violate("S6", node.name, f"{reply.op_id} was answered refused and is in the log")
