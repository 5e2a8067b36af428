"""What a person reads of a run: lines while it goes on, the verdict at its end, and how to run it again."""

import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec
from rich.console import Console
from rich.text import Text

from ucmlab.node.instant import SECOND
from ucmlab.scenarios.result import Options, Result
from ucmlab.scenarios.story import Story
from ucmlab.scenarios.telling import CameUp, Check, Entry, Outcome, Ready, Step

WIDTH = 110
NAME_WIDTH = 6
PID_WIDTH = 7
"""Names as in `broker`, process ids as Linux counts them: longer ones only push the rest of their line."""
MARGIN = " " * 10
"""As wide as a lab time and the blanks after it."""

STYLES = {
    "title": "bold",
    "step": "bold cyan",
    "up": "green",
    "held": "green",
    "failed": "bold red",
    "unknown": "yellow",
    "dim": "dim",
}
"""What a line means, to how a terminal shows it."""

Line = tuple[str, str]
"""Text, and what it means (a key of `STYLES`, or empty)."""
Printer = Callable[[Line], None]


def printer() -> Printer:
    """Print to standard output: with colours on a terminal, else plain lines."""
    if not sys.stdout.isatty():
        return lambda line: print(line[0], flush=True)  # noqa: T201 (this is the report)
    console = Console(highlight=False, soft_wrap=True)
    return lambda line: console.print(Text(line[0], style=STYLES.get(line[1], "")))


def width() -> int:
    """Columns for text that is printed now: `WIDTH`, on a terminal no more than it has."""
    return min(WIDTH, shutil.get_terminal_size().columns) if sys.stdout.isatty() else WIDTH


def heading(story: Story, options: Options, *, width: int = WIDTH) -> Iterator[Line]:
    """What stands above a story's run: its name, how it is told, and what it is about."""
    yield f"{story.name}  ({options.mode}, seed {options.seed})", "title"
    for paragraph in story.text.split("\n\n"):
        yield from ((line, "dim") for line in _wrapped(" ".join(paragraph.split()), "  ", width))


def entry_lines(entry: Entry, began: int, *, width: int = WIDTH) -> Iterator[Line]:
    """One entry, at its lab time since the story began."""
    time = clock(entry.at - began)
    match entry:
        case CameUp(name=name, pid=pid, where=where):
            yield f"{time}    up      {name.ljust(NAME_WIDTH)}  pid {pid:<{PID_WIDTH}}  {where}", "up"
        case Ready(machine_seconds=seconds):
            yield f"{time}    ready in {seconds:.1f} s", "up"
        case Step(title=title, expect=expect):
            yield f"{time}  {title}", "step"
            if expect:
                yield from ((line, "dim") for line in _wrapped(f"expect: {expect}", MARGIN, width))
        case Check(text=text, held=True, evident=evident):
            if not evident:
                yield f"{time}    held    {text}", "held"
        case Check(text=text, expected=expected, seen=seen):
            yield f"{time}    FAILED  {text}", "failed"
            yield from ((f"{MARGIN}            {what}", "failed") for what in _difference(expected, seen))
        case Outcome(operation=operation, outcome=outcome, reason=reason):
            yield f"{time}    {operation}: {' '.join(filter(None, (outcome, reason)))}", ""


def ending(result: Result, *, width: int = WIDTH) -> Iterator[Line]:
    """The verdict, why, how long it took, and how to run it again."""
    checks = [entry for entry in result.entries if isinstance(entry, Check)]
    failed = sum(not check.held for check in checks)
    count = f"{len(checks)} checks" + (f", {failed} failed" if failed else "")
    took = f"{clock(result.ended - result.began).strip()} of lab time in {result.machine_seconds:.1f} s"
    yield f"{result.verdict.upper()}  {result.story}: {count}; {took}", result.verdict
    if result.trouble:
        yield from ((line, result.verdict) for line in _wrapped(result.trouble.line, "  ", width))
    if result.kept:
        yield f"  kept:  {result.kept}", "dim"
    yield f"  again: {result.again}", "dim"


def whole(story: Story, options: Options, result: Result) -> Iterator[Line]:
    """A run that is over, from heading to ending."""
    yield from heading(story, options)
    for entry in result.entries:
        yield from entry_lines(entry, result.began)
    yield from ending(result)


def plain(lines: Iterable[Line]) -> str:
    """Lines as text."""
    return "".join(f"{text}\n" for text, _ in lines)


def write(folder: Path, story: Story, options: Options, result: Result) -> None:
    """Put a run's report into `folder`/<story>: the result, the text, and the trace of what went wrong.

    The journal is beside it already: whoever ran the story wrote it while the lab still stood.
    """
    target = folder / result.story
    target.mkdir(parents=True, exist_ok=True)
    (target / "result.json").write_bytes(msgspec.json.format(msgspec.json.encode(result.json()), indent=2) + b"\n")
    (target / "report.txt").write_text(plain(whole(story, options, result)), encoding="utf-8")
    trace = target / "trace.txt"
    trace.unlink(missing_ok=True)
    if result.trouble and result.trouble.trace:
        trace.write_text(result.trouble.trace, encoding="utf-8")


def clock(microseconds: int) -> str:
    """A span of lab time as `h:mm:ss`, right-aligned to eight columns."""
    minutes, seconds = divmod(microseconds // SECOND, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}".rjust(8)


def _difference(expected: str, seen: str) -> Iterator[str]:
    if expected:
        yield f"expected: {expected}"
    if seen:
        yield f"seen:     {seen}"


def _wrapped(text: str, indent: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
