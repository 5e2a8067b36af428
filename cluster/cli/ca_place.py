"""What the commands of `ucmlab ca` share: where the authorities are, what time it is there, and their options."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import click

from ucmlab.cluster.ca.folder import CAFolder
from ucmlab.cluster.ca.kept import Kept
from ucmlab.cluster.ca.office import Issued
from ucmlab.cluster.ca.requests import REQUEST_LIMIT
from ucmlab.cluster.ca.signatures import DEFAULT_HASH, HASHES
from ucmlab.cluster.cli import attaching
from ucmlab.cluster.cli.listing import SHORTEST_PREFIX, fingerprint_of
from ucmlab.cluster.cli.options import Command, directory_option, json_option, wall_instant
from ucmlab.cluster.cli.reading import read_file
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.provision import open_lab
from ucmlab.node.certificates import Certificate, parse
from ucmlab.node.clock import machine_wall
from ucmlab.node.errors import Refusal
from ucmlab.node.instant import from_rfc3339, rfc3339, to_datetime
from ucmlab.node.upload_files import read_upload

Fits = Callable[[Issued], bool]
READ_LIMIT = REQUEST_LIMIT + 1
"""Bytes read of a file: enough to see that it is too large, and `/dev/zero` still ends."""
SHOWN = 3
"""Serial numbers that a message names."""


def place_options(command: Command) -> Command:
    """`--folder`, `--dir`, `--json`; the command gets `folder`, `directory` and `as_json`."""
    option = click.option(
        "--folder",
        type=click.Path(path_type=Path, file_okay=False),
        help="Keep the CAs here and go by the machine's clock; needs no lab.",
    )
    return option(directory_option(json_option(command)))


def hash_option(command: Command) -> Command:
    """`--hash`; the command gets `digest`."""
    return click.option(
        "--hash", "digest", type=click.Choice(HASHES), default=DEFAULT_HASH, show_default=True, help="Of the signature."
    )(command)


def dates_options(command: Command) -> Command:
    """`--not-before`, `--not-after`, `--days`; the command gets `not_before`, `not_after` and `days`."""
    instant = "An instant like 2027-01-31 or 2027-01-31T08:00:00Z."
    before = click.option("--not-before", metavar="T", help=f"{instant}  [default: a day ago]")
    after = click.option("--not-after", metavar="T", help=instant)
    days = click.option("--days", type=click.IntRange(min=1), help="Instead of --not-after: days from now.")
    return before(after(days(command)))


def ca_place(directory: Path, folder: Path | None) -> CAFolder:
    """Where the authorities are, and their clock: the lab's, which need not be the machine's.

    Raises:
        Unusable: there is no lab, and no folder was named.
    """
    if folder is not None:
        return CAFolder(folder.absolute(), now=lambda: to_datetime(machine_wall()))
    home = open_lab(directory)

    @cache
    def now() -> datetime:
        # Asked only by what signs or lists, and once: it asks every node.
        return to_datetime(from_rfc3339(attaching.outline(home).now))

    return CAFolder(home.path / "ca", now=now)


def dates_of(
    place: CAFolder, not_before: str | None, not_after: str | None, days: int | None
) -> tuple[datetime | None, datetime | None]:
    """Both dates as far as they were given.

    Raises:
        Unusable: one is none, or the end is given twice.
    """
    if not_after is not None and days is not None:
        raise Unusable("--not-after and --days both say when it ends; leave one of them out")
    start, end = (None if text is None else to_datetime(wall_instant(text)) for text in (not_before, not_after))
    if days is not None:
        try:
            end = (start or place.now()) + timedelta(days=days)
        except OverflowError as error:
            raise Unusable(f"{days} days are beyond the calendar; a certificate ends by the year 9999") from error
    return start, end


def described(der: bytes) -> dict[str, object]:
    """A certificate as JSON tells it."""
    read = parse(der)
    return {
        "fingerprint": read.fingerprint,
        "serial": read.serial,
        "subject": read.subject,
        "issuer": read.issuer,
        "key": read.key,
        "not_before": rfc3339(read.not_before),
        "not_after": rfc3339(read.not_after),
    }


def issued_by(place: CAFolder, ca: str | None, named: str) -> tuple[Kept, Issued]:
    """Which authority issued a certificate, and what its books say.

    Args:
        place: where to look.
        ca: only this authority.
        named: a file, else a serial number, a fingerprint or the beginning of one, or a common name.

    Raises:
        Unusable: none of them issued it, or several fit.
    """
    authorities = place.all() if ca is None else [place.find(ca)]
    fits = _fits(named)
    found = [(kept, issued) for kept in authorities for issued in kept.office.books.issued.values() if fits(issued)]
    if not found:
        raise Unusable(f"no CA here issued {named!r}; `ucmlab ca list` tells what they issued")
    if len(found) > 1:
        serials = ", ".join(issued.serial for _, issued in found[:SHOWN])
        raise Unusable(f"{named!r} fits {len(found)} certificates; name one by its serial number, like {serials}")
    return found[0]


def _fits(named: str) -> Fits:
    if Path(named).is_file():
        fingerprint = _certificate(named).fingerprint
        return lambda issued: issued.fingerprint == fingerprint
    digits = fingerprint_of(named)
    serial = named.replace(":", "").lower().lstrip("0")
    return lambda issued: (
        named == issued.common_name
        or serial == issued.serial
        or (len(digits) >= SHORTEST_PREFIX and issued.fingerprint.startswith(digits))
    )


def _certificate(file: str) -> Certificate:
    try:
        return read_upload(read_file(file, READ_LIMIT))[0]
    except Refusal as refusal:
        raise Unusable(f"{file} is no certificate: {refusal.text}") from refusal
