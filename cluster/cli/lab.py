"""`ucmlab init`, `down`, `hosts`: a lab's home, its end, and its addresses. `up` is in a module of its own."""

from pathlib import Path

import click

from ucmlab.cluster.cli import attaching
from ucmlab.cluster.cli.making import asked_for, lab_options, make, planned
from ucmlab.cluster.cli.options import directory_option, json_option, up_command
from ucmlab.cluster.cli.places import node_addresses
from ucmlab.cluster.cli.printing import print_result
from ucmlab.cluster.cli.snapshot import Outline
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.provision import discard_lab, open_lab


@click.command()
@lab_options
@directory_option
@json_option
def init(*, fresh: bool, phones: int, directory: Path, as_json: bool, **said: object) -> None:
    """Make a lab's home: settings, credentials, the bus's keys. Nothing is started."""
    asked = asked_for(phones=phones, **said)
    planned(asked)  # before anything is discarded
    if fresh:
        discard(directory)
    home = make(directory, asked)
    if as_json:
        nodes = list(home.topology.names)
        print_result({"lab": home.lab.name, "home": str(home.path), "release": home.topology.release, "nodes": nodes})
    else:
        click.echo(
            f"made {home.lab.name} in {home.path}: {', '.join(home.topology.names)};"
            f" start it with `{up_command(directory)}`"
        )


@click.command()
@directory_option
@json_option
def down(*, directory: Path, as_json: bool) -> None:
    """End every process of the lab; its home stays, and `ucmlab up` starts it again as it was."""
    home = open_lab(directory)
    link = attaching.try_attach(home)
    if link is not None:
        link.down()
    if as_json:
        print_result({"lab": home.lab.name, "home": str(home.path), "ended": link is not None})
    else:
        click.echo(f"{home.lab.name} is down; its home stays in {home.path}" if link else "it does not run")


@click.command()
@directory_option
@json_option
def hosts(*, directory: Path, as_json: bool) -> None:
    """Print the nodes' addresses as lines for /etc/hosts."""
    state = attaching.running_outline(open_lab(directory))
    addresses = node_addresses(state)
    if len(addresses) < len(state.nodes):
        raise Unusable(f"the nodes of this lab listen nowhere yet, and its broker on {state.broker.url}")
    if as_json:
        print_result({"hosts": {name: [addresses[name], node.fqdn] for name, node in state.nodes.items()}})
    else:
        for line in hosts_lines(state, addresses):
            click.echo(line)


def hosts_lines(state: Outline, addresses: dict[str, str]) -> list[str]:
    """Address, full name, short name."""
    return [f"{addresses[name]}\t{node.fqdn} {name}" for name, node in state.nodes.items()]


def discard(directory: Path) -> None:
    """Remove the lab that is there (`--fresh`), unless it runs.

    Raises:
        Unusable: it runs, or what is there is no lab.
    """
    if (directory / "lab.json").exists() and attaching.try_attach(open_lab(directory)) is not None:
        raise Unusable(f"the lab in {directory} runs; end it with `ucmlab down` first")
    discard_lab(directory)
