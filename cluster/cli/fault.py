"""`ucmlab fault`: break something, or mend it. Orders go to the lab, never over the bus that they may break."""

import re
from collections.abc import Callable
from pathlib import Path

import click

from ucmlab.cluster.cli import attaching
from ucmlab.cluster.cli.fault_inject import COMMANDS
from ucmlab.cluster.cli.fault_list import broken, list_faults, tell_broken
from ucmlab.cluster.cli.lablink import LabLink, outline_of
from ucmlab.cluster.cli.options import directory_option, json_option
from ucmlab.cluster.cli.printing import print_result
from ucmlab.cluster.cli.snapshot import Outline
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.network import BROKER
from ucmlab.cluster.outside.received import PLACES
from ucmlab.cluster.provision import open_lab

_HELP = {
    "kill": "Kill a node or the broker: SIGKILL, nothing in order.",
    "stop": "Stop a node, the broker, or a server outside, in order.",
    "start": "Start a node, the broker, or a server outside, again.",
    "pause": "Freeze a node: it keeps its connections and answers nothing.",
    "resume": "Let a frozen node go on.",
}
_MENDS_AND_BREAKS_BROKER = ("kill", "stop", "start")


@click.group()
def fault() -> None:
    """Break something, or mend it."""


def _life(what: str) -> click.Command:
    where = "NODE|broker" if what in _MENDS_AND_BREAKS_BROKER else "NODE"
    where += f"|{'|'.join(PLACES)}" if what in ("stop", "start") else ""

    @click.command(what, help=_HELP[what])
    @click.argument("target", metavar=where)
    @directory_option
    @json_option
    def command(target: str, *, directory: Path, as_json: bool) -> None:
        if target == BROKER and what not in _MENDS_AND_BREAKS_BROKER:
            raise Unusable(f"the broker cannot be {what}d; it can be killed, stopped and started")
        _do(directory, lambda lab: lab.fault(what, target), target, as_json=as_json)

    return command


for _what in _HELP:
    fault.add_command(_life(_what))


@fault.command()
@click.argument("node")
@directory_option
@json_option
def isolate(node: str, *, directory: Path, as_json: bool) -> None:
    """Take a node away from everything, the bus included."""
    _do(directory, lambda lab: lab.fault("isolate", node), node, as_json=as_json)


@fault.command()
@click.argument("words", nargs=-1, required=True, metavar="NODES / NODES … [broker=GROUP]")
@directory_option
@json_option
def partition(words: tuple[str, ...], *, directory: Path, as_json: bool) -> None:
    """Cut the network into groups, like `pub,sub1 / sub2`; nodes that are not named are one more group.

    The broker stands with the publisher, unless broker= names the number of a group (from 1) or a node of it.
    """
    groups, broker = read_groups(words)
    _do(directory, lambda lab: lab.partition(groups, broker), None, as_json=as_json)


@fault.command()
@click.argument("node", required=False)
@directory_option
@json_option
def heal(node: str | None, *, directory: Path, as_json: bool) -> None:
    """Make the network whole again, or rejoin one node."""
    _do(directory, lambda lab: lab.fault("heal", node), node, as_json=as_json)


@fault.command()
@click.argument("how", metavar="break|repair", type=click.Choice(["break", "repair"]))
@click.argument("node")
@directory_option
@json_option
def replication(how: str, node: str, *, directory: Path, as_json: bool) -> None:
    """Break or repair the replication of the database to a node."""
    publisher = open_lab(directory).topology.publisher
    if node == publisher:
        raise Unusable(f"{publisher} is where replication comes from; name a node that it replicates to")
    _do(directory, lambda lab: lab.fault(how, node), node, as_json=as_json)


fault.add_command(list_faults)
for _command in COMMANDS:
    fault.add_command(_command)


def read_groups(words: tuple[str, ...]) -> tuple[list[list[str]], int | None]:
    """Read `pub,sub1 / sub2 broker=2`: the groups, and the number (from 0) of the broker's.

    Raises:
        Unusable: it does not say that.
    """
    named = [word for word in words if word.startswith("broker=")]
    rest = " ".join(word for word in words if not word.startswith("broker="))
    groups = [[name for name in re.split(r"[,\s]+", group) if name] for group in rest.split("/")]
    if len(named) > 1 or not all(groups):
        raise Unusable("write groups of nodes with / between them, like `pub,sub1 / sub2 broker=2`")
    return groups, _broker_group(named[0].removeprefix("broker="), groups) if named else None


def _broker_group(name: str, groups: list[list[str]]) -> int:
    for number, group in enumerate(groups):
        if name == str(number + 1) or name in group or name == ",".join(group):
            return number
    raise Unusable(f"broker={name} names no group; say a number from 1 to {len(groups)}, or a node of the group")


def _do(directory: Path, act: Callable[[LabLink], None], node: str | None, *, as_json: bool) -> None:
    with attaching.attach(open_lab(directory)) as lab:
        if node not in (None, BROKER, *PLACES):
            outline_of(lab).node(node)
        act(lab)
        state = outline_of(lab)
    _tell(state, node, as_json=as_json)


def _tell(state: Outline, target: str | None, *, as_json: bool) -> None:
    if as_json:
        print_result(broken(state))
    else:
        tell_broken(state, target)
