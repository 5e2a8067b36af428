"""A story told to a class (`run --step`): before each step it waits for a key, after it it shows what changed where.

While the class discusses, lab time stands still: in `sim` nothing runs but the story, in `local` time is stepped and
the story waits for nothing that is the lab's. A story that acts in several tasks at once is stopped only in the one
that begins the step.
"""

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from ucmlab.cluster.cli.keys import END_OF_INPUT, Keys
from ucmlab.cluster.port import LabPort, NodeView
from ucmlab.cluster.watching.board import NOTHING, Board, Holding, Key, make_board
from ucmlab.scenarios.budget import people_think
from ucmlab.scenarios.names import Names, fingerprint
from ucmlab.scenarios.report import MARGIN, WIDTH, Line, Printer
from ucmlab.scenarios.telling import Ended

PROMPT = f"{MARGIN}any key: go on   q: end"
ERASED = "\r\x1b[2K"
ENDING = frozenset({"q", "Q", "escape", END_OF_INPUT})
GAP = "  "
ARROW = "→"
MOST_ROWS = 20
"""A step that changes more certificates is told by these and the number of the others."""


class Seen(msgspec.Struct, frozen=True):
    """The stores at one moment."""

    board: Board
    states: Mapping[str, str]


class Classroom:
    """Whoever tells the story at a terminal, and the class behind."""

    def __init__(self, keys: Keys, show: Printer, *, prompt: Callable[[str], object] | None = None) -> None:
        """Nothing was told yet. `prompt` writes without ending the line."""
        self._keys = keys
        self._show = show
        self._prompt = prompt or _to_terminal
        self._before = Seen({}, {})

    def begin(self, port: LabPort) -> None:
        """The story begins now."""
        self._before = look(port)

    async def before_step(self, port: LabPort, title: str) -> None:
        """Let the class predict; go on at a key.

        Raises:
            Ended: it is to end here.
        """
        self._keys.forget()  # before anything is asked: a key at the sight of the prompt counts
        self._prompt(PROMPT)
        with people_think():
            pressed = await self._pressed(port)
        self._prompt(ERASED)
        if ENDING & set(pressed):
            raise Ended(title)

    def after_step(self, port: LabPort, names: Names) -> None:
        """Show what is another way than after the step before."""
        now = look(port)
        for line in difference(self._before, now, names.of, port.names):
            self._show(line)
        self._before = now

    async def _pressed(self, port: LabPort) -> list[str]:
        if port.mode == "sim":
            return self._keys.wait(None)  # the loop of virtual time waits for no files; to stand still is right
        loop = asyncio.get_running_loop()
        there = asyncio.Event()
        loop.add_reader(self._keys.descriptor, there.set)
        try:
            await there.wait()
        finally:
            loop.remove_reader(self._keys.descriptor)
        return self._keys.wait(0)


def look(port: LabPort) -> Seen:
    """The stores now."""
    views = {name: port.view(name) for name in port.names}
    holdings = {name: _holding(view) for name, view in views.items()}
    return Seen(make_board(holdings, port.names[0]), {name: view.state for name, view in views.items()})


def difference(before: Seen, after: Seen, name: Callable[[str], str], nodes: Sequence[str]) -> Iterator[Line]:
    """What changed, as a table of certificates and nodes; as a list of nodes where the table would be too wide."""
    keys = [key for key in {**before.board, **after.board} if before.board.get(key, {}) != after.board.get(key, {})]
    keys.sort(key=lambda key: (key[0], name(key[1])))
    moved = [key for key in keys if any(_cell(before, key, node) != _cell(after, key, node) for node in nodes)]
    rows = [[key[0], name(key[1]), *(_change(before, after, key, node) for node in nodes)] for key in moved[:MOST_ROWS]]
    yield from ((f"{MARGIN}{line}", "dim") for line in _drawn(rows, nodes))
    if len(moved) > MOST_ROWS:
        yield f"{MARGIN}and {len(moved) - MOST_ROWS} certificates more", "dim"
    others = [*_states(before, after, nodes), *_loads(before, after, keys, name, nodes)]
    yield from ((f"{MARGIN}{line}", "dim") for line in others)
    if not moved and not others:
        yield f"{MARGIN}nothing changed in the stores", "dim"


def _drawn(rows: Sequence[Sequence[str]], nodes: Sequence[str]) -> Iterator[str]:
    if not rows:
        return
    table = [["unit", "certificate", *nodes], *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    if sum(widths) + len(GAP) * len(widths) + len(MARGIN) <= WIDTH:
        yield from (
            GAP.join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in table
        )
        return
    for unit, certificate, *cells in rows:
        yield f"{unit}{GAP}{certificate}"
        for cell in dict.fromkeys(each for each in cells if ARROW in each):
            there = [node for node, each in zip(nodes, cells, strict=True) if each == cell]
            yield f"{GAP}{cell} on {', '.join(there)}"


def _change(before: Seen, after: Seen, key: Key, node: str) -> str:
    old, new = _cell(before, key, node), _cell(after, key, node)
    return new if old == new else f"{old}{ARROW}{new}"


def _cell(seen: Seen, key: Key, node: str) -> str:
    word = seen.board.get(key, {}).get(node, NOTHING).word
    return "-" if word == "due" else word


def _states(before: Seen, after: Seen, nodes: Sequence[str]) -> Iterator[str]:
    for node in nodes:
        if before.states[node] != after.states[node]:
            yield f"{node}: {before.states[node]} {ARROW} {after.states[node]}"


def _loads(
    before: Seen, after: Seen, keys: Sequence[Key], name: Callable[[str], str], nodes: Sequence[str]
) -> Iterator[str]:
    for key in keys:
        for node in nodes:
            old = set(before.board.get(key, {}).get(node, NOTHING).loaded)
            new = set(after.board.get(key, {}).get(node, NOTHING).loaded)
            if new - old:
                yield f"{node}: {', '.join(sorted(new - old))} loaded {name(key[1])}"
            if old - new and after.states[node] == before.states[node]:
                yield f"{node}: {', '.join(sorted(old - new))} no longer loaded {name(key[1])}"


def _holding(view: NodeView) -> Holding:
    files = {(file.unit, fingerprint(file.der)) for file in view.files}
    files |= {(unit, fingerprint(der)) for unit, der in view.identities.items()}
    rows = {row.key: None if row.holders is None else frozenset(row.holders) for row in view.rows}
    loaded = {name: service.loaded for name, service in view.services.items()}
    return Holding(view.state, frozenset(files), rows, loaded)


def _to_terminal(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
