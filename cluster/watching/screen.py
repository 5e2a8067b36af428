"""The picture of a board on a terminal: as many lines and columns as there are, and a word on what is left out.

Pure: a scene and a size go in, lines of text come out; never more lines than the terminal has, none wider than it.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
from rich.cells import cell_len
from rich.text import Text

from ucmlab.cluster.watching.board import NOTHING, Board, Cell, Key, differs

GAP = "  "
SHORT = {"-": "·", "due": ">", "row": "R", "file": "F", "both": "B"}
"""A cell's word where one column is all there is; `both` that services have loaded is their number."""
WORD_STYLES = {"due": "cyan", "row": "yellow", "file": "yellow", "both": "green", "-": "dim"}
STATE_STYLES = {"up": "bold", "starting": "yellow", "paused": "yellow", "isolated": "yellow", "down": "red"}
FRESH = "black on bright_yellow"
CURSOR = "reverse"
UNIT_WIDTH, NAME_WIDTH = 20, 30
"""Wider columns than these are cut."""
LEAST_NAME = 14
NARROW_HEAD = 6
"""Lines of a heading that stands upright, one letter below the other: longer names of nodes are cut."""
EVENT_LINES = 3
MANY_LINES = 40
"""From this height on, twice as many events are shown."""
WIDE, MEDIUM = 7, 4
"""Columns of `both +3`, and of `both` or `+3`."""
LEGEND = "due: on its way  row, file: in one copy only  +n: loaded by n services"
SHORT_LEGEND = ">due Row File Both 1-9:loaded by n"
KEYS = "q end  ↑↓ PgUp PgDn move  d only what is open"


class Size(msgspec.Struct, frozen=True):
    """A terminal."""

    width: int
    height: int


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be shown."""

    lab: str
    lives: Mapping[str, str]
    """Node to how it is, in the order of the columns."""
    board: Board
    names: Mapping[Key, str]
    """What certificates are called."""
    order: Sequence[Key]
    """The certificates to show, from the top."""
    fresh: frozenset[tuple[Key, str]] = frozenset()
    """Cells that changed in the last seconds."""
    cursor: int = 0
    events: Sequence[str] = ()
    """The last ones last."""
    broker_down: bool = False
    open_only: bool = False


class _Columns(msgspec.Struct, frozen=True):
    """How the width is shared out."""

    unit: int
    name: int
    nodes: Sequence[str]
    cell: int
    """Width of a node's column; 1 is the short form."""
    gap: str
    left_out: int


def frame(scene: Scene, size: Size) -> list[Text]:
    """The whole picture, at most `size` large."""
    columns = _share(scene, size.width)
    top = [_title(scene), *_trouble(scene), *_heading(scene, columns)]
    bottom = [*_detail(scene), *_events(scene, size), _help(columns)]
    room = max(1, size.height - len(top) - len(bottom) - 1)
    first = min(max(0, scene.cursor - room // 2), max(0, len(scene.order) - room))
    shown = scene.order[first : first + room]
    rows = [_row(scene, key, columns, chosen=first + at == scene.cursor) for at, key in enumerate(shown)]
    rows += [Text()] * (room - len(rows))
    lines = [*top, *rows, _counted(scene, columns, first, len(shown)), *bottom][: size.height]
    for line in lines:
        line.truncate(size.width, overflow="ellipsis")
    return lines


def ordered(
    board: Board, names: Mapping[Key, str], changed: Mapping[Key, float], *, nodes: Sequence[str], open_only: bool
) -> list[Key]:
    """The certificates from the top: what changed last comes first, so that it is seen; then by unit and name."""
    keys = [key for key, cells in board.items() if not open_only or differs(cells, nodes)]
    return sorted(keys, key=lambda key: (-changed.get(key, 0.0), key[0], names.get(key, ""), key[1]))


def _share(scene: Scene, width: int) -> _Columns:
    unit = min(UNIT_WIDTH, max((len(unit) for unit, _ in scene.order), default=4))
    longest = max((cell_len(scene.names.get(key, "")) for key in scene.order), default=4)
    nodes = list(scene.lives)
    heads = max(map(len, nodes), default=1)
    for cell, gap in ((max(WIDE, heads), GAP), (max(MEDIUM, heads), " "), (1, " ")):
        left = width - unit - 2 * len(GAP) - len(nodes) * (cell + len(gap))
        if left >= LEAST_NAME:
            return _Columns(unit, min(NAME_WIDTH, max(longest, LEAST_NAME), left), nodes, cell, gap, 0)
    # Even one letter a node does not do: some nodes are left out, which the line below the table says.
    unit, name = min(unit, 12), LEAST_NAME
    fitting = max(1, (width - unit - name - 2 * len(GAP)) // 2)
    return _Columns(unit, name, nodes[:fitting], 1, " ", max(0, len(nodes) - fitting))


def _title(scene: Scene) -> Text:
    return Text.assemble((scene.lab, "bold"), f"  {len(scene.lives)} nodes, {len(scene.board)} certificates")


def _trouble(scene: Scene) -> Iterator[Text]:
    said = [("the broker is down", "red")] if scene.broker_down else []
    said += [(f"{node} {life}", STATE_STYLES[life]) for node, life in scene.lives.items() if life != "up"]
    if said:
        yield Text(", ").join(Text(words, style) for words, style in said)


def _heading(scene: Scene, columns: _Columns) -> Iterator[Text]:
    left = f"{'UNIT':<{columns.unit}}{GAP}{'CERTIFICATE':<{columns.name}}{GAP}"
    if columns.cell > 1:
        line = Text(left, style="bold")
        for node in columns.nodes:
            line.append(f"{node:<{columns.cell}}{columns.gap}", STATE_STYLES[scene.lives[node]])
        yield line
        return
    tall = min(NARROW_HEAD, max(map(len, columns.nodes), default=1))
    for at in range(tall):
        line = Text(left if at == tall - 1 else " " * len(left), style="bold")
        for node in columns.nodes:
            line.append(f"{node[at : at + 1] or ' '} ", STATE_STYLES[scene.lives[node]])
        yield line


def _row(scene: Scene, key: Key, columns: _Columns, *, chosen: bool) -> Text:
    name = _cut(scene.names.get(key, ""), columns.name)
    line = Text(f"{_cut(key[0], columns.unit):<{columns.unit}}{GAP}{name}", CURSOR if chosen else "")
    line.append(" " * (columns.name - cell_len(name)) + GAP)
    for node in columns.nodes:
        cell = scene.board.get(key, {}).get(node, NOTHING)
        text, style = _short(cell) if columns.cell == 1 else _long(cell, columns.cell)
        line.append(text, FRESH if (key, node) in scene.fresh else style)
        line.append(" " * (columns.cell - len(text)) + columns.gap)
    return line


def _long(cell: Cell, width: int) -> tuple[str, str]:
    loaded = f"+{len(cell.loaded)}" if cell.loaded else ""
    whole = f"{cell.word} {loaded}".rstrip()
    if len(whole) > width and cell.word == "both":
        whole = loaded  # what services have loaded is in both copies, unless a word says otherwise
    return whole[:width], WORD_STYLES[cell.word]


def _short(cell: Cell) -> tuple[str, str]:
    if cell.loaded and cell.word == "both":
        return str(min(9, len(cell.loaded))), "bold green"
    return SHORT[cell.word], WORD_STYLES[cell.word]


def _counted(scene: Scene, columns: _Columns, first: int, shown: int) -> Text:
    which = " with something open" if scene.open_only else ""
    total = len(scene.order)
    said = f"{first + 1}-{first + shown} of {total}{which}" if total else f"no certificate{which}"
    out = f"; {columns.left_out} nodes left out, name some with --node" if columns.left_out else ""
    return Text(f"{said}{out}", style="dim")


def _detail(scene: Scene) -> Iterator[Text]:
    """The certificate under the cursor, in full: what the table had no room for."""
    if not scene.order:
        return
    key = scene.order[min(scene.cursor, len(scene.order) - 1)]
    cells = scene.board.get(key, {})
    yield Text.assemble((f"{key[0]}  {scene.names.get(key, '')}  ", "bold"), key[1])
    loaded = "; ".join(f"{node}: {', '.join(cell.loaded)}" for node, cell in cells.items() if cell.loaded)
    yield Text(f"loaded by {loaded}" if loaded else "loaded by no service", style="" if loaded else "dim")


def _events(scene: Scene, size: Size) -> Iterator[Text]:
    number = EVENT_LINES * (2 if size.height >= MANY_LINES else 1)
    told = list(scene.events)[-number:]
    yield from (Text(line, style="dim") for line in [*told, *[""] * (number - len(told))])


def _help(columns: _Columns) -> Text:
    return Text(f"{KEYS}   {LEGEND if columns.cell > 1 else SHORT_LEGEND}", style="dim")


def _cut(text: str, width: int) -> str:
    shown = Text(text)
    shown.truncate(width, overflow="ellipsis")
    return shown.plain
