"""`ucmlab cert list|show|download`: reading a node's certificates. It changes nothing (R-063)."""

from pathlib import Path

import click

from ucmlab.cluster.certificate_list import (
    KEY_FAMILIES,
    ORDERS,
    USAGES,
    Entry,
    Filters,
    KeyFamily,
    Order,
    Usage,
    chosen,
)
from ucmlab.cluster.cli import details
from ucmlab.cluster.cli.answering import end_with, refused
from ucmlab.cluster.cli.cert_change import delete, upload
from ucmlab.cluster.cli.cert_csr import csr
from ucmlab.cluster.cli.cert_identity import regenerate, reuse, selfsigned
from ucmlab.cluster.cli.ending import REFUSED
from ucmlab.cluster.cli.listing import check_unit, entries, find
from ucmlab.cluster.cli.options import directory_option, json_option, wall_instant
from ucmlab.cluster.cli.output import output_option, to_standard_output, write_file
from ucmlab.cluster.cli.printing import print_result, print_table, printable
from ucmlab.cluster.provision import LabHome, open_lab
from ucmlab.node.certificates import pem
from ucmlab.node.errors import Refusal
from ucmlab.node.instant import rfc3339

COLUMNS = ("UNIT", "CN / FILE", "ISSUER", "TYPE", "KEY", "EXPIRES", "FINGERPRINT", "DESCRIPTION")
SHOWN_DIGITS = 16
"""Of a fingerprint: enough to name a certificate by."""


@click.group()
def cert() -> None:
    """List, show, download, upload, delete, request and make the certificates of a node."""


@cert.command("list")
@click.argument("node")
@click.argument("unit", required=False)
@click.option("--usage", type=click.Choice(USAGES, case_sensitive=False), help="Identity or trust; from release 14.")
@click.option("--cn", metavar="T", help="The common name contains T, in upper or lower case.")
@click.option("--expires-before", metavar="T", help="A date or an instant, like 2027-01-31 or 2027-01-31T08:00:00Z.")
@click.option("--key", type=click.Choice(KEY_FAMILIES, case_sensitive=False), help="Kind of key.")
@click.option("--sort", "order", type=click.Choice(ORDERS), help="Sort by this; usage from release 14.")
@directory_option
@json_option
def list_certificates(
    node: str,
    unit: str | None,
    *,
    usage: Usage | None,
    cn: str | None,
    expires_before: str | None,
    key: KeyFamily | None,
    order: Order | None,
    directory: Path,
    as_json: bool,
) -> None:
    """List the certificates in a node's files; all filters given must fit."""
    home = open_lab(directory)
    rulebook = home.topology.rulebook
    check_unit(rulebook, unit)
    before = None if expires_before is None else wall_instant(expires_before)
    filters = Filters(unit=unit, usage=usage, cn=cn, expires_before=before, key=key)
    listed = entries(home, node)
    try:
        found = chosen(listed, filters, order, rulebook=rulebook)
    except Refusal as refusal:
        end_with(refused(rulebook, refusal), as_json=as_json, done="")
    if as_json:
        print_result({"node": node, "certificates": [details.summary(entry) for entry in found]})
    else:
        print_table(COLUMNS, [_row(entry) for entry in found], empty="no certificate fits")


@cert.command()
@click.argument("node")
@click.argument("unit")
@click.argument("name", metavar="[FP|NAME]", required=False)
@directory_option
@json_option
def show(node: str, unit: str, name: str | None, *, directory: Path, as_json: bool) -> None:
    """Show one certificate, named by fingerprint (or its beginning), file or common name."""
    home = open_lab(directory)
    entry = _found(home, node, unit, name, as_json=as_json)
    if as_json:
        print_result({"node": node, **details.as_json(entry)})
    else:
        for line in details.lines(entry, home.topology.rulebook.display):
            click.echo(printable(line))


@cert.command()
@click.argument("node")
@click.argument("unit")
@click.argument("name", metavar="[FP|NAME]", required=False)
@click.option("--der", is_flag=True, help="DER instead of PEM.")
@output_option
@directory_option
@json_option
def download(
    node: str, unit: str, name: str | None, *, der: bool, output: Path | None, directory: Path, as_json: bool
) -> None:
    """Download one certificate, named as in `show`."""
    entry = _found(open_lab(directory), node, unit, name, as_json=as_json)
    content = entry.certificate.der if der else pem(entry.certificate.der).encode()
    if output is not None:
        write_file(output, content)
    if as_json:
        summary = details.as_json(entry) if output is None else details.summary(entry)
        print_result({"node": node, "output": None if output is None else str(output), **summary})
    elif output is None:
        to_standard_output(content, binary=der)
    else:
        click.echo(f"{output}: {entry.name}, {entry.certificate.fingerprint}", err=True)


cert.add_command(upload)
cert.add_command(delete)
cert.add_command(csr)
cert.add_command(regenerate)
cert.add_command(selfsigned)
cert.add_command(reuse)


def _found(home: LabHome, node: str, unit: str, name: str | None, *, as_json: bool) -> Entry:
    rulebook = home.topology.rulebook
    check_unit(rulebook, unit)
    try:
        return find(entries(home, node), unit, name)
    except Refusal as refusal:
        end_with(refused(rulebook, refusal, unit=unit), as_json=as_json, done="", status=REFUSED)


def _row(entry: Entry) -> tuple[str, ...]:
    certificate = entry.certificate
    issuer = entry.name if certificate.self_signed else certificate.issuer
    expires = rfc3339(certificate.not_after)[:10]
    name = entry.name if entry.usage == "identity" else f"{entry.name} / {entry.file}"
    digits = certificate.fingerprint[:SHOWN_DIGITS]
    return (entry.unit, name, issuer, entry.kind, certificate.key, expires, digits, entry.description)
