"""What people and programs read: tables, and JSON.

Rich draws only on a terminal, and is imported only then: it costs more than most commands do.
"""

import sys
from collections.abc import Callable, Iterable, Sequence

import click
import msgspec

from ucmlab.cluster.cli.ending import SCHEMA

GAP = "  "
STYLES = {
    "up": "green",
    "started": "green",
    "done": "green",
    "both": "green",
    "starting": "yellow",
    "pending": "yellow",
    "paused": "yellow",
    "isolated": "yellow",
    "file only": "yellow",
    "row only": "yellow",
    "unreachable": "red",
    "refused": "red",
    "down": "red",
    "stopped": "red",
}
"""Words of a table that a terminal shows in a colour."""


def print_json(value: object) -> None:
    """Print one JSON document, indented."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_result(value: dict[str, object]) -> None:
    """Print one JSON document that carries its schema."""
    print_json({"schema": SCHEMA, **value})


def print_line(value: object) -> None:
    """Print one JSON document in one line, and let a reader at the other end of a pipe have it now."""
    click.echo(msgspec.json.encode(value))
    sys.stdout.flush()


def printable(text: str) -> str:
    """The text without what steers a terminal: names come from certificates that anybody may have made."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """Print a table, or the line `empty` when it has no rows."""
    whole = [tuple(map(printable, row)) for row in rows]
    if not whole:
        click.echo(empty)
        return
    draw: Callable[[Sequence[str], Sequence[Sequence[str]]], None] = _rich if sys.stdout.isatty() else _plain
    draw(columns, whole)


def _plain(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(cell) for cell in column) for column in zip(columns, *rows, strict=True)]
    for row in (columns, *rows):
        click.echo(GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _rich(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console  # noqa: PLC0415  see above
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    Console(highlight=False).print(table)
