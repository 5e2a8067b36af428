"""`ucmlab cert csr`: make a certificate signing request on a node, or show or delete the one that waits.

R-142, R-151..R-153.
"""

from pathlib import Path
from typing import NoReturn

import click

from ucmlab.cluster.cli import attaching
from ucmlab.cluster.cli.answering import end_with, operation_id, refused
from ucmlab.cluster.cli.options import directory_option, json_option
from ucmlab.cluster.cli.output import check_output, output_option, write_file
from ucmlab.cluster.cli.printing import print_result
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.provision import LabHome, open_lab
from ucmlab.cluster.topology import role_of
from ucmlab.node.csr import csr_pem
from ucmlab.node.errors import Refusal
from ucmlab.node.events import DeleteCsr, GenerateCsr
from ucmlab.node.layout import HomeLayout, read_csrs
from ucmlab.node.rulebook import RuleBook


@click.command()
@click.argument("node")
@click.argument("unit")
@click.option("--key", default="", metavar="KIND", help="Like rsa-3072 or ec-256; else as the unit has it.")
@click.option(
    "--hash", "digest", default="", metavar="HASH", help="sha256, sha384 or sha512; else the key's usual one."
)
@click.option("--san", multiple=True, metavar="NAME", help="A further DNS name or IP address; may be given often.")
@click.option("--cn", "common_name", default="", metavar="NAME", help="The common name; else the unit's own.")
@click.option("--multi-server", is_flag=True, help="One request for all nodes that have the unit, copied to them.")
@click.option("--include-ou", is_flag=True, help="Name the organizational unit; earlier releases than 14SU1 always do.")
@click.option("--show", "only_show", is_flag=True, help="Show the request that waits; make none.")
@click.option("--delete", "gone", is_flag=True, help="Delete the request that waits and its key; make none.")
@output_option
@directory_option
@json_option
def csr(
    node: str,
    unit: str,
    *,
    key: str,
    digest: str,
    san: tuple[str, ...],
    common_name: str,
    multi_server: bool,
    include_ou: bool,
    only_show: bool,
    gone: bool,
    output: Path | None,
    directory: Path,
    as_json: bool,
) -> None:
    """Make a request for a certificate of an identity such as tomcat; it takes the place of the last one."""
    home = open_lab(directory)
    home.node_home(node)
    check_output(output, binary=False)
    _check_identity(home.topology.rulebook, node, unit)
    if gone:
        if only_show or output is not None:
            raise Unusable("--delete goes with neither --show nor -o: show the request first, then delete it")
        _delete(home, node, unit, as_json=as_json)
    if not only_show:
        wanted = GenerateCsr(operation_id(), unit, key, digest, san, include_ou, multi_server, common_name)
        with attaching.attach(home) as lab:
            reply = lab.operate(node, wanted)
        if reply.outcome != "done":
            end_with(reply, as_json=as_json, done="")
    _tell(_waiting(home, node, unit, as_json=as_json), node, unit, output=output, as_json=as_json)


def _check_identity(rulebook: RuleBook, node: str, unit: str) -> None:
    """See that the release has the unit; whether requests are made of it is the node's to say."""
    if unit not in rulebook.units:
        there = ", ".join(name for role, name in rulebook.csrs if role == role_of(node))
        raise Unusable(f"there is no unit {unit!r}; {node} makes requests of {there}")


def _delete(home: LabHome, node: str, unit: str, *, as_json: bool) -> NoReturn:
    with attaching.attach(home) as lab:
        reply = lab.operate(node, DeleteCsr(operation_id(), unit))
    end_with(reply, as_json=as_json, done=f"{node}: no request of {unit} waits any more")


def _waiting(home: LabHome, node: str, unit: str, *, as_json: bool) -> str:
    rulebook = home.topology.rulebook
    der = read_csrs(HomeLayout(home.node_home(node), rulebook)).get(unit)
    if der is None:
        known = rulebook.units[unit]
        missing = refused(rulebook, Refusal("csr_missing", "no request waits"), unit=unit, folder=known.folder)
        end_with(missing, as_json=as_json, done="")
    return csr_pem(der)


def _tell(pem: str, node: str, unit: str, *, output: Path | None, as_json: bool) -> None:
    if output is not None:
        write_file(output, pem.encode())
    if as_json:
        print_result({"node": node, "unit": unit, "csr": pem, "output": None if output is None else str(output)})
    elif output is None:
        click.echo(pem, nl=False)
    else:
        click.echo(f"{output}: the request of {unit} on {node}", err=True)
