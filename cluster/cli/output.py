"""Certificates and the like that a command hands over: into a file, or on standard output."""

import os
import sys
from pathlib import Path

import click

from ucmlab.cluster.cli.options import Command
from ucmlab.cluster.errors import Unusable


def output_option(command: Command) -> Command:
    """`-o`; the command gets `output`."""
    return click.option(
        "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write this file, not standard output."
    )(command)


def hand_over(content: bytes, output: Path | None, *, binary: bool) -> None:
    """Write the file, or standard output if none is named.

    Raises:
        Unusable: it cannot be written, or a terminal would get what is no text.
    """
    if output is None:
        to_standard_output(content, binary=binary)
    else:
        write_file(output, content)


def check_output(output: Path | None, *, binary: bool) -> None:
    """See that `hand_over` can do it, before anything is changed that it is to tell.

    Raises:
        Unusable: it cannot.
    """
    if output is None:
        _check_text(binary=binary)
    elif not os.access(output if output.exists() else output.parent, os.W_OK):
        raise Unusable(f"{output} cannot be written; name a file in a folder that is there, and yours")


def write_file(path: Path, content: bytes) -> None:
    """Write a file.

    Raises:
        Unusable: it cannot be written.
    """
    try:
        path.write_bytes(content)
    except OSError as error:
        raise Unusable(f"{path} cannot be written: {error.strerror}") from error


def to_standard_output(content: bytes, *, binary: bool) -> None:
    """Write standard output.

    Raises:
        Unusable: that is a terminal, and the content is no text.
    """
    _check_text(binary=binary)
    sys.stdout.buffer.write(content)


def _check_text(*, binary: bool) -> None:
    if binary and sys.stdout.isatty():
        raise Unusable("DER on a terminal helps nobody; name a file with -o, or send the output into a pipe")
