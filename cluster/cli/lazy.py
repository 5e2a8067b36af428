"""A click group that knows its commands by name, and imports one only when it is called.

`ucmlab version` must not pay for cryptography, aiohttp or a library of stories. The one line of help stands in the
table as well, else `ucmlab --help` would import everything.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import NamedTuple

import click


class Entry(NamedTuple):
    """Where a command is (`package.module:attribute`), and what it is for."""

    where: str
    help: str


class LazyGroup(click.Group):
    """Commands from a table, in the order of the table."""

    def __init__(self, *, name: str, entries: Mapping[str, Entry], help: str) -> None:  # noqa: A002  click's own word
        """Import nothing."""
        super().__init__(name, help=help, context_settings={"help_option_names": ["-h", "--help"]})
        self._entries = dict(entries)

    def add_entries(self, entries: Mapping[str, Entry]) -> None:
        """Append to the table."""
        self._entries.update(entries)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """See click."""
        return [*self._entries, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """See click; this is where a command is imported."""
        entry = self._entries.get(cmd_name)
        if entry is None:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = entry.where.partition(":")
        command = getattr(import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.where} is no command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See click; from the table."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self._entries.items()])
