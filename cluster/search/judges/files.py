"""Files on disks: S8, what concerns one unit changes no file of another."""

from ucmlab.broker.messages import LogEntry, RowKey
from ucmlab.cluster.search.judges.facts import Facts
from ucmlab.cluster.sim.world import SimNode
from ucmlab.node.commands import Record


class FilesJudge:
    """Judges each change of a file by what it was done for: an operation, or a row."""

    def __init__(self, facts: Facts) -> None:
        """No operation yet."""
        self._facts = facts
        self._units: dict[str, frozenset[str]] = {}
        """By operation id: the units that its entry names."""

    def appended(self, entry: LogEntry) -> None:
        """An entry names units."""
        named = [unit for unit, _ in entry.removes] + [row.unit for row in entry.adds]
        self._units[entry.op_id] = self._units.get(entry.op_id, frozenset()).union(named)

    def written(self, node: SimNode, record: Record) -> None:
        """A file was put in place: for its operation, or because there is a row (or was, up to this very moment)."""
        if self._is_of(record) or node.core is None:
            return
        key, replica = _key(record), node.core.replica
        if node.core.filing.get(*key) is None:
            return  # an entry of the same batch took it away again
        row, listed = replica.rows.get(key), self._facts.world.rulebook.units[key[0]].replicated
        if row is None and key not in replica.tombstones:
            self._violate(node, record, "written, and there is no such row")
        elif row is not None and not listed and not row.held_by(node.name):
            self._violate(node, record, "written, and others hold it")

    def removed(self, node: SimNode, record: Record) -> None:
        """A file was taken away: for its operation, or because no row says that this node holds it."""
        if self._is_of(record) or node.core is None:
            return
        row = node.core.replica.rows.get(_key(record))
        if row is not None and row.held_by(node.name):
            self._violate(node, record, "removed, and there is a row")

    def _is_of(self, record: Record) -> bool:
        """Whether the file's unit is one that the operation, or its entry in the log, is about."""
        unit, op_id = str(record.fields["unit"]), record.op_id
        if not op_id:
            return False
        if unit in self._units.get(op_id, ()):
            return True
        asked = self._facts.asked.get(op_id)
        if asked is None or asked.kind == "service":
            return False
        known = self._facts.world.rulebook.units.get(asked.unit)
        return known is not None and (unit == asked.unit or unit in known.copied_to)

    def _violate(self, node: SimNode, record: Record, what: str) -> None:
        unit, fingerprint = _key(record)
        by = record.op_id or "a comparison"
        self._facts.violate("S8", node.name, f"{unit} {fingerprint[:12]} was {what}, by {by}, which is not about it")


def _key(record: Record) -> RowKey:
    return (str(record.fields["unit"]), str(record.fields["fingerprint"]))
