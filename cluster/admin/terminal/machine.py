"""A session of the command line as a state machine: what is typed goes in, what is shown comes out (W3.1). No I/O.

What must live here: the prompt, line ends, type-ahead, questions, pasted text, pages, and which keys mean something
when; the line that is typed and its echo are in `editing`. What this file must not know: which commands there are, and
what carries the characters. However the input is cut into pieces, the same comes
out; what depends on when a command ends is told by `done`.

Lines that are typed while a command runs wait for it, blank ones are dropped then: scripts send line ends to be on the
safe side, and one prompt more for each would have them read an empty answer (W3.1, seen with a real client).
"""

from collections import deque
from collections.abc import Callable
from itertools import groupby
from typing import Literal

import msgspec

from ucmlab.cluster.admin.terminal.editing import CONTROL, EDITED_LIMIT, ESCAPED, History, Key, Line

PROMPT = "admin:"
"""At column 0, without a blank after it, and nothing ends its line (W3.1)."""
MORE = "--More--"
"""One of the marks that clients look for (W3.1); the product's own is not public."""
DEFAULT_ROWS = 24
WAITING_LIMIT = 1024
"""Lines that may wait for a command that runs."""
_MARK = "-----"
PASTE_LIMIT = 1 << 18
"""Characters of what is pasted; what follows is dropped."""
ESCAPE_LIMIT = 16
"""Characters of a key's sequence; what is longer is none."""
_NEWLINE = "\r\n"
_INTERRUPT, _END, _TAB, _ESCAPE = "\x03", "\x04", "\t", "\x1b"
_RUB_OUT: tuple[Key, ...] = ("rub out", "rub out word", "clear")
"""Keys that work at the end of a line, wherever it stands: while a command runs nobody knows where that is."""
_State = Literal["prompt", "busy", "asking", "pasting", "ended"]


class Write(msgspec.Struct, frozen=True):
    """Characters for the terminal."""

    text: str


class Entered(msgspec.Struct, frozen=True):
    """A command line, to be carried out; `done` must follow."""

    line: str


class Answered(msgspec.Struct, frozen=True):
    """What was asked for by `ask` or `paste`."""

    text: str


class Interrupted(msgspec.Struct, frozen=True):
    """The command is not to go on (Ctrl-C, or nobody is there any more to answer it); `done` must follow."""


class Ended(msgspec.Struct, frozen=True):
    """Nothing comes after the last command."""


Effect = Write | Entered | Answered | Interrupted | Ended


class Advice(msgspec.Struct, frozen=True):
    """What Tab or `?` tell about the beginning of a line."""

    completion: str = ""
    """What goes on from there, if it can be one thing only."""
    lines: tuple[str, ...] = ()


class Shell:
    """One session."""

    def __init__(
        self,
        *,
        complete: Callable[[str], Advice],
        explain: Callable[[str], Advice],
        rows: int | None = DEFAULT_ROWS,
        columns: int | None = None,
        echo: bool = True,
    ) -> None:
        """`open` must follow.

        Args:
            complete: what Tab does after the beginning of a line.
            explain: what `?` does there.
            rows: of the terminal; None: it has none, so nothing is shown by the page.
            columns: likewise; None: nobody knows, and no line is taken to go beyond its right edge.
            echo: whether what is typed is to be seen.
        """
        self._complete = complete
        self._explain = explain
        self.rows = rows
        self.paged = True
        """Whether long output waits for a key: `set cli pagination`."""
        self._echo = echo
        self._state: _State = "busy"
        self._line = Line()
        self.columns = columns
        self._history = History()
        self._waiting: deque[str] = deque()
        self._pasted: list[str] = []
        self._pasted_size = 0
        self._in_block = False
        """Whether the last line that begins or ends a block of what is pasted begins one."""
        self._held: deque[str] = deque()
        self._shown = 0
        """Lines since the reader last had a say."""
        self._paging = False
        self._skipping = False
        """Whether the rest of what a command says is not wanted."""
        self._question = ""
        self._no_more = False
        """Nothing more will be typed."""
        self._after_return = False
        self._escape = ""
        self._effects: list[Effect] = []

    @property
    def columns(self) -> int | None:
        """Of the terminal."""
        return self._line.columns

    @columns.setter
    def columns(self, columns: int | None) -> None:
        self._line.columns = columns if columns is not None and columns > 1 else None

    # -- what is typed

    def feed(self, text: str) -> list[Effect]:
        """Take what was typed, in pieces of any size."""
        for char in text:
            self._key(char)
        return self._taken()

    def end_of_input(self) -> list[Effect]:
        """Nothing more will be typed; what was, is still carried out."""
        self._no_more = True
        if self._line.text and not self._paging:
            self._enter()
        if self._paging:
            self._paging = False
            self._show_held(limit=False)
        self._if_nobody_answers()
        return self._taken()

    # -- what the commands do

    def open(self, banner: tuple[str, ...]) -> list[Effect]:
        """Greet, and be ready."""
        self._out("".join(line + _NEWLINE for line in banner))
        self._ready()
        return self._taken()

    def say(self, *lines: str) -> list[Effect]:
        """Show lines, a page at a time if that is wished."""
        if not self._skipping:
            self._held.extend(each for line in lines for each in line.split("\n"))
        if not self._paging:
            self._show_held()
        return self._taken()

    def ask(self, question: str) -> list[Effect]:
        """Ask for a line, on the line of the question; `Answered` follows."""
        self._state, self._question, self._skipping = "asking", question, False
        if not self._paging:
            self._put_question()
        return self._taken()

    def paste(self) -> list[Effect]:
        """Ask for several lines, which a blank one ends; `Answered` follows."""
        self._state, self._pasted = "pasting", []
        self._pasted_size, self._in_block = 0, False
        if not self._paging:
            self._use_waiting()
            self._if_nobody_answers()
        return self._taken()

    def done(self) -> list[Effect]:
        """The command has ended."""
        self._state, self._skipping = "prompt", False
        if not self._paging:
            self._ready()
        return self._taken()

    def close(self) -> list[Effect]:
        """No prompt follows: the session is over."""
        self._state = "ended"
        return self._taken()

    # -- keys

    def _key(self, char: str) -> None:
        if char == "\n" and self._after_return:
            self._after_return = False
            return
        self._after_return = char == "\r"
        if self._escape or char == _ESCAPE:
            self._escaped(char)
        elif char == _INTERRUPT:
            self._interrupt()
        elif self._paging:
            self._page_key(char)
        elif self._state != "ended":
            self._line_key(char)

    def _escaped(self, char: str) -> None:
        # Arrows and function keys: ESC, [ or O, parameters, and a letter or ~ that ends them. Most mean nothing here.
        self._escape += char
        body = self._escape[1:]
        if body and (body[0] not in "[O" or (len(body) > 1 and "@" <= body[-1] <= "~") or len(body) > ESCAPE_LIMIT):
            self._escape = ""
            if body[0] in "[O" and body[1:] in ESCAPED and not self._paging:
                self._edit(ESCAPED[body[1:]])

    def _line_key(self, char: str) -> None:
        at_prompt = self._state == "prompt"
        if char in "\r\n":
            self._enter()
        elif char in CONTROL:
            self._edit(CONTROL[char])
        elif char == _END and (self._line.text or not at_prompt):
            self._edit("delete")
        elif char == _END:
            self._end()
        elif char == _TAB and at_prompt:
            self._tab()
        elif char == "?" and at_prompt:
            self._help()
        elif char.isprintable():
            self._typed(self._line.insert(char))

    def _edit(self, key: Key) -> None:
        if key == "up" or key == "down":  # noqa: PLR1714  of which the type checkers make sense
            line = self._history.step(-1 if key == "up" else 1, self._line.text) if self._state == "prompt" else None
            if line is not None:
                self._typed(self._line.replace(line))
        elif self._state in ("prompt", "asking") or key in _RUB_OUT:
            self._typed(self._line.press(key))

    def _enter(self) -> None:
        line = self._line.text
        self._typed(self._line.to_end() + _NEWLINE)
        self._begin_line(0)
        self._shown = 0
        match self._state:
            case "prompt":
                self._run(line)
            case "asking":
                self._state = "busy"
                self._effects.append(Answered(line))
            case "pasting":
                self._paste_line(line)
            case "busy" | "ended":
                if len(self._waiting) < WAITING_LIMIT:
                    self._waiting.append(line)

    def _begin_line(self, column: int) -> None:
        """Nothing is typed yet, and what is will be seen from a column on."""
        self._line.take("")
        self._line.begins = column

    def _run(self, line: str) -> None:
        self._history.add(line)
        if not line.strip():
            self._prompt()
            return
        self._state = "busy"
        self._effects.append(Entered(line))

    def _paste_line(self, line: str) -> None:
        if not line.strip():
            # Before the text: somebody's spare line end. Inside an unfinished block: the text cannot end there.
            if self._pasted and not self._in_block:
                self._state = "busy"
                self._effects.append(Answered("\n".join((*self._pasted, ""))))
            return
        if line.startswith(_MARK):
            self._in_block = line.startswith(f"{_MARK}BEGIN")
        self._pasted_size += len(line)
        if self._pasted_size <= PASTE_LIMIT:
            self._pasted.append(line)

    def _interrupt(self) -> None:
        self._typed(self._line.to_end() + "^C" + _NEWLINE)
        self._begin_line(0)
        self._history.add("")
        self._shown, self._paging = 0, False
        self._held.clear()
        self._waiting.clear()
        if self._state == "prompt":
            self._ready()
        elif self._state != "ended":
            self._state = "busy"
            self._effects.append(Interrupted())

    def _tab(self) -> None:
        advice = self._complete(self._line.before)
        if advice.completion:
            self._typed(self._line.insert(advice.completion))
        elif advice.lines:
            self._advise("", advice)

    def _help(self) -> None:
        self._advise("?", self._explain(self._line.before))

    def _advise(self, typed: str, advice: Advice) -> None:
        line, cursor = self._line, self._line.cursor
        if len(line.text) > EDITED_LIMIT:
            return  # no command is so long, and each key would show it again
        self._typed(line.to_end() + typed)
        self._out(_NEWLINE + "".join(each + _NEWLINE for each in advice.lines) + PROMPT)
        line.cursor = cursor
        self._typed(line.shown())

    # -- pages

    def _page_key(self, char: str) -> None:
        page = (self.rows or DEFAULT_ROWS) - 1
        if char in "\r\n":
            self._turn(page - 1)
        elif char == " ":
            self._turn(0)
        elif char in "qQ":
            self._held.clear()
            self._skipping = self._state == "busy"
            self._turn(0)

    def _turn(self, shown: int) -> None:
        """Go on, as if so many lines of the page were shown already."""
        self._paging, self._shown = False, shown
        self._out("\r" + " " * len(MORE) + "\r")
        self._show_held()

    def _show_held(self, *, limit: bool = True) -> None:
        page = self.rows - 1 if limit and self.paged and self.rows is not None and not self._no_more else 0
        while self._held:
            if 0 < page <= self._shown:
                self._paging = True
                self._out(MORE)
                return
            self._out(self._held.popleft() + _NEWLINE)
            self._shown += 1
        if self._question and self._state == "asking":
            self._put_question()
        elif self._state == "pasting":
            self._use_waiting()
        elif self._state == "prompt":
            self._ready()

    # -- what follows

    def _put_question(self) -> None:
        self._out(self._question)
        self._line.begins = len(self._question.rpartition("\n")[2])
        self._question = ""
        self._use_waiting()
        self._if_nobody_answers()

    def _ready(self) -> None:
        """Show the prompt, and go on with what was typed meanwhile."""
        self._state, self._shown = "prompt", 0
        self._prompt()
        self._use_waiting()
        if self._no_more and self._state == "prompt":
            self._end()

    def _prompt(self) -> None:
        self._out(PROMPT)
        self._line.begins = len(PROMPT)

    def _use_waiting(self) -> None:
        """Give the lines that wait to who asks for some now; they are seen again where they are used, as on a tty."""
        while self._waiting and self._state in ("prompt", "asking", "pasting"):
            line = self._waiting.popleft()
            if not line.strip() and self._state != "pasting":
                continue
            begun = self._line.text
            self._line.take(line)
            self._typed(self._line.shown())
            self._enter()
            self._line.take(begun)
        if self._state in ("prompt", "asking", "pasting"):
            self._typed(self._line.shown())

    def _if_nobody_answers(self) -> None:
        if self._no_more and self._state in ("asking", "pasting") and not self._paging:
            self._state = "busy"
            self._out(_NEWLINE)
            self._effects.append(Interrupted())
        elif self._no_more and self._state == "prompt" and not self._paging:
            self._end()

    def _end(self) -> None:
        self._state = "ended"
        self._effects.append(Ended())

    def _typed(self, text: str) -> None:
        if self._echo:
            self._out(text)

    def _out(self, text: str) -> None:
        if text:
            self._effects.append(Write(text))

    def _taken(self) -> list[Effect]:
        """What has come of it, with neighbouring output in one piece."""
        taken: list[Effect] = []
        for is_output, effects in groupby(self._effects, key=lambda each: isinstance(each, Write)):
            if is_output:
                taken.append(Write("".join(each.text for each in effects if isinstance(each, Write))))
            else:
                taken += effects
        self._effects = []
        return taken
