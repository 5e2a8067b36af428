"""A node's command line without a terminal: what of it is shown, and what it is told when it waits for something.

Nothing is echoed there, and of banner and prompts nothing is shown. One command is given first; standard input is read
when that asks for something, and no further than to the end of the answer: what follows is somebody else's, such as
the list of a loop that the command stands in. Without a command standard input is the commands.
"""

import asyncio
import codecs
import os
import re
import sys
from typing import Literal, Protocol

from ucmlab.cluster.cli.ending import noticing_the_reader

PROMPT = "admin:"
CLEAR = "\x15"
"""Ctrl-U: the line that `?` explained is not to be carried out."""
Waits = Literal["", "command", "yes or no", "name", "text"]
_READ = 4096
_PROMPTS = re.compile(rf"^(?:{PROMPT})+")
_QUESTION = re.compile(r"(?:(\?) ?| : )\Z")
"""How the line of a question ends (W3.2): one that is answered by yes or no, or by a name."""
_PASTE = "Hit Enter"
"""How the line ends after which a text is pasted (W3.2)."""


class Unanswered(Exception):
    """It asked, and standard input had ended; `waits` says for what."""

    def __init__(self, waits: Waits) -> None:
        """With what it asked for."""
        super().__init__(waits)
        self.waits = waits


class Input(Protocol):
    """Where a session is told something."""

    def write(self, data: str) -> None:
        """Tell it."""
        ...

    async def drain(self) -> None:
        """Wait until it can be told more."""
        ...

    def write_eof(self) -> None:
        """Tell it that there is nothing more."""
        ...


class Output(Protocol):
    """What a session says."""

    async def read(self, n: int = -1) -> str:
        """Some of it; empty at the end."""
        ...


class Heard:
    """What a session says, in pieces of any size. No I/O."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._line = ""
        self._last = ""
        """The line before."""
        self._shown = 0
        """Characters of the line."""
        self._greeted = False
        self.unanswered: Waits = ""
        """What it asked for without an answer, if it has said nothing since."""

    @property
    def waits(self) -> Waits:
        """For what it waits, as far as one can see."""
        if not self._greeted:
            return ""
        if self._line:
            return "command" if not _PROMPTS.sub("", self._line) else _asked(self._line)
        return "text" if self._last.endswith(_PASTE) else ""

    def take(self, text: str) -> str:
        """What of it is to be shown."""
        *whole, last = (self._line + text.replace("\r", "")).split("\n")
        shown = "".join(map(self._end_line, whole))
        self._line = last
        visible = _PROMPTS.sub("", last)
        self._greeted = self._greeted or visible != last
        if self._greeted and not PROMPT.startswith(visible):  # else it may become a prompt
            shown += visible[self._shown :]
            self._shown = len(visible)
        return shown

    def answered(self) -> None:
        """What follows stands on a line of its own: somebody has typed the answer to a question."""
        self._line, self._last, self._shown = "", "", 0

    def _end_line(self, line: str) -> str:
        visible = _PROMPTS.sub("", line)
        self._greeted = self._greeted or visible != line
        # Without an echo nothing but the end of the input ends the line of a question.
        pasting = not visible and self._last.endswith(_PASTE)
        self.unanswered = "text" if pasting else _asked(visible)
        at, self._shown, self._last = self._shown, 0, line
        # A prompt alone on its line: help follows.
        return f"{visible[at:]}\n" if self._greeted and (visible or not line) else ""


def _asked(line: str) -> Waits:
    question = _QUESTION.search(line)
    return "" if question is None else "yes or no" if question[1] else "name"


class Typed:
    """Standard input, read no further than it is asked for."""

    def __init__(self, file: int | None) -> None:
        """None: there is none."""
        self._file = file
        self._begun = b""
        """Of a line for which nobody has waited to its end."""

    async def line(self) -> str:
        """A line with its end; empty: there is nothing more."""
        while not self._begun.endswith(b"\n") and (read := await self._read(1)):
            self._begun += read
        line, self._begun = self._begun.decode(errors="replace"), b""
        return f"{line}\n" if line and not line.endswith("\n") else line

    async def some(self) -> bytes:
        """What there is; empty: nothing more."""
        return await self._read(_READ)

    async def _read(self, size: int) -> bytes:
        if self._file is None:
            return b""
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        try:
            loop.add_reader(self._file, ready.set)
        except PermissionError:
            return os.read(self._file, size)  # a file on a disk is always ready
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._file)
        return os.read(self._file, size)


def standard_input() -> Typed:
    """That of this process; nobody answers at a terminal what he cannot see asked."""
    if sys.stdin is None or (sys.stdin.isatty() and not sys.stdout.isatty()):
        return Typed(None)
    return Typed(sys.stdin.fileno())


class Dialogue:
    """One session from its greeting to its end."""

    def __init__(self, said: Output, tell: Input, typed: Typed, command: str) -> None:
        """`run` must follow; `command` may be empty."""
        self._said = said
        self._tell = tell
        self._typed = typed
        self._command = command
        self._given = False
        self._has_text = self._in_block = False
        self._heard = Heard()
        self._telling: asyncio.Task[None] | None = None

    async def run(self) -> Waits:
        """Show what is said until the session ends; what it asked for last without an answer."""
        try:
            while piece := await self._said.read(_READ):
                shown = self._heard.take(piece)
                with noticing_the_reader():
                    sys.stdout.write(shown)
                    sys.stdout.flush()
                await self._go_on()
        finally:
            await self._hush()
        return self._heard.unanswered

    async def _go_on(self) -> None:
        """Tell the session what it waits for; whoever goes on saying something does not wait."""
        if self._given and not self._command:
            return  # it is told everything as it comes
        await self._hush()
        if self._heard.waits:
            self._telling = asyncio.get_running_loop().create_task(self._go(self._heard.waits), name="cli.answers")

    async def _hush(self) -> None:
        telling, self._telling = self._telling, None
        if telling is None:
            return
        telling.cancel()
        await asyncio.wait([telling])
        if not telling.cancelled() and (error := telling.exception()) is not None:
            raise error

    async def _go(self, waits: Waits) -> None:
        try:
            if waits == "command":
                await self._go_command()
            elif waits == "text":
                await self._go_text()
            else:
                await self._go_answer()
        except OSError:
            self._end()  # the session has ended, or standard input cannot be read: there is no more

    async def _go_command(self) -> None:
        given, self._given = self._given, True
        if given:
            self._tell.write_eof()
        elif self._command:
            self._tell.write(self._command + (CLEAR if self._command.endswith("?") else "\n"))
        else:
            decoder = codecs.getincrementaldecoder("utf-8")("replace")
            while some := await self._typed.some():
                self._tell.write(decoder.decode(some))
                await self._tell.drain()
            self._tell.write_eof()

    async def _go_answer(self) -> None:
        line = await self._typed.line()
        if not line:
            self._tell.write_eof()
            return
        self._heard.answered()
        self._tell.write(line)

    async def _go_text(self) -> None:
        """A blank line ends a text, if none of its blocks is unfinished; so does the end of standard input."""
        while line := await self._typed.line():
            self._tell.write(line)
            if not line.strip() and self._has_text and not self._in_block:
                return
            self._has_text = self._has_text or bool(line.strip())
            if line.startswith("-----"):
                self._in_block = line.startswith("-----BEGIN")
        if self._has_text:
            self._tell.write("\n")
        self._tell.write_eof()

    def _end(self) -> None:
        try:
            self._tell.write_eof()
        except OSError:
            return
