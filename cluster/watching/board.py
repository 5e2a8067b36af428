"""Which certificate is how far on which node: the table that `ucmlab watch` shows, and what changes in it.

Pure: made of what somebody else has looked at. A certificate goes through a node in this order: the publisher's log
holds its row (`due` here), the row arrives (`row`), the file is written (`both`), services load it at their start.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

Key = tuple[str, str]
"""(unit, fingerprint)"""


class Cell(msgspec.Struct, frozen=True):
    """One certificate on one node."""

    due: bool = False
    """The publisher's database has the row for this node, and it has not arrived."""
    database: bool = False
    """The row has arrived."""
    file: bool = False
    loaded: tuple[str, ...] = ()
    """Services that loaded it at their last start."""

    @property
    def word(self) -> str:
        """`-`, `due`, `row`, `file` or `both`."""
        if self.database:
            return "both" if self.file else "row"
        return "file" if self.file else "due" if self.due else "-"


NOTHING = Cell()


class Holding(msgspec.Struct, frozen=True):
    """What was seen of one node."""

    state: str
    files: frozenset[Key] = frozenset()
    rows: Mapping[Key, frozenset[str] | None] = {}
    """The rows of its replica, to their holders; None: all nodes."""
    loaded: Mapping[str, Mapping[str, str]] = {}
    """Service to identity unit to fingerprint."""


class Change(msgspec.Struct, frozen=True):
    """One certificate is now further, or less far, on one node."""

    unit: str
    fingerprint: str
    node: str
    before: Cell
    after: Cell


Board = dict[Key, dict[str, Cell]]
"""Certificate to node to cell; only cells that hold something, so a certificate that is nowhere is not in it."""


def make_board(holdings: Mapping[str, Holding], publisher: str) -> Board:
    """Put what was seen of the nodes together."""
    made: Board = {}
    logged = holdings[publisher].rows
    for node, holding in holdings.items():
        services = _services(holding)
        rows = {key for key, holders in holding.rows.items() if _held(holders, node)}
        due = {key for key, holders in logged.items() if key not in rows and _held(holders, node)}
        for key in rows | due | holding.files | services.keys():
            cell = Cell(key in due, key in rows, key in holding.files, services.get(key, ()))
            made.setdefault(key, {})[node] = cell
    return made


def changes(before: Board, after: Board) -> Iterator[Change]:
    """Every cell that differs."""
    for key in before.keys() | after.keys():
        old, new = before.get(key, {}), after.get(key, {})
        if old != new:
            for node in old.keys() | new.keys():
                was, now = old.get(node, NOTHING), new.get(node, NOTHING)
                if was != now:
                    yield Change(*key, node, was, now)


def change_text(change: Change, name: str) -> str:
    """A change as a line for people; `name` is what the certificate is called."""
    gone = set(change.before.loaded) - set(change.after.loaded)
    new = set(change.after.loaded) - set(change.before.loaded)
    words = [f"{change.before.word} -> {change.after.word}"] if change.before.word != change.after.word else []
    words += [f"loaded by {service}" for service in sorted(new)]
    words += [f"no longer loaded by {service}" for service in sorted(gone)]
    return f"{change.node:<6} {change.unit} {name} {change.fingerprint[:16]}: {', '.join(words)}"


def differs(cells: Mapping[str, Cell], nodes: Sequence[str]) -> bool:
    """Whether something is under way: due, or in only one of the two copies, or not on all nodes that could have it.

    An identity certificate is on its own node alone, which is no difference.
    """
    if any(cell.word in {"due", "row", "file"} for cell in cells.values()):
        return True
    return 1 < len(cells) < len(nodes)


def _held(holders: frozenset[str] | None, node: str) -> bool:
    return holders is None or node in holders


def _services(holding: Holding) -> dict[Key, tuple[str, ...]]:
    found: dict[Key, tuple[str, ...]] = {}
    for service, loaded in sorted(holding.loaded.items()):
        for key in loaded.items():
            found[key] = (*found.get(key, ()), service)
    return found
