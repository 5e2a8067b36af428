"""`ucmlab fault list`: every fault that there is, and what is broken now."""

from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from ucmlab.cluster.cli import attaching
from ucmlab.cluster.cli.options import directory_option, json_option
from ucmlab.cluster.cli.printing import print_result, print_table
from ucmlab.cluster.cli.snapshot import Outline, fault_text
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.faults.catalogue import Fault, catalogue, groups
from ucmlab.cluster.network import BROKER
from ucmlab.cluster.provision import open_lab

COLUMNS = ("FAULT", "GROUP", "BEFALLS", "MODES", "PARAMETERS", "WHAT IT DOES")


@click.command("list")
@click.option("--group", type=click.Choice(groups()), help="Only the faults of one group.")
@click.option("--now", "only_now", is_flag=True, help="Only what is broken in the lab now.")
@directory_option
@json_option
def list_faults(*, group: str | None, only_now: bool, directory: Path, as_json: bool) -> None:
    """List the faults that there are, and what is broken in the lab now, if there is a lab."""
    rows = [] if only_now else [row for row in catalogue().values() if group in (None, row.group)]
    state = _state(directory, needed=only_now)
    if as_json:
        now = {} if state is None else broken(state)
        print_result({"catalogue": [_as_json(row) for row in rows], **now} if rows else now)
        return
    if rows:
        print_table(COLUMNS, [_cells(row) for row in rows], empty="")
    if state is not None:
        if rows:
            click.echo("\nin the lab now:")
        tell_broken(state)


def _state(directory: Path, *, needed: bool) -> Outline | None:
    """How the lab is; None when there is none and none is needed."""
    try:
        home = open_lab(directory)
    except Unusable:
        if needed:
            raise
        return None
    return attaching.outline(home)


def broken(state: Outline) -> dict[str, object]:
    """What is broken, for programs."""
    nodes = {name: node.state for name, node in state.nodes.items()}
    return {"outcome": "done", "faults": state.faults, "nodes": nodes, "broker": broker_life(state)}


def tell_broken(state: Outline, target: str | None = None) -> None:
    """The same for people; how `target` is comes first."""
    parts = {BROKER: broker_life(state), **{name: node.state for name, node in state.nodes.items()}}
    if target is not None:
        click.echo(f"{target}: {parts.get(target) or place_life(state, target)}")
    for each in state.faults:
        click.echo(fault_text(each))
    left_out = [f"{name}: {word}" for name, word in parts.items() if word not in ("up", "starting") and name != target]
    if left_out:
        click.echo("  ".join(left_out))
    if target is None and not state.faults and not left_out:
        click.echo("nothing is broken")


def place_life(state: Outline, place: str) -> str:
    """How a server outside is: `up`, or what is wrong with it."""
    wrong = (fault["state"] for fault in state.faults if fault["fault"] == "outside" and fault["target"] == place)
    return next(wrong, "up")


def broker_life(state: Outline) -> str:
    """Whether the broker is up."""
    return "down" if state.broker.down else "up"


def _cells(row: Fault) -> Sequence[str]:
    parameters = " ".join(f"{name}={parameter.default or ''}" for name, parameter in row.parameters.items())
    return (row.name, row.group, row.target, "both" if len(row.where) > 1 else row.where[0], parameters, row.text)


def _as_json(row: Fault) -> dict[str, object]:
    return {name: value for name, value in msgspec.structs.asdict(row).items() if name != "where"} | {
        "modes": list(row.where)
    }
