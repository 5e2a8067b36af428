"""`ucmlab ca`: the lab's own third-party certification authorities; here those that found, list and cross-sign them."""

from pathlib import Path

import click

from ucmlab.cluster.ca.authority import der_of
from ucmlab.cluster.ca.kept import Kept
from ucmlab.cluster.ca.keys import KINDS
from ucmlab.cluster.cli.ca_place import ca_place, dates_of, dates_options, described, hash_option, place_options
from ucmlab.cluster.cli.ca_publish import chain, crl
from ucmlab.cluster.cli.ca_responder import responder
from ucmlab.cluster.cli.ca_revoke import revoke, unhold
from ucmlab.cluster.cli.ca_sign import sign
from ucmlab.cluster.cli.output import check_output, hand_over, output_option
from ucmlab.cluster.cli.printing import print_result, print_table
from ucmlab.node.certificates import parse, pem
from ucmlab.node.instant import rfc3339

COLUMNS = ("CA", "ISSUER", "KEY", "EXPIRES", "ISSUED", "REVOKED", "FINGERPRINT")
SHOWN_DIGITS = 16


@click.group()
def ca() -> None:
    """The lab's own third-party certification authorities.

    They lie in the lab's home, or with --folder anywhere, and go by the lab's clock. Their private keys stay there.
    """


@ca.command()
@click.argument("name")
@click.option("--parent", metavar="NAME", help="The CA above it; without, it is a root.")
@click.option("--key", type=click.Choice(KINDS), default="rsa-2048", show_default=True, help="Its own key.")
@click.option("--ignore-request", is_flag=True, help="It gives no extension that a request asks for (R-032).")
@hash_option
@dates_options
@output_option
@place_options
def new(
    name: str,
    *,
    parent: str | None,
    key: str,
    ignore_request: bool,
    digest: str,
    not_before: str | None,
    not_after: str | None,
    days: int | None,
    output: Path | None,
    directory: Path,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Found a CA, and print its certificate. It is valid for ten years, one with --parent not beyond that one."""
    check_output(output, binary=False)
    place = ca_place(directory, folder)
    start, end = dates_of(place, not_before, not_after, days)
    with place.locked():
        kept = place.found(
            name,
            parent=None if parent is None else place.find(parent),
            key=key,
            digest=digest,
            not_before=start,
            not_after=end,
            honours_request=not ignore_request,
        )
    tell_certificate(kept.der, output, as_json=as_json, ca=kept.name, folder=str(kept.path))


@ca.command("list")
@place_options
def list_authorities(*, directory: Path, folder: Path | None, as_json: bool) -> None:
    """List the CAs; with --json what they issued too."""
    authorities = ca_place(directory, folder).all()
    if as_json:
        print_result({"authorities": [_listed(kept) for kept in authorities]})
    else:
        print_table(COLUMNS, [_row(kept) for kept in authorities], empty="there is no CA yet; say `ucmlab ca new NAME`")


@ca.command("cross-sign")
@click.argument("name")
@click.option("--by", "issuer", metavar="NAME", required=True, help="The CA that vouches for it.")
@hash_option
@dates_options
@output_option
@place_options
def cross_sign(
    name: str,
    *,
    issuer: str,
    digest: str,
    not_before: str | None,
    not_after: str | None,
    days: int | None,
    output: Path | None,
    directory: Path,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Let a CA vouch for another one.

    The certificate has the same subject and key, and another issuer. `ca chain NAME --by` prints the way up.
    """
    check_output(output, binary=False)
    place = ca_place(directory, folder)
    start, end = dates_of(place, not_before, not_after, days)
    with place.locked():
        above, below = place.find(issuer), place.find(name)
        crossed = above.office.cross_sign(below.office.authority, digest=digest, not_before=start, not_after=end)
        below.keep_cross(above, crossed)
        above.enter(crossed.certificate)
    tell_certificate(der_of(crossed.certificate), output, as_json=as_json, ca=above.name, folder=str(below.path))


for _command in (sign, chain, crl, revoke, unhold, responder):
    ca.add_command(_command)


def tell_certificate(der: bytes, output: Path | None, *, as_json: bool, **more: object) -> None:
    """Hand over a CA's certificate, and say which it is."""
    text = pem(der)
    if output is not None or not as_json:
        hand_over(text.encode(), output, binary=False)
    if as_json:
        named = None if output is None else str(output)
        print_result({"outcome": "done", **more, **described(der), "pem": text, "output": named})
    else:
        read = parse(der)
        until = rfc3339(read.not_after)
        click.echo(f"{read.common_name}: {read.key}, by {read.issuer}, until {until}, {read.fingerprint}", err=True)


def _listed(kept: Kept) -> dict[str, object]:
    books = kept.office.books
    return {
        "ca": kept.name,
        "folder": str(kept.path),
        "honours_extension_request": kept.office.honours_request,
        **described(kept.der),
        "issued": [
            {
                "serial": issued.serial,
                "fingerprint": issued.fingerprint,
                "common_name": issued.common_name,
                "not_after": rfc3339(issued.not_after),
                "revoked": None if (gone := books.revocations.get(serial)) is None else gone.reason,
            }
            for serial, issued in books.issued.items()
        ],
    }


def _row(kept: Kept) -> tuple[str, ...]:
    read, books = parse(kept.der), kept.office.books
    issuer = "itself" if read.self_signed else read.issuer
    numbers = (str(len(books.issued)), str(len(books.revocations)))
    return (kept.name, issuer, read.key, rfc3339(read.not_after)[:10], *numbers, read.fingerprint[:SHOWN_DIGITS])
