"""`ucmlab watch`: a live table, or a line for each change."""

import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from ucmlab.cluster.cli import attaching
from ucmlab.cluster.cli.ending import SCHEMA
from ucmlab.cluster.cli.listing import check_unit
from ucmlab.cluster.cli.options import directory_option, json_option
from ucmlab.cluster.cli.printing import print_line
from ucmlab.cluster.cli.watching import event_line
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.provision import LabHome, open_lab
from ucmlab.cluster.watching.board import Board, Change, Key, change_text
from ucmlab.cluster.watching.looking import Looker, News
from ucmlab.cluster.watching.screen import Scene, Size, frame, ordered

if TYPE_CHECKING:
    from rich.live import Live

LOOK_EVERY_S = 0.25
"""Machine time between looks at whether a journal has grown."""
FRESH_S = 4.0
"""Machine time for which a cell that changed is shown as such."""
EVENTS_KEPT = 12
PAGE = 10


class Choice(msgspec.Struct, frozen=True):
    """What the command line asks for."""

    unit: str | None
    nodes: tuple[str, ...]

    def board(self, whole: Board) -> Board:
        """The part of the board that is asked for."""
        chosen: Board = {}
        for key, cells in whole.items():
            if self.unit in (None, key[0]):
                kept = {node: cell for node, cell in cells.items() if node in self.nodes}
                if kept:
                    chosen[key] = kept
        return chosen

    def has(self, change: Change) -> bool:
        """Whether a change is in it."""
        return self.unit in (None, change.unit) and change.node in self.nodes


@click.command()
@click.argument("unit", required=False)
@click.option("--node", "nodes", metavar="N", multiple=True, help="Only this node; may be said more than once.")
@directory_option
@json_option
def watch(unit: str | None, *, nodes: tuple[str, ...], directory: Path, as_json: bool) -> None:
    """Watch how far each certificate is on each node: on its way, in the database, in the files, loaded by services.

    `q` or Ctrl-C ends it. Without a terminal, or with --json, it prints a first line when it has looked at everything,
    and then a line for each change.
    """
    home = open_lab(directory)
    check_unit(home.topology.rulebook, unit)
    for node in nodes:
        home.node_home(node)
    choice = Choice(unit, tuple(name for name in home.topology.names if not nodes or name in nodes))
    with attaching.attach(home) as lab:
        looker = Looker(home, lab)
        if as_json or not _at_a_terminal():
            for line in changes_told(home, looker, choice, as_json=as_json):
                print_line(line) if as_json else click.echo(line)
                sys.stdout.flush()
        else:
            _draw(home, looker, choice)


def changes_told(home: LabHome, looker: Looker, choice: Choice, *, as_json: bool) -> Iterator[object]:
    """What is printed where there is no terminal: first what is watched, then each change, for ever."""
    certificates = len(choice.board(looker.board))
    if as_json:
        yield {"schema": SCHEMA, "lab": home.lab.name, "nodes": choice.nodes, "certificates": certificates}
    else:
        yield f"watching {certificates} certificates on {len(choice.nodes)} nodes of {home.lab.name}"
    lives = looker.lives
    while True:
        news = looker.look()
        for node, life in looker.lives.items():
            if lives[node] != life and node in choice.nodes:
                yield {"node": node, "state": life} if as_json else f"{node:<6} is {life}"
        lives = looker.lives
        for change in filter(choice.has, news.changes):
            name = looker.name(change.fingerprint)
            yield _object(change, name) if as_json else change_text(change, name)
        time.sleep(LOOK_EVERY_S)


def _object(change: Change, name: str) -> dict[str, object]:
    return {
        "unit": change.unit,
        "fingerprint": change.fingerprint,
        "name": name,
        "node": change.node,
        "due": change.after.due,
        "database": change.after.database,
        "file": change.after.file,
        "loaded": change.after.loaded,
        "before": change.before,
    }


class Picture:
    """What the live table shows, and where its reader is in it."""

    def __init__(self, home: LabHome, looker: Looker, choice: Choice) -> None:
        """The cursor is on the first certificate."""
        self._lab = home.lab.name
        self._looker = looker
        self._choice = choice
        self._changed: dict[Key, float] = {}
        self._fresh: dict[tuple[Key, str], float] = {}
        self._events: deque[str] = deque(maxlen=EVENTS_KEPT)
        self._open_only = False
        self._cursor = 0
        self._arrange()

    def hear(self, news: News, now: float) -> bool:
        """Take in what a look brought; whether the picture is another now."""
        for change in filter(self._choice.has, news.changes):
            key = change.unit, change.fingerprint
            self._changed[key] = now
            self._fresh[key, change.node] = now + FRESH_S
        self._events.extend(event_line(event)[11:] for event in news.events)
        faded = [cell for cell, end in self._fresh.items() if end <= now]
        for cell in faded:
            del self._fresh[cell]
        if news.changes:
            self._arrange()
        return news.any or bool(faded)

    def press(self, key: str) -> None:
        """Move about."""
        steps = {"up": -1, "k": -1, "down": 1, "j": 1, "page up": -PAGE, "page down": PAGE, "space": PAGE}
        if key == "d":
            self._open_only = not self._open_only
            self._cursor = 0
            self._arrange()
        elif key in {"home", "end"}:
            self._cursor = 0 if key == "home" else len(self._order) - 1
        else:
            self._cursor += steps.get(key, 0)
        self._cursor = min(max(0, self._cursor), max(0, len(self._order) - 1))

    def scene(self) -> Scene:
        """The picture now."""
        return Scene(
            lab=self._lab,
            lives={node: life for node, life in self._looker.lives.items() if node in self._choice.nodes},
            board=self._board,
            names=self._names,
            order=self._order,
            fresh=frozenset(self._fresh),
            cursor=self._cursor,
            events=tuple(self._events),
            broker_down=self._looker.broker_down,
            open_only=self._open_only,
        )

    def _arrange(self) -> None:
        self._board = self._choice.board(self._looker.board)
        self._names = {key: self._looker.name(key[1]) for key in self._board}
        nodes = self._choice.nodes
        self._order = ordered(self._board, self._names, self._changed, nodes=nodes, open_only=self._open_only)
        self._cursor = min(self._cursor, max(0, len(self._order) - 1))


def _draw(home: LabHome, looker: Looker, choice: Choice) -> None:
    from ucmlab.cluster.cli.keys import pressed_keys  # noqa: PLC0415  no terminal, no need of it

    picture = Picture(home, looker, choice)
    with pressed_keys() as keys, _live() as live:
        shown: Size | None = None
        while True:
            size = Size(*live.console.size)
            if size != shown:
                _show(live, picture, size)
                shown = size
            pressed = keys.wait(LOOK_EVERY_S)
            if {"q", "Q", "closed"} & set(pressed):
                return
            for key in pressed:
                picture.press(key)
            if picture.hear(looker.look(), time.monotonic()) or pressed:
                _show(live, picture, size)


@contextmanager
def _live() -> Iterator["Live"]:
    from rich.console import Console  # noqa: PLC0415  drawing only
    from rich.live import Live  # noqa: PLC0415

    console = Console(highlight=False)
    if console.is_dumb_terminal:
        raise Unusable("this terminal cannot draw a table in place (TERM=dumb); `ucmlab watch | cat` tells each change")
    with Live(console=console, screen=True, auto_refresh=False) as live:
        yield live


def _show(live: "Live", picture: Picture, size: Size) -> None:
    from rich.text import Text  # noqa: PLC0415

    lines: Sequence[Text] = frame(picture.scene(), size)
    live.update(Text("\n", no_wrap=True).join(lines), refresh=True)


def _at_a_terminal() -> bool:
    return sys.stdout.isatty() and attaching.at_a_terminal()
