"""`ucmlab plant` and `ucmlab age`: set up a state as a customer brings it. Not the product's, and journaled so."""

from pathlib import Path

import click

from ucmlab.cluster.cli import attaching
from ucmlab.cluster.cli.answering import end_with, operation_id
from ucmlab.cluster.cli.cert_change import READ_LIMIT
from ucmlab.cluster.cli.options import directory_option, json_option, span
from ucmlab.cluster.cli.reading import read_file
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.provision import open_lab
from ucmlab.node.events import Age, Plant

PLACES = ("files", "database")


@click.command()
@click.argument("node")
@click.argument("unit")
@click.argument("file", metavar="FILE|-")
@click.option("--only", type=click.Choice(PLACES), help="There alone; else in the node's files and the database.")
@directory_option
@json_option
def plant(node: str, unit: str, file: str, *, only: str | None, directory: Path, as_json: bool) -> None:
    """Put certificates into a trust unit past all rules: expired ones, of a name that is there, in one place only."""
    home = open_lab(directory)
    home.node_home(node)
    data = read_file(file, READ_LIMIT)
    wanted = Plant(operation_id(), unit, data, files=only != "database", database=only != "files")
    with attaching.attach(home) as lab:
        reply = lab.operate(node, wanted)
    end_with(reply, as_json=as_json, done=f"done: planted in {unit} on {node}")


@click.command()
@click.argument("node")
@click.argument("unit")
@click.option("--expires-in", metavar="T", help="When the identity is to end, from now: like 3d or 12h.")
@click.option("--expired", metavar="T", help="How long ago it ended.")
@directory_option
@json_option
def age(node: str, unit: str, *, expires_in: str | None, expired: str | None, directory: Path, as_json: bool) -> None:
    """Give a node a self-signed identity that expires soon, or has expired, in the place of the one it has."""
    if (expires_in is None) == (expired is None):
        raise Unusable("say when it ends: --expires-in 3d, or --expired 3d")
    ends = span(expires_in) if expires_in is not None else -span(expired or "")
    home = open_lab(directory)
    home.node_home(node)
    with attaching.attach(home) as lab:
        reply = lab.operate(node, Age(operation_id(), unit, ends))
    done = f"done: {unit} on {node} has a certificate that ends then; services have it after their next start"
    end_with(reply, as_json=as_json, done=done)
