"""`ucmlab ca revoke|unhold`: taking back what a certification authority issued."""

from pathlib import Path

import click

from ucmlab.cluster.ca.office import Issued
from ucmlab.cluster.ca.revocations import REASONS, UNSPECIFIED
from ucmlab.cluster.cli.ca_place import ca_place, issued_by, place_options
from ucmlab.cluster.cli.printing import print_result
from ucmlab.node.instant import rfc3339


@click.command()
@click.argument("certificate", metavar="CERT")
@click.option("--ca", metavar="NAME", help="Look at this CA only.")
@click.option(
    "--reason",
    type=click.Choice(REASONS, case_sensitive=False),
    default=UNSPECIFIED,
    show_default=True,
    help="certificateHold can be lifted.",
)
@place_options
def revoke(
    certificate: str, *, ca: str | None, reason: str, directory: Path, folder: Path | None, as_json: bool
) -> None:
    """Revoke a certificate.

    CERT is a file, a serial number, a fingerprint (or its beginning) or a common name.
    """
    place = ca_place(directory, folder)
    with place.locked():
        kept, issued = issued_by(place, ca, certificate)
        made = kept.office.revoke(issued.serial, reason)
        kept.save_books()
    _tell(
        kept.name, issued, f"revoked, {made.reason}", as_json=as_json, reason=made.reason, revoked_at=rfc3339(made.at)
    )


@click.command()
@click.argument("certificate", metavar="CERT")
@click.option("--ca", metavar="NAME", help="Look at this CA only.")
@place_options
def unhold(certificate: str, *, ca: str | None, directory: Path, folder: Path | None, as_json: bool) -> None:
    """Lift the hold of a certificate.

    CERT, as in `revoke`, was revoked with the reason certificateHold.
    """
    place = ca_place(directory, folder)
    with place.locked():
        kept, issued = issued_by(place, ca, certificate)
        kept.office.unhold(issued.serial)
        kept.save_books()
    _tell(kept.name, issued, "on hold no more", as_json=as_json, reason=None, revoked_at=None)


def _tell(ca: str, issued: Issued, what: str, *, as_json: bool, **more: str | None) -> None:
    if as_json:
        named = {"serial": issued.serial, "fingerprint": issued.fingerprint, "common_name": issued.common_name}
        print_result({"outcome": "done", "ca": ca, **named, **more})
    else:
        click.echo(f"done: {issued.common_name or issued.serial} by {ca}: {what}")
