"""The session of the platform's command line as a state machine (wire-interfaces 3.1): keys in, characters out."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucmlab.cluster.admin.terminal.editing import LINE_LIMIT
from ucmlab.cluster.admin.terminal.machine import (
    MORE,
    PASTE_LIMIT,
    PROMPT,
    WAITING_LIMIT,
    Advice,
    Answered,
    Effect,
    Ended,
    Entered,
    Interrupted,
    Shell,
    Write,
)

PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
ARROWS = ["\x1b[A", "\x1bOB", "\x1b[C", "\x1b[D", "\x1bOH", "\x1b[4~", "\x1b[3~", "\x1b[1;5C"]
TYPED = [
    "a",
    "show",
    " ",
    "\r",
    "\n",
    "\r\n",
    "\b",
    "\x7f",
    "\x15",
    "\t",
    "?",
    "\x03",
    "q",
    "\x01",
    "\x05",
    "\x0b",
    "\x17",
]
KEYS = st.lists(st.sampled_from([*TYPED, *ARROWS]), max_size=30).map("".join)


def shell(*, rows: int | None = 24, echo: bool = True) -> Shell:
    def complete(line: str) -> Advice:
        return Advice("ow ") if line == "sh" else Advice(lines=("set", "show"))

    made = Shell(complete=complete, explain=lambda _: Advice(lines=("    show",)), rows=rows, columns=12, echo=echo)
    made.open(("Welcome", ""))
    return made


def shown(effects: list[Effect]) -> str:
    return "".join(each.text for each in effects if isinstance(each, Write))


def asked(effects: list[Effect]) -> list[Effect]:
    return [each for each in effects if not isinstance(each, Write)]


def test_a_session_begins_with_its_banner_and_the_prompt_at_column_0() -> None:
    made = Shell(complete=lambda _: Advice(), explain=lambda _: Advice())
    assert made.open(("Welcome", "")) == [Write("Welcome\r\n\r\nadmin:")]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_a_line_is_echoed_and_ends_in_any_way(end: str) -> None:
    made = shell()
    assert made.feed(f"show status{end}") == [Write("show status\r\n"), Entered("show status")]
    assert made.say("fine") == [Write("fine\r\n")]
    assert made.done() == [Write(PROMPT)]


def test_a_blank_line_at_the_prompt_gives_another_prompt() -> None:
    assert shell().feed("\r\n \n") == [Write(f"\r\n{PROMPT} \r\n{PROMPT}")]


def test_blank_lines_while_a_command_runs_are_echoed_at_once_and_give_no_prompt() -> None:
    made = shell()
    made.feed("show status\n")
    assert made.feed("\r\n\n  \n") == [Write("\r\n\r\n  \r\n")]
    assert made.done() == [Write(PROMPT)]


def test_what_is_typed_ahead_is_seen_again_where_it_is_used() -> None:
    made = shell()
    made.feed("one\n")
    assert made.feed("two\n\nthree\nfo") == [Write("two\r\n\r\nthree\r\nfo")]
    assert made.done() == [Write(f"{PROMPT}two\r\n"), Entered("two")]
    assert made.done() == [Write(f"{PROMPT}three\r\n"), Entered("three")]
    assert made.done() == [Write(f"{PROMPT}fo")]
    assert made.feed("ur\n") == [Write("ur\r\n"), Entered("four")]


def test_an_answer_that_was_typed_ahead_is_taken() -> None:
    made = shell()
    made.feed("set cert regen tomcat\n\nyes\n\n")
    assert made.ask("Proceed (yes|no)? ") == [Write("Proceed (yes|no)? yes\r\n"), Answered("yes")]
    assert made.done() == [Write(PROMPT)]


def test_a_question_is_answered_on_its_line() -> None:
    made = shell()
    made.feed("set csr gen tomcat\n")
    assert made.ask("Include OU in CSR (yes|no)? ") == [Write("Include OU in CSR (yes|no)? ")]
    # A real client ends its answer twice.
    assert made.feed("no\r\n\r") == [Write("no\r\n"), Answered("no"), Write("\r\n")]
    assert made.done() == [Write(PROMPT)]


def test_a_pasted_text_ends_with_a_blank_line_outside_of_its_blocks() -> None:
    made = shell()
    made.feed("set cert import own tomcat\n")
    made.paste()
    effects = made.feed("\n" + PEM.replace("AAAA\n", "AAAA\n\n") + "\n\r\n")
    assert asked(effects) == [Answered(PEM + "\n")]
    assert made.feed("\r\n") == [Write("\r\n")]


def test_a_pasted_text_that_came_with_its_command_is_used() -> None:
    made = shell()
    assert asked(made.feed(f"set cert import own tomcat\r\n{PEM}\n\r\nshow status\n")) == [
        Entered("set cert import own tomcat")
    ]
    assert asked(made.paste()) == [Answered(PEM + "\n")]
    assert asked(made.done()) == [Entered("show status")]


def test_editing_keys() -> None:
    made = shell()
    assert asked(made.feed("shoe\x7fw\x15sx\bhow\x1b[A\x1bOB\x1bx st\x07\x00atus\r")) == [Entered("show status")]


def test_tab_goes_on_with_the_line_and_tells_the_ways() -> None:
    made = shell()
    assert made.feed("sh\t") == [Write("show ")]
    assert made.feed("\t") == [Write(f"\r\nset\r\nshow\r\n{PROMPT}show ")]
    assert asked(made.feed("x\n")) == [Entered("show x")]


def test_a_question_mark_helps_without_a_line_end() -> None:
    made = shell()
    assert made.feed("sh?") == [Write(f"sh?\r\n    show\r\n{PROMPT}sh")]


def test_long_output_comes_by_the_page() -> None:
    made = shell(rows=4)
    made.feed("show\n")
    lines = [str(number) for number in range(8)]
    assert made.say(*lines) == [Write(f"0\r\n1\r\n2\r\n{MORE}")]
    assert made.done() == []
    erased = f"\r{' ' * len(MORE)}\r"
    assert made.feed("\r") == [Write(f"{erased}3\r\n{MORE}")]
    assert made.feed("x") == []
    assert made.feed(" ") == [Write(f"{erased}4\r\n5\r\n6\r\n{MORE}")]
    assert made.feed(" ") == [Write(f"{erased}7\r\n{PROMPT}")]


def test_q_leaves_out_the_rest() -> None:
    made = shell(rows=3)
    made.feed("show\n")
    made.say("0", "1", "2")
    assert MORE not in shown(made.feed("q"))
    assert made.say("3") == []
    assert made.done() == [Write(PROMPT)]
    made.feed("show\n")
    assert made.say("0") == [Write("0\r\n")]


def test_a_question_comes_after_the_last_page() -> None:
    made = shell(rows=2)
    made.feed("set\n")
    made.say("0", "1")
    assert made.ask("Sure? ") == []
    assert shown(made.feed(" ")).endswith("1\r\nSure? ")
    assert asked(made.feed("yes\n")) == [Answered("yes")]


@pytest.mark.parametrize("kind", ["off", "no terminal"])
def test_without_pages_everything_comes_at_once(kind: str) -> None:
    made = shell(rows=4) if kind == "off" else shell(rows=None)
    made.paged = kind != "off"
    made.feed("show\n")
    assert shown(made.say(*"abcdefgh")) == "".join(f"{each}\r\n" for each in "abcdefgh")


def test_control_c() -> None:
    made = shell()
    assert made.feed("sho\x03") == [Write(f"sho^C\r\n{PROMPT}")]
    made.feed("set\nlater\n")
    made.ask("Sure? ")
    made.done()
    made.feed("set\n")
    made.ask("Sure? ")
    assert asked(made.feed("y\x03")) == [Interrupted()]
    assert made.done() == [Write(PROMPT)]


def test_control_d_ends_the_session_at_an_empty_prompt_only() -> None:
    made = shell()
    assert asked(made.feed("x\x04\b\x04")) == [Ended()]
    assert made.feed("show\n") == []


def test_the_end_of_the_input_ends_the_session_after_the_last_command() -> None:
    made = shell(echo=False, rows=None)
    assert made.feed("one\ntwo") == [Entered("one")]
    assert made.end_of_input() == []
    assert made.done() == [Write(PROMPT), Entered("two")]
    assert made.done() == [Write(PROMPT), Ended()]


def test_nobody_is_left_to_answer_a_question() -> None:
    made = shell()
    made.feed("set\n")
    made.end_of_input()
    assert made.ask("Sure? ") == [Write("Sure? \r\n"), Interrupted()]
    assert asked(made.done()) == [Ended()]


def test_nothing_that_is_typed_is_kept_without_bound() -> None:
    made = shell()
    assert asked(made.feed("x" * (LINE_LIMIT + 5) + "\n")) == [Entered("x" * LINE_LIMIT)]
    made.feed("\n" * (WAITING_LIMIT + 50) + "late\n")
    assert made.done() == [Write(PROMPT)]
    made.feed("set\n")
    made.paste()
    made.feed(("y" * 1000 + "\n") * (PASTE_LIMIT // 500))
    (answer,) = asked(made.feed("\n"))
    assert isinstance(answer, Answered)
    assert len(answer.text) < PASTE_LIMIT * 1.01


@pytest.mark.timeout(20)
def test_very_many_short_lines_take_no_longer_than_few_long_ones() -> None:
    made = shell()
    assert len(made.feed("\n" * 200_000)) == 1
    made.feed("set\n")
    made.paste()
    made.feed("-----BEGIN A-----\n" + "\ny\n" * 100_000 + "-----END A-----\n")
    (answer,) = asked(made.feed("\n"))
    assert isinstance(answer, Answered)


@given(KEYS, st.lists(st.integers(0, 40)), st.sampled_from(["prompt", "busy", "asking", "pasting", "paging"]))
def test_however_the_input_is_cut_the_same_comes_out(typed: str, cuts: list[int], state: str) -> None:
    def begun() -> Shell:
        made = shell(rows=3)
        if state != "prompt":
            made.feed("set\n")
        if state == "asking":
            made.ask("Sure? ")
        if state == "pasting":
            made.paste()
        if state == "paging":
            made.say(*"abcdef")
        return made

    def summary(effects: list[Effect]) -> tuple[str, list[Effect]]:
        return shown(effects), asked(effects)

    whole, cut = begun(), begun()
    at = sorted({min(each, len(typed)) for each in cuts} | {0, len(typed)})
    in_pieces = [each for begin, end in pairwise(at) for each in cut.feed(typed[begin:end])]
    assert summary(whole.feed(typed)) == summary(in_pieces)
    assert summary(whole.done()) == summary(cut.done())


@given(KEYS)
def test_whatever_is_typed_one_command_runs_at_a_time(typed: str) -> None:
    made = shell()
    for char in typed:
        effects = asked(made.feed(char))
        assert len([each for each in effects if isinstance(each, Entered)]) <= 1
        while any(isinstance(each, Entered | Interrupted) for each in effects):
            effects = asked(made.done())
