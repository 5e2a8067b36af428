"""Options that many commands have, spelled once."""

import os
import shlex
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


def up_command(directory: Path) -> str:
    """The command that starts the lab in `directory`, as it is to be typed here."""
    found = Path(os.environ.get("UCMLAB_DIR", DEFAULT_DIRECTORY)).absolute()
    return "ucmlab up" if directory == found else f"ucmlab up --dir {shlex.quote(str(directory))}"


def json_option(command: Command) -> Command:
    """`--json`; the command gets `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else.")(command)


def yes_option(command: Command) -> Command:
    """`--yes`; the command gets `yes`."""
    return click.option("--yes", "-y", is_flag=True, help="Do not ask.")(command)


def upload_options(command: Command) -> Command:
    """What nodes take for an upload; the command gets `der_pkcs7` and `strict_uploads`, None where nothing was said."""
    der_help = "Let an upload be a PKCS#7 chain in DER (X-15)."
    strict_help = "Refuse a certificate that lacks what its request asked for (R-031)."
    command = click.option("--strict-uploads", is_flag=True, default=None, help=strict_help)(command)
    return click.option("--accept-der-pkcs7", "der_pkcs7", is_flag=True, default=None, help=der_help)(command)


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


def topic_filter(text: str) -> str:
    """An MQTT filter as an option writes it.

    Raises:
        Unusable: it is none.
    """
    from ucmlab.broker.filters import validate_filter  # noqa: PLC0415  as above

    try:
        validate_filter(text)
    except ValueError as error:
        raise Unusable(f"this is no MQTT filter: {error}") from error
    return text


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
