"""How a command may end: with a line and an exit status, whatever happened on the way.

    0    done, met
    1    refused, partial, not met
    2    could not be carried out as asked: one line says why and what would work
    3    indefinite: asked, no answer in time
    70   a bug of ours: the trace is in a file, the line names it
    130  Ctrl-C;  141  the reader of our output went away

With --json a JSON object stands on standard output beside the line of a 2 or 70.
"""

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from ucmlab.cluster.errors import LabGone, Unusable

SCHEMA = 1
DONE, REFUSED, UNUSABLE, INDEFINITE = 0, 1, 2, 3
CRASHED, INTERRUPTED, NO_READER = 70, 130, 141
"""EX_SOFTWARE of sysexits.h; a shell's numbers for the signals INT and PIPE."""
_OUTCOMES = {REFUSED: "refused", UNUSABLE: "unusable", INDEFINITE: "indefinite", CRASHED: "crashed"}


class NoReader(Exception):
    """Whoever read our output went away."""


@contextmanager
def noticing_the_reader() -> Generator[None]:
    """Raise `NoReader` for a broken pipe, before click makes an exit status of its own of it."""
    try:
        yield
    except BrokenPipeError as error:
        raise NoReader from error


@contextmanager
def ending_well(arguments: Sequence[str]) -> Generator[None]:
    """Turn every exception of a command into a line and an exit status.

    Args:
        arguments: the command line; whoever asked for --json gets errors as JSON too.
    """
    try:
        yield
        sys.stdout.flush()
    except SystemExit:
        _flush_or_forget()
        raise
    except (KeyboardInterrupt, click.Abort):
        sys.exit(INTERRUPTED)
    except (BrokenPipeError, NoReader):
        _forget_output()
        sys.exit(NO_READER)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(UNUSABLE)
    except click.ClickException as error:
        _tell(_usage_line(error), arguments, UNUSABLE)
    except Unusable as error:
        _tell(error.text, arguments, UNUSABLE)
    except LabGone as error:
        _tell(_gone_line(error, arguments), arguments, INDEFINITE)
    except Exception as error:  # noqa: BLE001  the one boundary: no stack trace ever reaches a user
        _tell(_crash_line(error, arguments), arguments, CRASHED)


def lab_directory(arguments: Sequence[str]) -> Path:
    """The lab's home as a command line names it, read without its parser: `--dir`, `UCMLAB_DIR`, `./.ucmlab`."""
    for at, argument in enumerate(arguments):
        if argument.startswith("--dir="):
            return Path(argument.removeprefix("--dir="))
        if argument == "--dir" and at + 1 < len(arguments):
            return Path(arguments[at + 1])
    return Path(os.environ.get("UCMLAB_DIR") or ".ucmlab")


def one_line(text: str) -> str:
    """Text with every run of blanks and line ends as one blank."""
    return " ".join(text.split())


def _tell(text: str, arguments: Sequence[str], status: int) -> None:
    line = one_line(text)
    click.echo(f"ucmlab: {line}", err=True)
    if "--json" in arguments:
        click.echo(json.dumps({"schema": SCHEMA, "outcome": _OUTCOMES[status], "text": line}))
    sys.exit(status)


def _usage_line(error: click.ClickException) -> str:
    text = error.format_message()
    context = error.ctx if isinstance(error, click.UsageError) else None
    return text if context is None else f"{text.rstrip('.')}; see `{context.command_path} --help`"


def _crash_line(error: Exception, arguments: Sequence[str]) -> str:
    trace = "".join(traceback.format_exception(error))
    return f"a bug of ucmlab's ended this: {type(error).__name__}; the trace is in {_keep(trace, arguments)}"


def _gone_line(error: LabGone, arguments: Sequence[str]) -> str:
    text = str(error)
    if "Traceback" not in text:
        return f"{text}; `ucmlab status` tells how the lab is"
    return f"the lab broke down while it was being asked; the trace is in {_keep(text, arguments)}"


def _keep(trace: str, arguments: Sequence[str]) -> str:
    logs = lab_directory(arguments) / "logs"
    for folder in (logs, Path(tempfile.gettempdir())):
        try:
            if folder.is_dir():
                number, name = tempfile.mkstemp(prefix="ucmlab-crash-", suffix=".txt", dir=folder)
                with os.fdopen(number, "w", encoding="utf-8") as file:
                    file.write(trace)
                return name
        except OSError:
            continue  # not writable: the next place
    return "no file, as none could be written"


def _flush_or_forget() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_output()
        sys.exit(NO_READER)


def _forget_output() -> None:
    # What is still buffered would be tried again when the interpreter ends, with a message that nobody asked for.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
