"""`ucmlab upgrade`: have nodes run a later release (B.19)."""

from pathlib import Path

import click

from ucmlab.cluster.cli import attaching
from ucmlab.cluster.cli.answering import end_with, operation_id
from ucmlab.cluster.cli.options import directory_option, json_option
from ucmlab.cluster.provision import open_lab
from ucmlab.node.parameter_rules import CLUSTER


@click.command()
@click.argument("target", metavar="NODE|cluster")
@click.argument("release")
@directory_option
@json_option
def upgrade(target: str, release: str, *, directory: Path, as_json: bool) -> None:
    """Upgrade a node, or the publisher and then all others, to a later release; each is booted.

    Identities and trust stores are carried over; from 14SU2 on, expired trust certificates are not.
    """
    home = open_lab(directory)
    if target != CLUSTER:
        home.node_home(target)
    nodes = list(home.topology.names) if target == CLUSTER else [target]
    with attaching.attach(home) as lab:
        reply = lab.upgrade(nodes, release, operation_id())
    end_with(reply, as_json=as_json, done=f"done: {', '.join(reply.nodes)} upgraded to {release}")
