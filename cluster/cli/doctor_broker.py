"""`ucmlab doctor broker URL`: what a broker does that a lab might rely on, as a table and a verdict."""

import asyncio
import sys
from pathlib import Path

import click
import msgspec

from ucmlab.broker.bus import BusEndpoint
from ucmlab.cluster.carriers.choice import Carrier, read_carrier
from ucmlab.cluster.carriers.reaching import reach, system_authorities
from ucmlab.cluster.cli.ending import DONE, REFUSED
from ucmlab.cluster.cli.options import json_option
from ucmlab.cluster.cli.printing import print_result, print_table
from ucmlab.cluster.doctor.examination import Examination, examine_broker
from ucmlab.cluster.errors import Unusable

COLUMNS = ("CHECK", "FOUND", "WHAT IT MEANS FOR A LAB")


@click.command()
@click.argument("url", metavar="URL")
@click.option("--ca", type=click.Path(path_type=Path), help="What its certificate is checked with, PEM.")
@json_option
def broker(*, url: str, ca: Path | None, as_json: bool) -> None:
    """Examine the broker at mqtt://[USER:PASSWORD@]HOST[:PORT] or mqtts://…, and leave nothing on it.

    Takes ten to twenty seconds. Exit status: 0 it can carry a lab, 1 it cannot, 2 it could not be examined.
    """
    carrier = read_carrier(url)
    if carrier.kind != "url":
        raise Unusable(f"name the broker with its URL, like mqtt://127.0.0.1:1883, not {url!r}")
    if sys.stderr.isatty():
        click.echo(f"examining {carrier.text}, which takes ten to twenty seconds", err=True)
    found = asyncio.run(_examined(carrier.text, endpoint_of(carrier, ca)))
    if as_json:
        findings = msgspec.to_builtins(found.findings)
        print_result({"url": found.url, "level": found.level, "verdict": found.verdict, "checks": findings})
    else:
        print_table(COLUMNS, [(each.check, each.found, each.meaning) for each in found.findings], empty="")
        click.echo(f"{found.url} {found.verdict}")
    sys.exit(REFUSED if found.level == "cannot" else DONE)


def endpoint_of(carrier: Carrier, ca: Path | None) -> BusEndpoint:
    """How the broker is reached.

    Raises:
        Unusable: nothing says whom to trust for its certificate.
    """
    if ca is not None and not carrier.tls:
        raise Unusable("--ca goes with mqtts://: nothing else has a certificate to check")
    account = carrier.account
    return BusEndpoint(
        carrier.host,
        carrier.port,
        "doctor",
        "" if account is None else account.username,
        "" if account is None else account.password,
        None if not carrier.tls else str(ca) if ca is not None else system_authorities(),
    )


async def _examined(url: str, endpoint: BusEndpoint) -> Examination:
    await reach(endpoint)
    return await examine_broker(url, endpoint)
