"""Options that many commands have, spelled once."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from ucmlab.cluster.errors import Unusable

Command = TypeVar("Command", bound=Callable[..., object])
DEFAULT_DIRECTORY = Path(".ucmlab")


def directory_option(command: Command) -> Command:
    """`--dir`, then `UCMLAB_DIR`, then `./.ucmlab`; the command gets `directory`, absolute."""
    return click.option(
        "--dir",
        "directory",
        type=click.Path(path_type=Path),
        envvar="UCMLAB_DIR",
        default=DEFAULT_DIRECTORY,
        show_default=True,
        show_envvar=True,
        callback=_absolute,
        help="The lab's home.",
    )(command)


def json_option(command: Command) -> Command:
    """`--json`; the command gets `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else.")(command)


def yes_option(command: Command) -> Command:
    """`--yes`; the command gets `yes`."""
    return click.option("--yes", "-y", is_flag=True, help="Do not ask.")(command)


def _absolute(_context: click.Context, _option: click.Parameter, value: Path) -> Path:
    return value.absolute()


def span(text: str) -> int:
    """A duration as an option writes it, in microseconds.

    Raises:
        Unusable: it is none.
    """
    from ucmlab.node.instant import duration  # noqa: PLC0415  a command that takes no duration does not pay for it

    try:
        return duration(text)
    except ValueError as error:
        raise Unusable(str(error)) from error


def wall_instant(text: str) -> int:
    """A date (its first moment, UTC) or an RFC 3339 instant as an option writes it, in microseconds since 1970.

    Raises:
        Unusable: it is none.
    """
    from ucmlab.node.instant import from_rfc3339  # noqa: PLC0415  as above

    date_only = len(text) == len("2027-01-31")
    try:
        return from_rfc3339(f"{text}T00:00:00Z" if date_only else text)
    except ValueError as error:
        raise Unusable(f"{text!r} is no instant; write it like 2027-01-31 or 2027-01-31T08:00:00Z") from error
