"""The line that is typed: what keys make of it, and that the screen shows just that, on terminals of either kind."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cluster.test_terminal_machine import asked, shown
from ucmlab.cluster.admin.terminal.editing import EDITED_LIMIT, HISTORY_LIMIT, LINE_LIMIT
from ucmlab.cluster.admin.terminal.machine import PROMPT, Advice, Answered, Entered, Shell, Write

LEFT, RIGHT, UP, DOWN, HOME, END, DELETE = (f"\x1b[{key}" for key in ("D", "C", "A", "B", "H", "F", "3~"))
KEYS = st.lists(
    st.sampled_from(
        [
            "a",
            "xyz",
            " ",
            LEFT,
            RIGHT,
            UP,
            DOWN,
            HOME,
            END,
            DELETE,
            "\x01",
            "\x05",
            "\x04",
            "\x0b",
            "\x15",
            "\x17",
            "\x7f",
        ]
    ),
    max_size=40,
)
BEFORE = ("show status", "set cert regen CallManager-ECDSA")

AT_MOST = 400
"""Characters that a test types."""


class Screen:
    """A terminal: what stands where, and where the cursor is. `deferred`: it wraps with the next character only."""

    def __init__(self, columns: int, *, deferred: bool) -> None:
        self.columns = columns
        self._deferred = deferred
        self._cells: dict[tuple[int, int], str] = {}
        self._row = self._column = 0
        self._pending = False

    def show(self, text: str) -> None:
        rest = text
        while rest:
            char, rest = rest[0], rest[1:]
            if char == "\x1b":
                found = re.match(r"\[(\d+)([AC])", rest)
                assert found is not None, rest
                rest = rest[found.end() :]
                self._move(found[2], int(found[1]))
            elif char in "\r\n\b":
                self._control(char)
            else:
                self._put(char)

    def _move(self, way: str, by: int) -> None:
        self._pending = False
        self._row, self._column = (self._row - by, self._column) if way == "A" else (self._row, self._column + by)
        assert self._row >= 0
        assert self._column < self.columns

    def _control(self, char: str) -> None:
        self._pending = False
        if char == "\r":
            self._column = 0
        elif char == "\n":
            self._row += 1
        else:
            assert self._column > 0, "no terminal goes back to the row above"
            self._column -= 1

    def _put(self, char: str) -> None:
        if self._pending:
            self._row, self._column, self._pending = self._row + 1, 0, False
        self._cells[self._row, self._column] = char
        if self._column < self.columns - 1:
            self._column += 1
        elif self._deferred:
            self._pending = True
        else:
            self._row, self._column = self._row + 1, 0

    def from_prompt(self) -> tuple[str, int]:
        """What stands from the last prompt on, and how far from there the cursor is."""
        (*_, begin) = sorted(at for at in self._cells if self._text(at, len(PROMPT)) == PROMPT and at[1] == 0)
        text = self._text(begin, AT_MOST).rstrip()
        return text, (self._row - begin[0]) * self.columns + self._column + self._pending

    def _text(self, begin: tuple[int, int], length: int) -> str:
        first = begin[0] * self.columns + begin[1]
        return "".join(self._cells.get(divmod(at, self.columns), " ") for at in range(first, first + length))


class Reference:
    """A line and a history as anybody would write them who has no screen."""

    def __init__(self, *lines: str) -> None:
        self.lines = [*lines, ""]
        self.at, self.cursor = len(lines), 0

    @property
    def text(self) -> str:
        return self.lines[self.at]

    def press(self, key: str) -> None:
        text, cursor = self.text, self.cursor
        before, after = text[:cursor], text[cursor:]
        if key in (UP, DOWN):
            to = self.at + (1 if key == DOWN else -1)
            if 0 <= to < len(self.lines):
                # What is changed of an older line is gone when one leaves it.
                self.lines[:-1] = BEFORE
                self.at, self.cursor = to, len(self.lines[to])
            return
        if key in (LEFT, RIGHT, HOME, END, "\x01", "\x05"):
            places = {LEFT: max(cursor - 1, 0), RIGHT: min(cursor + 1, len(text)), HOME: 0, "\x01": 0}
            self.cursor = places.get(key, len(text))
            return
        if key in (DELETE, "\x04"):
            after = after[1:]
        elif key == "\x0b":
            after = ""
        elif key == "\x15":
            before = ""
        elif key == "\x7f":
            before = before[:-1]
        elif key == "\x17":
            words = before.rstrip().split(" ")
            before = " ".join([*words[:-1], ""]) if len(words) > 1 else ""
        else:
            before += key
        self.lines[self.at], self.cursor = before + after, len(before)


def at_prompt(columns: int | None) -> tuple[Shell, str]:
    def complete(line: str) -> Advice:
        return Advice("cert ") if line.endswith("show ") else Advice(lines=("one", "two"))

    made = Shell(complete=complete, explain=lambda line: Advice(lines=(f"after {line!r}",)), columns=columns)
    said = shown(made.open(()))
    for line in BEFORE:
        said += shown(made.feed(f"{line}\r")) + shown(made.done())
    return made, said


@given(KEYS, st.integers(7, 30), st.booleans())
def test_the_screen_shows_the_line_and_the_cursor_whatever_is_done_to_them(
    keys: list[str],
    columns: int,
    deferred: bool,  # noqa: FBT001  hypothesis gives it
) -> None:
    pressed(keys, columns, deferred=deferred)


@pytest.mark.parametrize("key", [LEFT, RIGHT, UP, HOME, END, DELETE, "\x0b", "\x15", "\x17", "\x7f", "Z"])
@pytest.mark.parametrize("deferred", [False, True])
def test_at_each_place_of_a_line_that_goes_beyond_the_edge(key: str, deferred: bool) -> None:  # noqa: FBT001  a case
    for place in range(20):
        pressed(["abc efg ijk mno pqrs", HOME, *[RIGHT] * place, key, key, LEFT, RIGHT, "!", END], 9, deferred=deferred)


def pressed(keys: list[str], columns: int, *, deferred: bool) -> None:
    """Press keys; at each the screen must show what the reference has, and in the end that is what was entered."""
    made, said = at_prompt(columns)
    screen, reference = Screen(columns, deferred=deferred), Reference(*BEFORE)
    screen.show(said)
    for key in keys:
        if key == "\x04" and not reference.text:
            continue  # that is the end of the session
        reference.press(key)
        screen.show(shown(made.feed(key)))
        assert screen.from_prompt() == ((PROMPT + reference.text).rstrip(), len(PROMPT) + reference.cursor)
    effects = made.feed("\r")
    screen.show(shown(effects))
    assert asked(effects) == ([Entered(reference.text)] if reference.text.strip() else [])


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="?"), max_size=60))
def test_plain_text_is_echoed_octet_by_octet_whatever_the_terminals_width(typed: str) -> None:
    for columns in (None, 8, 80):
        made, _ = at_prompt(columns)
        assert shown(made.feed(typed)) == typed
        assert shown(made.feed("\r")).startswith("\r\n")


def test_a_character_that_is_rubbed_out_at_the_end_is_shown_as_a_tty_does() -> None:
    made, _ = at_prompt(80)
    assert made.feed("ab\x7f\x15") == [Write("ab\b \b\b \b")]


def test_earlier_lines_come_back_and_what_was_begun_too() -> None:
    made, _ = at_prompt(80)
    assert asked(made.feed(f"begun{UP}{UP}{UP}{UP}\r")) == [Entered(BEFORE[0])]
    made.done()
    assert asked(made.feed(f"begun{UP}{UP}{DOWN}{DOWN}{DOWN}!\r")) == [Entered("begun!")]
    made.done()
    assert asked(made.feed(f"{UP}{UP}{LEFT}X\r")) == [Entered("show statuXs")]
    made.done()
    made.feed("\r  \r\r")
    assert asked(made.feed(f"{UP}{UP}\r")) == [Entered("begun!")], "blank lines are not remembered"


def test_what_is_remembered_has_a_bound_and_a_line_that_comes_again_is_there_once() -> None:
    made, _ = at_prompt(80)
    for number in range(HISTORY_LIMIT + 5):
        made.feed(f"line {number}\r" * 2)
        made.done()
        made.done()
    assert asked(made.feed(UP * (HISTORY_LIMIT + 50) + "\r")) == [Entered("line 5")]


def test_an_answer_is_edited_and_not_remembered_and_has_no_history() -> None:
    made, _ = at_prompt(80)
    made.feed("set\r")
    made.ask("Sure? ")
    assert asked(made.feed(f"{UP}es{HOME}y{END}!\x7f\r")) == [Answered("yes")]
    made.done()
    assert asked(made.feed(f"{UP}\r")) == [Entered("set")]


@pytest.mark.parametrize("state", ["busy", "pasting"])
def test_where_nobody_knows_the_place_of_a_line_it_is_changed_at_its_end_alone(state: str) -> None:
    made, _ = at_prompt(80)
    made.feed("set\r")
    if state == "pasting":
        made.paste()
    said = made.feed(f"one twp{LEFT}{UP}{HOME}\x0b\x7fo x\x17")
    assert said == [Write("one twp\b \bo x\b \b")]


def test_control_c_in_the_middle_of_a_line_leaves_the_history_as_well() -> None:
    made, _ = at_prompt(80)
    said = made.feed(f"{UP}{UP}{HOME}\x03")
    assert shown(said).endswith(f"{BEFORE[0]}^C\r\n{PROMPT}")
    assert asked(made.feed(f"{UP}\r")) == [Entered(BEFORE[1])]


def test_tab_and_help_are_about_what_stands_before_the_cursor() -> None:
    made, said = at_prompt(20)
    screen = Screen(20, deferred=True)
    screen.show(said + shown(made.feed(f"show own, a long one{LEFT * 15}")))
    screen.show(shown(made.feed("\t")))
    assert screen.from_prompt() == (f"{PROMPT}show cert own, a long one", len(f"{PROMPT}show cert "))
    helped = shown(made.feed("?"))
    assert "\r\nafter 'show cert '\r\nadmin:show cert own, a long one" in helped
    screen.show(helped)
    assert screen.from_prompt() == (f"{PROMPT}show cert own, a long one", len(f"{PROMPT}show cert "))
    assert asked(made.feed("trust \r")) == [Entered("show cert trust own, a long one")]


def test_a_line_has_a_bound_and_a_lower_one_inside_of_which_each_key_shows_the_rest_again() -> None:
    made, _ = at_prompt(80)
    made.feed("x" * (EDITED_LIMIT - 1))
    assert len(shown(made.feed(f"{HOME}yz!{END}"))) < 4 * EDITED_LIMIT
    assert asked(made.feed("\r")) == [Entered("y" + "x" * (EDITED_LIMIT - 1))]
    made.done()
    made.feed("x" * LINE_LIMIT)
    assert shown(made.feed(f"{HOME}y{END}z{LEFT}\x01")) == ""
    assert asked(made.feed("\x7f!\r")) == [Entered("x" * (LINE_LIMIT - 1) + "!")]
    made.done()
    assert asked(made.feed(f"{UP}\r")) == [Entered("y" + "x" * (EDITED_LIMIT - 1))], "the longer one is not remembered"


def test_a_terminal_that_is_made_narrower_is_believed() -> None:
    made, _ = at_prompt(80)
    made.columns = 10
    assert "\x1b[1A" in shown(made.feed(f"a long line{HOME}"))
    made.columns = 0
    assert "\x1b" not in shown(made.feed(f"{END}{HOME}"))
