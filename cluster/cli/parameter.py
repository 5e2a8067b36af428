"""`ucmlab parameter`: what an administrator sets, on the pages of the product or by its command line (A.21).

Reading shows what the replica of a node holds on its disk at that moment, whether it runs or not; `cluster` is what the
publisher's holds. Setting goes through the node that is named, or through the publisher.
"""

from collections.abc import Iterable
from pathlib import Path

import click
import msgspec

from ucmlab.cluster.cli import attaching
from ucmlab.cluster.cli.answering import end_with, operation_id
from ucmlab.cluster.cli.options import directory_option, json_option
from ucmlab.cluster.cli.printing import print_result, print_table, printable
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.homeoutline import read_settings
from ucmlab.cluster.parameter_list import ParameterEntry, ParameterList
from ucmlab.cluster.provision import LabHome, open_lab
from ucmlab.node.commands import Reply
from ucmlab.node.errors import Refusal
from ucmlab.node.events import SetParameter
from ucmlab.node.parameter_rules import CLUSTER, edits, find, parameter_text

COLUMNS = ("PARAMETER", "PLACE", "VALUE", "PAGE")
TARGET = "NODE|cluster"


@click.group()
def parameter() -> None:
    """List, read and set parameters: of the cluster, of one side of it, or of a node."""


@parameter.command("list")
@click.argument("target", metavar=f"[{TARGET}]", default=CLUSTER)
@click.option("--page", help="Of one page only, such as 'Certificate Monitor'.")
@directory_option
@json_option
def list_parameters(target: str, *, page: str | None, directory: Path, as_json: bool) -> None:
    """List what a node reads; without a node everything that there is, each place by itself."""
    home = open_lab(directory)
    found = _of_page(_parameters(home, target).of(target), page)
    if as_json:
        print_result({"target": target, "parameters": found})
        return
    rows = [(each.name, each.place, f"{each.value} {each.unit}".strip(), each.page) for each in found]
    print_table(COLUMNS, rows, empty="the release has no parameters")


@parameter.command("get")
@click.argument("target", metavar=TARGET)
@click.argument("name")
@directory_option
@json_option
def get_parameter(target: str, name: str, *, directory: Path, as_json: bool) -> None:
    """Print the value of a parameter, and nothing else."""
    home = open_lab(directory)
    parameters = _parameters(home, target)
    try:
        found = parameters.one(find(home.topology.rulebook, name), target)
    except Refusal as refusal:
        end_with(_refused(home, refusal, name), as_json=as_json, done="")
    if as_json:
        print_result(msgspec.to_builtins(found))
    else:
        click.echo(printable(found.value))


@parameter.command("set")
@click.argument("target", metavar=TARGET)
@click.argument("values", nargs=-1, required=True, metavar="NAME VALUE [NAME VALUE]…")
@directory_option
@json_option
def set_parameter(target: str, values: tuple[str, ...], *, directory: Path, as_json: bool) -> None:
    """Set parameters of one page and save it: all of them, or none. They reach every node with the database."""
    home = open_lab(directory)
    if len(values) % 2:
        raise Unusable(f"{values[-1]!r} has no value; say NAME VALUE of each parameter")
    node = home.topology.publisher if target == CLUSTER else target
    home.node_home(node)
    with attaching.attach(home) as lab:
        try:
            # The release's own spelling goes to the node, whatever was typed: it may be no text at all.
            edited = edits(home.topology.rulebook, zip(values[::2], values[1::2], strict=True))
            (name, value), *others = [(row.name, row.judge(typed)) for row, typed in edited]
        except Refusal as refusal:
            end_with(_refused(home, refusal, values[0]), as_json=as_json, done="")
        reply = lab.operate(node, SetParameter(operation_id(), target, name, value, others=tuple(others)))
    told = ", ".join(f"{name} of {target} is {kept!r}" for name, kept in ((name, value), *others))
    end_with(reply, as_json=as_json, done=f"done: {told}")


def _parameters(home: LabHome, target: str) -> ParameterList:
    topology = home.topology
    node = topology.publisher if target == CLUSTER else target
    roles = {each.name: each.role for each in topology.nodes}
    settings = read_settings(home.node_home(node), topology.rulebook)
    return ParameterList(topology.rulebook, roles, settings)


def _of_page(found: Iterable[ParameterEntry], page: str | None) -> list[ParameterEntry]:
    there = list(found)
    if page is None:
        return there
    chosen = [each for each in there if each.page.casefold() == page.casefold()]
    if not chosen:
        pages = ", ".join(dict.fromkeys(each.page for each in there))
        raise Unusable(f"there is no page {page!r}; there are {pages}")
    return chosen


def _refused(home: LabHome, refusal: Refusal, name: str) -> Reply:
    text = parameter_text(home.topology.rulebook, refusal.reason, name, refusal.text)
    return Reply("", "refused", refusal.reason, text)
