"""One session of the command line: carries out what is entered, whatever carries the characters.

A command runs beside the loop's other tasks, so that keys are heard meanwhile; it is the session's own task and ends
with it. An operation that was asked for is not taken back by that (`Desk`).
"""

import asyncio
from collections.abc import Callable, Mapping

from ucmlab.cluster.admin.desk import Caller, Desk, tell_of_a_bug
from ucmlab.cluster.admin.terminal.console import FAILED, Failed, Perform, refused
from ucmlab.cluster.admin.terminal.grammar import Command, Grammar, rows
from ucmlab.cluster.admin.terminal.idling import idle_minutes
from ucmlab.cluster.admin.terminal.machine import (
    Answered,
    Effect,
    Ended,
    Entered,
    Interrupted,
    Shell,
    Write,
)

INVALID = "No valid command entered"
"""W3.1 [inferred]."""
MINUTE_S = 60.0
"""Machine time: an idle session is a matter of people and sockets, not of the lab."""
SETTLE_S = 0.1
"""Machine time that a command takes at least. The product's take longer, and clients send spare line ends meanwhile."""


class Session:
    """One session; also its commands' `Console`."""

    def __init__(
        self,
        desk: Desk,
        caller: Caller,
        commands: Mapping[str, Perform],
        *,
        write: Callable[[str], None],
        rows_shown: int | None,
        columns: int | None = None,
    ) -> None:
        """`run` must follow.

        Args:
            desk: does the work.
            caller: who is logged in.
            commands: what each command does, by `CommandRow.does`.
            write: takes characters for the terminal.
            rows_shown: of the terminal; None: there is none.
            columns: likewise; None: nobody knows.
        """
        self.desk = desk
        self.caller = caller
        self._idle_minutes = idle_minutes(desk.layout.home)
        self.failed = False
        """Whether the last command did."""
        self._commands = commands
        self._write = write
        self._grammar = Grammar(rows(), caller.account.privilege)
        self._shell = Shell(
            complete=self._grammar.complete,
            explain=self._grammar.explain,
            rows=rows_shown,
            columns=columns,
            echo=rows_shown is not None,
        )
        self._entered: asyncio.Queue[str | None] = asyncio.Queue()
        self._read = asyncio.Event()
        self._read.set()
        self._answer: asyncio.Future[str] | None = None
        self._task: asyncio.Task[None] | None = None
        self._heard = 0.0
        self._leaving = False

    async def run(self, banner: tuple[str, ...]) -> int:
        """Serve until the client leaves, or says nothing for too long; the exit status of the last command."""
        self._heard = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as tasks:
            idle = tasks.create_task(self._end_when_idle(), name="cli.idle")
            self._obey(self._shell.open(banner))
            while (line := await self._entered.get()) is not None:
                self._task = tasks.create_task(self._carry_out(line), name="cli.command")
                await asyncio.wait([self._task])
                self._task = self._answer = None
                await self._read.wait()  # or what the next line says would pile up, as what this one said has
                if self._leaving:
                    self._obey(self._shell.close())
                    break
                self._obey(self._shell.done())
            idle.cancel()
        return int(self.failed)

    @property
    def command(self) -> asyncio.Task[None] | None:
        """The command that runs."""
        return self._task

    # -- from the client

    def typed(self, text: str) -> None:
        """Take what was typed."""
        self._heard = asyncio.get_running_loop().time()
        self._obey(self._shell.feed(text))

    def unread(self) -> None:
        """The client leaves what it was sent: no command begins until it does not."""
        self._read.clear()

    def read(self) -> None:
        """It reads again."""
        self._read.set()

    def end_of_input(self) -> None:
        """Nothing more will be typed."""
        self._obey(self._shell.end_of_input())

    def resized(self, rows_shown: int, columns: int) -> None:
        """The terminal has another size."""
        self._shell.rows, self._shell.columns = rows_shown, columns

    # -- as a console

    @property
    def paged(self) -> bool:
        """Whether long output waits for a key."""
        return self._shell.paged

    @paged.setter
    def paged(self, paged: bool) -> None:
        self._shell.paged = paged

    def say(self, *lines: str) -> None:
        """Show lines."""
        self._obey(self._shell.say(*map(_shown, lines)))

    async def ask(self, question: str) -> str:
        """Ask for a line."""
        return await self._answered(lambda: self._shell.ask(question))

    async def paste(self) -> str:
        """Ask for several."""
        return await self._answered(self._shell.paste)

    def leave(self) -> None:
        """End the session after this command."""
        self._leaving = True

    async def _answered(self, asking: Callable[[], list[Effect]]) -> str:
        self._answer = asyncio.get_running_loop().create_future()
        self._obey(asking())
        return await self._answer

    # -- inside

    def _obey(self, effects: list[Effect]) -> None:
        # What is shown meanwhile is written at once: a packet for each key that was pasted is too many.
        if shown := "".join(effect.text for effect in effects if isinstance(effect, Write)):
            self._write(shown)
        for effect in effects:
            match effect:
                case Write():
                    pass
                case Entered(line):
                    self._entered.put_nowait(line)
                case Answered(text):
                    if self._answer is not None and not self._answer.done():
                        self._answer.set_result(text)
                case Interrupted():
                    if self._task is not None:
                        self._task.cancel()
                case Ended():
                    self._entered.put_nowait(None)

    async def _carry_out(self, line: str) -> None:
        command = self._grammar.read(line)
        try:
            await self._perform(command)
            if not self._leaving:  # the end of the session has the status of what came before it
                self.failed = False
                await asyncio.sleep(SETTLE_S)
        except Failed as error:
            self.failed = True
            self.say(FAILED, *error.lines)
            await asyncio.sleep(SETTLE_S)
        except asyncio.CancelledError:
            # Ctrl-C, or the client is gone: then the session's own task ends as well.
            self.failed = True
            raise
        except Exception:  # noqa: BLE001  the one boundary: a bug of ours is told in the log, and never to a client
            self.failed = True
            tell_of_a_bug()
            self.say(FAILED)

    async def _perform(self, command: Command | None) -> None:
        if command is None:
            raise Failed(INVALID)
        if not self._grammar.permits(command):
            raise Failed(self.desk.rulebook.refusal_text("permission"))
        if command.row.of_publisher and not self.desk.config.is_publisher:
            raise refused(self, "publisher_only", command.row.of_publisher)
        await self._commands[command.row.does](self, command.given)

    async def _end_when_idle(self) -> None:
        loop = asyncio.get_running_loop()
        # Looked at once a minute: what is typed puts the end off.
        while (left := self._heard + self._idle_minutes * MINUTE_S - loop.time()) > 0:  # noqa: ASYNC110  of time only
            await asyncio.sleep(min(left, MINUTE_S))
        if self._task is not None:
            self._task.cancel()
        self._leaving = True
        self._entered.put_nowait(None)


def _shown(line: str) -> str:
    """Without control characters: subjects and descriptions are anybody's, and this is somebody's terminal."""
    return "".join(char if char.isprintable() or char == "\n" else "?" for char in line)
