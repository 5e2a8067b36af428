"""`ucmlab version`."""

import json
import platform
from importlib.metadata import version as installed

import click

from ucmlab.cluster.cli.ending import SCHEMA


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def version(*, as_json: bool) -> None:
    """Print the version."""
    number = installed("ucmlab")
    if as_json:
        click.echo(json.dumps({"schema": SCHEMA, "version": number, "python": platform.python_version()}))
    else:
        click.echo(f"ucmlab {number}")
