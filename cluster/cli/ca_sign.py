"""`ucmlab ca sign`: a request from wherever it comes, honoured, ignored or distorted."""

from pathlib import Path

import click
from cryptography import x509

from ucmlab.cluster.ca.authority import der_of, pem_of, pkcs7_of
from ucmlab.cluster.ca.differences import differences
from ucmlab.cluster.ca.requests import Request, read_request
from ucmlab.cluster.ca.terms import Terms
from ucmlab.cluster.cli.answering import end_with
from ucmlab.cluster.cli.ca_place import (
    READ_LIMIT,
    ca_place,
    dates_of,
    dates_options,
    described,
    hash_option,
    place_options,
)
from ucmlab.cluster.cli.output import check_output, hand_over, output_option
from ucmlab.cluster.cli.printing import print_result
from ucmlab.cluster.cli.reading import read_file
from ucmlab.cluster.errors import Unusable
from ucmlab.node.certificates import parse
from ucmlab.node.commands import Reply
from ucmlab.node.errors import Refusal
from ucmlab.node.instant import rfc3339

_NOTHING = ("none",)


@click.command()
@click.argument("file", metavar="CSRFILE|-")
@click.option("--ca", metavar="NAME", help="Which CA signs; needless if there is one only.")
@click.option("--drop-key-usage", multiple=True, metavar="USAGE", help="Without this bit, like dataEncipherment.")
@click.option("--add-key-usage", multiple=True, metavar="USAGE", help="With this bit besides.")
@click.option("--ocsp", default="", metavar="URI", help="It names this OCSP responder.")
@click.option("--eku", multiple=True, metavar="USAGE", help="These instead, like serverAuth or an OID; or: none.")
@click.option("--san", multiple=True, metavar="NAME", help="These names and addresses instead; or: none.")
@click.option(
    "--ignore-request/--honour-request", default=None, help="Whether its extensions count.  [default: as the CA does]"
)
@click.option("--chain", is_flag=True, help="The certificates above it too.")
@click.option("--pkcs7", is_flag=True, help="As PKCS#7, with those above it.")
@click.option("--der", is_flag=True, help="DER instead of PEM.")
@hash_option
@dates_options
@output_option
@place_options
def sign(
    file: str,
    *,
    ca: str | None,
    drop_key_usage: tuple[str, ...],
    add_key_usage: tuple[str, ...],
    ocsp: str,
    eku: tuple[str, ...],
    san: tuple[str, ...],
    ignore_request: bool | None,
    chain: bool,
    pkcs7: bool,
    der: bool,
    digest: str,
    not_before: str | None,
    not_after: str | None,
    days: int | None,
    output: Path | None,
    directory: Path,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Sign a request from wherever it comes.

    It is PKCS#10 in PEM or DER; the certificate is printed. That is valid for two years, not beyond its CA. What it has
    otherwise than was asked for is said.
    """
    if der and chain and not pkcs7:
        raise Unusable("DER holds one certificate; for a chain say --pkcs7 --der, or leave --der out")
    check_output(output, binary=der)
    place = ca_place(directory, folder)
    start, end = dates_of(place, not_before, not_after, days)
    request = _request(file, as_json=as_json)
    with place.locked():
        kept = place.find(ca)
        honours = kept.office.honours_request if ignore_request is None else not ignore_request
        terms = Terms.of(
            honours_request=honours,
            drop_key_usage=drop_key_usage,
            add_key_usage=add_key_usage,
            eku=_instead(eku),
            san=_instead(san),
            ocsp=ocsp,
            digest=digest,
        )
        made = kept.office.sign(request, terms, not_before=start, not_after=end)
        kept.enter(made)
    above = kept.office.authority.chain
    if output is not None or not as_json:
        hand_over(_content(made, above, chain=chain, pkcs7=pkcs7, der=der), output, binary=der)
    _tell(made, above, differences(request, made), ca=kept.name, output=output, as_json=as_json)


def _request(file: str, *, as_json: bool) -> Request:
    data = read_file(file, READ_LIMIT)
    try:
        return read_request(data)
    except Refusal as refusal:
        end_with(Reply("", "refused", refusal.reason, refusal.text), as_json=as_json, done="")


def _instead(words: tuple[str, ...]) -> tuple[str, ...] | None:
    """Not given: as was asked; `none`: nothing."""
    if not words:
        return None
    return () if words == _NOTHING else words


def _content(
    made: x509.Certificate, above: tuple[x509.Certificate, ...], *, chain: bool, pkcs7: bool, der: bool
) -> bytes:
    if pkcs7:
        return pkcs7_of([made, *above], "der" if der else "pem")
    if der:
        return der_of(made)
    return pem_of([made, *above] if chain else [made])


def _tell(
    made: x509.Certificate,
    above: tuple[x509.Certificate, ...],
    differs: list[str],
    *,
    ca: str,
    output: Path | None,
    as_json: bool,
) -> None:
    der = der_of(made)
    if as_json:
        print_result(
            {
                "outcome": "done",
                "ca": ca,
                **described(der),
                "differs": differs,
                "pem": pem_of([made]).decode(),
                "chain_pem": pem_of([made, *above]).decode(),
                "output": None if output is None else str(output),
            }
        )
        return
    read = parse(der)
    who = read.common_name or read.subject
    click.echo(f"{who}: by {ca}, until {rfc3339(read.not_after)}, serial {read.serial}, {read.fingerprint}", err=True)
    for line in differs:
        click.echo(f"  otherwise than asked for: {line}", err=True)
