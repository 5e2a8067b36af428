"""What a node of a real lab asks of others: one task an exchange, under machine time (`ucmlab.node.commands.Exchange`).

Nothing here ever holds up the node: it goes on while its tasks wait for sockets. A performer catches what its peer may
do to it (refuse, reset, speak nonsense, say nothing) and makes it the event that answers; an exception that it lets
through is a bug of ours, and ends the process like any other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ucmlab.node.commands import Exchange
from ucmlab.node.events import AnyEvent

Performer = Callable[[Any], Awaitable[AnyEvent]]
"""Carries out an exchange of one kind; its argument is of that kind."""


class TaskExchanges:
    """The exchanges of one node."""

    def __init__(self, performers: Mapping[type[Exchange], Performer]) -> None:
        """`run` must be running before anything can be begun."""
        self._performers = performers
        self._open: dict[str, asyncio.Task[None]] = {}
        self._closed = asyncio.Event()
        self._tasks: asyncio.TaskGroup

    @property
    def open(self) -> int:
        """See `ucmlab.node.shell.Exchanges`."""
        return len(self._open)

    async def run(self) -> None:
        """See `ucmlab.node.shell.Exchanges`."""
        async with asyncio.TaskGroup() as self._tasks:
            await self._closed.wait()

    def begin(self, command: Exchange, answer: Callable[[AnyEvent], None]) -> None:
        """See `ucmlab.node.shell.Exchanges`."""
        self.give_up(command.token)
        name = f"node.exchange.{type(command).__name__.lower()}"
        self._open[command.token] = self._tasks.create_task(self._carry_out(command, answer), name=name)

    def give_up(self, token: str) -> None:
        """See `ucmlab.node.shell.Exchanges`."""
        task = self._open.pop(token, None)
        if task is not None:
            task.cancel()

    def close(self) -> None:
        """See `ucmlab.node.shell.Exchanges`."""
        for token in list(self._open):
            self.give_up(token)
        self._closed.set()

    async def _carry_out(self, command: Exchange, answer: Callable[[AnyEvent], None]) -> None:
        event = await self._performers[type(command)](command)
        # Given up at the very moment of its answer: somebody else may have its token by now.
        if self._open.get(command.token) is asyncio.current_task():
            del self._open[command.token]
            answer(event)
