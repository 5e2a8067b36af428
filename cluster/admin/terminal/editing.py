"""The line that is being typed: its text, the cursor's place in it, and what shows each change on a terminal. No I/O.

A line that is typed at its end and rubbed out there is shown by the characters alone, as a tty does it. What goes on
inside of it, or beyond the right edge of the terminal, takes cursor moves. After a character in the last column some
terminals have the cursor still there and others on the next line: a blank and a carriage return bring both to the next
line, before anything else is done. [ASSUMED] that each character is one column wide, as all are of which commands are
made.
"""

from collections.abc import Mapping
from typing import Literal

LINE_LIMIT = 4096
"""Characters of a line; what is typed beyond it is dropped."""
EDITED_LIMIT = 512
"""Characters of a line inside of which something is changed: each key has the rest of it shown again. A longer line is
changed at its end alone, and not remembered."""
HISTORY_LIMIT = 100
"""Lines that are remembered. [ASSUMED]: the product's limit is not public."""
EditingKey = Literal["left", "right", "home", "end", "delete", "kill", "rub out", "rub out word", "clear"]
Key = EditingKey | Literal["up", "down"]
CONTROL: Mapping[str, EditingKey] = {
    "\x01": "home",  # Ctrl-A
    "\x05": "end",  # Ctrl-E
    "\x08": "rub out",
    "\x0b": "kill",  # Ctrl-K
    "\x15": "clear",  # Ctrl-U
    "\x17": "rub out word",  # Ctrl-W
    "\x7f": "rub out",
}
"""Keys that are one character."""
ESCAPED: Mapping[str, Key] = {
    "A": "up",
    "B": "down",
    "C": "right",
    "D": "left",
    "F": "end",
    "H": "home",
    "1~": "home",
    "3~": "delete",
    "4~": "end",
    "7~": "home",
    "8~": "end",
}
"""Keys that are a sequence, by what follows ESC and `[` or `O`."""


class Line:
    """A line, and where it stands on the screen."""

    def __init__(self) -> None:
        """Empty, at the left edge, on a terminal without a right one."""
        self.text = ""
        self.cursor = 0
        self.begins = 0
        """The column of its first character."""
        self.columns: int | None = None
        """Of the terminal; None: nobody knows."""
        self._on_edge = False
        """Whether the last character that was shown stands in the last column, and nothing came after it."""

    @property
    def before(self) -> str:
        """What stands before the cursor."""
        return self.text[: self.cursor]

    # -- the line

    def take(self, text: str) -> None:
        """Be another line, which has not been shown; the cursor is at its end."""
        self.text, self.cursor, self._on_edge = text, len(text), False

    def insert(self, text: str) -> str:
        """Put characters in where the cursor is; what shows it."""
        rest = self.text[self.cursor :]
        text = text[: max((EDITED_LIMIT if rest else LINE_LIMIT) - len(self.text), 0)]
        if not text:
            return ""
        self.text = self.text[: self.cursor] + text + rest
        self.cursor += len(text)
        return self._written(text + rest, end=len(self.text)) + self._moved(len(self.text), self.cursor)

    def press(self, key: EditingKey) -> str:
        """Do what a key does inside of the line; what shows it."""
        at, length = self.cursor, len(self.text)
        match key:
            case "left" | "right" | "home" | "end":
                if length > EDITED_LIMIT:
                    return ""
                place = {"left": at - 1, "right": at + 1, "home": 0, "end": length}[key]
                return self._go(min(max(place, 0), length))
            case "delete" | "kill":
                return self._cut(at, length if key == "kill" else at + 1)
            case "rub out" | "rub out word" | "clear":
                word = self.before.rstrip().rfind(" ") + 1
                return self._cut({"rub out": max(at - 1, 0), "rub out word": word, "clear": 0}[key], at)

    def replace(self, text: str) -> str:
        """Be another line in the same place; what shows it."""
        return self.to_end() + self._cut(0, len(self.text)) + self.insert(text)

    def to_end(self) -> str:
        """Have the cursor at the end; what shows it."""
        return self._go(len(self.text))

    def shown(self) -> str:
        """All of it, from where it begins, with the cursor in its place."""
        self._on_edge = False
        return self._written(self.text, end=len(self.text)) + self._moved(len(self.text), self.cursor)

    # -- the screen

    def _go(self, place: int) -> str:
        begun, self.cursor = self.cursor, place
        return self._moved(begun, place)

    def _cut(self, begin: int, end: int) -> str:
        """Take characters away; the cursor stands where they were."""
        end = min(end, len(self.text))
        rest, gone = self.text[end:], end - begin
        shown = self._moved(self.cursor, begin)
        self.text, self.cursor = self.text[:begin] + rest, begin
        if not gone:
            return shown
        length = len(self.text) + gone
        return shown + self._written(rest + " " * gone, end=length) + self._moved(length, begin)

    def _written(self, text: str, *, end: int) -> str:
        """Write characters from where the cursor is; the last comes to stand before the place `end`."""
        if text:
            self._on_edge = self.columns is not None and (self.begins + end) % self.columns == 0
        return text

    def _moved(self, begun: int, place: int) -> str:
        """Move over what is on the screen: forward by writing it again, backward with the cursor alone."""
        if place > begun:
            shown = self._written(self.text[begun:place], end=place)
            if self._on_edge and place < len(self.text):  # a blank that settles it would hide what stands there
                self._on_edge = False
                return shown + self.text[place] + "\b"
            return shown
        if place == begun:
            return ""
        settled, self._on_edge = " \r" if self._on_edge else "", False
        rows, column = self._place(begun)[0] - self._place(place)[0], self._place(place)[1]
        if not rows:
            return settled + "\b" * (begun - place)
        return f"{settled}\r\x1b[{rows}A" + (f"\x1b[{column}C" if column else "")

    def _place(self, index: int) -> tuple[int, int]:
        """Row and column, from the row in which the line begins."""
        at = self.begins + index
        return (0, at) if self.columns is None else divmod(at, self.columns)


class History:
    """Lines that were entered, the oldest first, and where in them somebody is."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._lines: list[str] = []
        self._at = 0
        self._begun = ""
        """What was being typed before anybody went back."""

    def add(self, line: str) -> None:
        """Remember a line, once if it comes again and again; whoever looks next begins with it."""
        if line.strip() and len(line) <= EDITED_LIMIT and self._lines[-1:] != [line]:
            self._lines = [*self._lines, line][-HISTORY_LIMIT:]
        self._at, self._begun = len(self._lines), ""

    def step(self, by: Literal[-1, 1], typed: str) -> str | None:
        """The line before or after the one that is looked at; None: there is none. `typed` is what the screen has."""
        if not 0 <= self._at + by <= len(self._lines):
            return None
        if self._at == len(self._lines):
            self._begun = typed
        self._at += by
        return self._begun if self._at == len(self._lines) else self._lines[self._at]
