"""All rows at one position of the log, as a value that never changes, so that whoever holds the same rows can share it.

A table leads to the next one by what an entry removes and adds, and remembers that step. In a simulation all nodes of a
cluster thus walk along one chain of tables, and what a table is asked for (above all its digest) is found once for all
of them; nodes whose rows differ, for whatever reason, stand on different tables. A real node, alone in its process,
forgets each table as soon as it has left it.
"""

import hashlib
from bisect import bisect_left, insort
from collections.abc import Sequence
from weakref import WeakValueDictionary

from ucmlab.broker.messages import Row, RowKey

Units = dict[str, dict[str, Row]]
NO_ROWS: dict[str, Row] = {}


class RowTable:
    """Rows by key and by unit, both in the order in which they came; not to be changed."""

    __slots__ = ("__weakref__", "_digest", "_in_order", "_lines", "_step", "rows", "units")

    def __init__(self, rows: dict[RowKey, Row], units: Units, lines: list[bytes]) -> None:
        """Hold these, which are nobody else's from now on; see `table_of`."""
        self.rows = rows
        self.units = units
        self._lines = lines
        self._digest = ""
        self._in_order: tuple[Row, ...] | None = None
        self._step: tuple[Sequence[RowKey], Sequence[Row], RowTable] | None = None

    def after(self, removes: tuple[RowKey, ...], adds: tuple[Row, ...]) -> "RowTable":
        """The rows when these have been removed and those put in, or put in the place of rows with their keys."""
        step = self._step
        if step is not None and step[0] is removes and step[1] is adds:
            return step[2]
        rows, units, lines = self.rows.copy(), self.units.copy(), self._lines.copy()
        # Units that change are copied; the others are shared with the table before.
        for unit in dict.fromkeys([unit for unit, _ in removes] + [row.unit for row in adds]):
            units[unit] = units.get(unit, NO_ROWS).copy()
        for key in removes:
            row = rows.pop(key, None)
            if row is not None:
                del units[row.unit][row.fingerprint]
                del lines[bisect_left(lines, digest_line(row))]
        for row in adds:
            if row.key not in rows:
                insort(lines, digest_line(row))
            rows[row.key] = row
            units[row.unit][row.fingerprint] = row
        table = RowTable(rows, units, lines)
        self._step = (removes, adds, table)
        return table

    def digest(self) -> str:
        """SHA-256 over the sorted lines `unit TAB fingerprint LF` of rows with holders (design 7.2)."""
        if not self._digest:
            self._digest = hashlib.sha256(b"".join(self._lines)).hexdigest()
        return self._digest

    def in_order(self) -> tuple[Row, ...]:
        """All rows, in the order in which they came; `table_of` knows this tuple again."""
        if self._in_order is None:
            self._in_order = tuple(self.rows.values())
            _known[id(self._in_order)] = self
        return self._in_order


# Tables by the address of the tuple that they gave away and still hold, so that no other tuple can be at that address.
_known: WeakValueDictionary[int, RowTable] = WeakValueDictionary()


def table_of(rows: tuple[Row, ...]) -> RowTable:
    """The table of these rows; the one that gave the tuple away, if that is where it comes from."""
    known = _known.get(id(rows))
    if known is not None:
        return known
    by_key = {row.key: row for row in rows}
    units: Units = {}
    for row in by_key.values():
        units.setdefault(row.unit, {})[row.fingerprint] = row
    return RowTable(by_key, units, sorted(digest_line(row) for row in by_key.values()))


def digest_line(row: Row) -> bytes:
    """A row's line of the digest."""
    return f"{row.unit}\t{row.fingerprint}\n".encode()
