"""`ucmlab cli` without a terminal: what is shown of a session, and when it is told something. The session is a node's,
without its SSH and its node."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import cast

import pytest

from ucmlab.cluster.admin.accounts import make_admin
from ucmlab.cluster.admin.desk import Caller, Desk
from ucmlab.cluster.admin.terminal import session as sessions
from ucmlab.cluster.admin.terminal.banner import BANNER
from ucmlab.cluster.admin.terminal.console import Console
from ucmlab.cluster.admin.terminal.performing import PERFORMED
from ucmlab.cluster.admin.terminal.session import Session
from ucmlab.cluster.cli.piping import Dialogue, Heard, Typed, Waits
from ucmlab.node.layout import HomeLayout
from ucmlab.node.rulebook import RuleBook

BEGUN = "Welcome to admin: here\r\n\r\nadmin:"
BLOCK = "-----BEGIN X-----\n\nMIIB\n-----END X-----\n"


class FakeDesk:
    rulebook = RuleBook.load("14SU2")

    def __init__(self, home: Path) -> None:
        self.layout = HomeLayout(home, self.rulebook)


class Line:
    """A session, and both ends of what carries its characters."""

    def __init__(self, home: Path) -> None:
        caller = Caller(make_admin("a", "b", "platform", privilege=4), "ssh", "127.0.0.1", "127.0.0.1")
        self._said: asyncio.Queue[str] = asyncio.Queue()
        self.pasted: list[str] = []
        desk = cast("Desk", FakeDesk(home))  # no command here does more
        commands = {**PERFORMED, "set_cert_import_trust": self._import}
        self.session = Session(desk, caller, commands, write=self._said.put_nowait, rows_shown=None)

    async def serve(self) -> None:
        await self.session.run(BANNER)
        self._said.put_nowait("")

    async def read(self, n: int = -1) -> str:
        del n
        return await self._said.get()

    def write(self, data: str) -> None:
        self.session.typed(data)

    async def drain(self) -> None:
        await asyncio.sleep(0)

    def write_eof(self) -> None:
        self.session.end_of_input()

    async def _import(self, console: Console, _: object) -> None:
        console.say("Paste the Certificate and Hit Enter")
        self.pasted.append(await console.paste())
        console.say("Successfully imported.")


@pytest.fixture
async def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Line]:
    monkeypatch.setattr(sessions, "SETTLE_S", 0.0)
    async with served(tmp_path) as made:
        yield made


@asynccontextmanager
async def served(home: Path) -> AsyncIterator[Line]:
    made = Line(home)
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(made.serve())
        yield made


@contextmanager
def pipe(said: str = "", *, stays_open: bool = False) -> Iterator[int]:
    read, write = os.pipe()
    os.write(write, said.encode())
    if not stays_open:
        os.close(write)
    try:
        yield read
    finally:
        os.close(read)
        if stays_open:
            os.close(write)


async def run(line: Line, command: str, file: int | None) -> Waits:
    return await Dialogue(line, line, Typed(file), command).run()


async def test_a_command_that_asks_nothing_reads_nothing(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    """So it does not wait for a pipe that stays open, and does not take the list of the loop that it stands in."""
    with pipe("sub1\nsub2\n", stays_open=True) as file:
        assert await run(line, "show cli pagination", file) == ""
        assert os.read(file, 100) == b"sub1\nsub2\n"
    assert capsys.readouterr().out == "Automatic Pagination : On.\n"
    assert not line.session.failed


async def test_an_answer_is_one_line_of_standard_input(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    with pipe("what\ny\nnext\n", stays_open=True) as file:
        assert await run(line, "set cli session timeout 60", file) == ""
        assert os.read(file, 100) == b"next\n"
    assert capsys.readouterr().out.endswith("CLI session timeout is set to 60 minutes\n")


@pytest.mark.parametrize("there", [True, False])
async def test_a_question_that_nobody_answers_is_told(
    line: Line, capsys: pytest.CaptureFixture[str], *, there: bool
) -> None:
    with pipe() as file:
        assert await run(line, "set cli session timeout 60", file if there else None) == "yes or no"
    assert line.session.failed
    assert capsys.readouterr().out.endswith("Continue (y/n)?\n")


async def test_so_is_one_among_commands(line: Line) -> None:
    with pipe("show cli pagination\nset cli session timeout 60\n") as file:
        assert await run(line, "", file) == "yes or no"


async def test_a_refusal_is_no_missing_answer(line: Line) -> None:
    with pipe("no\n") as file:
        assert await run(line, "set cli session timeout 60", file) == ""


@pytest.mark.parametrize("end", ["", "\n", "\nmore\n"])
async def test_a_pasted_text_ends_with_a_blank_line_or_with_the_input(line: Line, end: str) -> None:
    with pipe(f"\n{BLOCK}{BLOCK}{end}") as file:
        assert await run(line, "set cert import trust tomcat", file) == ""
        assert os.read(file, 100).decode() == ("more\n" if "more" in end else "")
    assert line.pasted == [BLOCK.replace("\n\n", "\n") * 2]


async def test_a_text_that_nobody_pastes_is_told(line: Line) -> None:
    with pipe() as file:
        assert await run(line, "set cert import trust tomcat", file) == "text"
    assert line.session.failed


@pytest.mark.parametrize(
    ("command", "first"), [("?", "    exit"), ("show cert ?", "    default-ca-list"), ("show cli p?", "    pagination")]
)
async def test_a_question_mark_explains_and_nothing_is_carried_out(
    line: Line, command: str, first: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pipe(stays_open=True) as file:
        assert await run(line, command, file) == ""
    shown = capsys.readouterr().out
    assert shown.startswith(first)
    assert not line.session.failed
    assert "admin:" not in shown


async def test_commands_are_carried_out_as_they_come_until_the_session_ends(
    line: Line, capsys: pytest.CaptureFixture[str]
) -> None:
    with pipe("\n\nshow cli pagination\nset cli session timeout 60\ny\nexit\n", stays_open=True) as file:
        assert await run(line, "", file) == ""
    shown = capsys.readouterr().out
    assert shown.startswith("Automatic Pagination : On.\n")
    assert shown.endswith("CLI session timeout is set to 60 minutes\n")


async def test_a_file_is_read_to_the_end_of_the_answer_as_well(line: Line, tmp_path: Path) -> None:
    (tmp_path / "answers").write_text("y\nnext")
    file = os.open(tmp_path / "answers", os.O_RDONLY)
    try:
        assert await run(line, "set cli session timeout 60", file) == ""
        assert os.read(file, 100) == b"next"
    finally:
        os.close(file)


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_what_is_shown_does_not_depend_on_the_pieces(size: int) -> None:
    said = f"{BEGUN}one\r\nadmin\r\n\r\nadmiral\r\nadmin:admin:two: admin:\r\nadmin:Continue (y/n)?\r\nadmin:"
    heard = Heard()
    shown = "".join(heard.take(said[at : at + size]) for at in range(0, len(said), size))
    assert shown == "one\nadmin\n\nadmiral\ntwo: admin:\nContinue (y/n)?\n"
    assert (heard.waits, heard.unanswered) == ("command", "yes or no")


def test_for_what_a_session_waits() -> None:
    heard = Heard()
    for said, waits in (
        ("Starting, is it? ", ""),
        ("\r\nadmin", ""),
        (":", "command"),
        ("Proceed with regeneration (yes|no)? ", "yes or no"),
        ("Done.\r\n", ""),
        ("Enter the Common Name of Default CA Certificate : ", "name"),
        ("\r\nPaste the Certificate and Hit Enter\r\n", "text"),
        ("Successfully imported", ""),
    ):
        heard.take(said)
        assert heard.waits == waits
