"""`ucmlab cert regenerate|selfsigned|reuse`: another certificate in the place of an identity (A.9, B.3, B.9)."""

from pathlib import Path
from typing import NoReturn

import click

from ucmlab.cluster.cli import attaching
from ucmlab.cluster.cli.answering import end_with, operation_id, refused
from ucmlab.cluster.cli.options import directory_option, json_option, yes_option
from ucmlab.cluster.provision import LabHome, open_lab
from ucmlab.node.errors import Refusal
from ucmlab.node.events import GenerateSelfSigned, Regenerate, ReuseCertificate


@click.command()
@click.argument("node")
@click.argument("unit")
@directory_option
@json_option
@yes_option
def regenerate(node: str, unit: str, *, directory: Path, as_json: bool, yes: bool) -> None:
    """Make a new self-signed certificate for an identity such as tomcat, with a key of the same length."""
    _make(node, Regenerate(operation_id(), unit), directory=directory, as_json=as_json, yes=yes)


@click.command()
@click.argument("node")
@click.argument("unit")
@click.option("--key", default="", metavar="KIND", help="Like rsa-3072 or ec-256; else as the unit has it.")
@click.option("--years", type=int, default=0, metavar="N", help="5, 10, 15 or 20; else as the unit has it.")
@click.option(
    "--hash", "digest", default="", metavar="HASH", help="sha256, sha384 or sha512; else the key's usual one."
)
@click.option("--cn-serial", is_flag=True, help="Have the serial number follow the common name; from 14SU1.")
@click.option("--multi-server", is_flag=True, help="One for all nodes that have the unit, key included; from 14.")
@click.option("--include-ou", is_flag=True, help="Name the organizational unit; earlier releases than 14SU1 always do.")
@directory_option
@json_option
@yes_option
def selfsigned(
    node: str,
    unit: str,
    *,
    key: str,
    years: int,
    digest: str,
    cn_serial: bool,
    multi_server: bool,
    include_ou: bool,
    directory: Path,
    as_json: bool,
    yes: bool,
) -> None:
    """Make a new self-signed certificate for an identity, of the key, hash and validity that are said."""
    wanted = GenerateSelfSigned(operation_id(), unit, key, digest, years, cn_serial, include_ou, multi_server)
    _make(node, wanted, directory=directory, as_json=as_json, yes=yes)


@click.command()
@click.argument("node")
@click.argument("unit")
@directory_option
@json_option
@yes_option
def reuse(node: str, unit: str, *, directory: Path, as_json: bool, yes: bool) -> None:
    """Have tomcat's multi-server certificate stand in for CallManager's (or the ECDSA pair), on all nodes; from 14."""
    _make(node, ReuseCertificate(operation_id(), unit), directory=directory, as_json=as_json, yes=yes)


def _make(
    node: str, wanted: Regenerate | GenerateSelfSigned | ReuseCertificate, *, directory: Path, as_json: bool, yes: bool
) -> NoReturn:
    home = open_lab(directory)
    home.node_home(node)
    with attaching.attach(home) as lab:
        _confirm(home, wanted.unit, as_json=as_json, yes=yes)
        reply = lab.operate(node, wanted)
    done = f"done: new certificate of {wanted.unit} on {node}; services have it after their next start"
    end_with(reply, as_json=as_json, done=done)


def _confirm(home: LabHome, unit: str, *, as_json: bool, yes: bool) -> None:
    """Ask, unless told not to (R-089); the first line is the product's (B.9)."""
    if yes:
        return
    asked = attaching.at_a_terminal()
    if asked:
        text = f"This operation will overwrite any CA signed certificate previously imported for {unit}"
        click.echo(f"Warning: {text}.", err=True)
    if not asked or not click.confirm("Proceed with regeneration?", err=True):
        refusal = Refusal("not_confirmed", "say --yes, or answer the question with y")
        end_with(refused(home.topology.rulebook, refusal, unit=unit), as_json=as_json, done="")
