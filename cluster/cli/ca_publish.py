"""`ucmlab ca chain|crl`: what a certification authority publishes."""

from pathlib import Path

import click
from cryptography import x509

from ucmlab.cluster.ca.authority import der_of, encoding_of, pem_of, pkcs7_of
from ucmlab.cluster.ca.folder import CAFolder
from ucmlab.cluster.cli.ca_place import ca_place, described, hash_option, issued_by, place_options
from ucmlab.cluster.cli.output import hand_over, output_option
from ucmlab.cluster.cli.printing import print_result
from ucmlab.cluster.errors import Unusable
from ucmlab.node.instant import from_datetime, rfc3339


@click.command()
@click.argument("name", required=False)
@click.option("--by", "issuer", metavar="NAME", help="By way of this CA, which cross-signed it.")
@click.option("--leaf", metavar="CERT", help="Begin with this certificate: a file, serial number, fingerprint or CN.")
@click.option("--pkcs7", is_flag=True, help="As PKCS#7.")
@click.option("--der", is_flag=True, help="With --pkcs7: DER instead of PEM.")
@output_option
@place_options
def chain(
    name: str | None,
    *,
    issuer: str | None,
    leaf: str | None,
    pkcs7: bool,
    der: bool,
    output: Path | None,
    directory: Path,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Print a CA's certificate and those above it, the root last. Without NAME: of the only CA, or of the leaf's."""
    if der and not pkcs7:
        raise Unusable("DER holds one certificate; for a chain say --pkcs7 --der, or leave --der out")
    certificates = _chain(ca_place(directory, folder), name, issuer, leaf)
    if output is not None or not as_json:
        content = pkcs7_of(certificates, "der" if der else "pem") if pkcs7 else pem_of(certificates)
        hand_over(content, output, binary=der)
    if as_json:
        listed = [described(der_of(certificate)) for certificate in certificates]
        named = None if output is None else str(output)
        print_result({"chain": listed, "pem": pem_of(certificates).decode(), "output": named})


@click.command()
@click.argument("name", required=False)
@click.option("--der", is_flag=True, help="DER instead of PEM.")
@hash_option
@output_option
@place_options
def crl(
    name: str | None,
    *,
    der: bool,
    digest: str,
    output: Path | None,
    directory: Path,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Print the CRL of a CA.

    It lists what the CA has revoked, and is valid for a week from now.
    """
    kept = ca_place(directory, folder).find(name)
    made = kept.office.crl(digest=digest)
    if output is not None or not as_json:
        hand_over(made.public_bytes(encoding_of("der" if der else "pem")), output, binary=der)
    if as_json:
        print_result({"ca": kept.name, **_listed(made), "output": None if output is None else str(output)})


def _chain(place: CAFolder, name: str | None, issuer: str | None, leaf: str | None) -> tuple[x509.Certificate, ...]:
    if leaf is None:
        kept, first = place.find(name), tuple[x509.Certificate, ...]()
    else:
        kept, issued = issued_by(place, name, leaf)
        first = (x509.load_pem_x509_certificate(kept.issued(issued.serial)),)
    return (*first, *(kept.office.authority.chain if issuer is None else kept.cross_chain(place.find(issuer))))


def _listed(made: x509.CertificateRevocationList) -> dict[str, object]:
    number = made.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    return {
        "number": number,
        "this_update": rfc3339(from_datetime(made.last_update_utc)),
        "next_update": None if (end := made.next_update_utc) is None else rfc3339(from_datetime(end)),
        "revoked": [f"{each.serial_number:x}" for each in made],
        "pem": made.public_bytes(encoding_of("pem")).decode(),
    }
