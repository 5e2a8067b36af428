"""What `--wait` adds to an operation: wait until the cluster has converged, and tell what became of it on each node."""

from typing import Literal, NoReturn

import click
import msgspec

from ucmlab.cluster.cli.answering import end_with
from ucmlab.cluster.cli.ending import REFUSED
from ucmlab.cluster.cli.lablink import LabLink, state_of
from ucmlab.cluster.cli.options import span
from ucmlab.cluster.cli.snapshot import Node, State
from ucmlab.cluster.topology import Topology
from ucmlab.node.commands import Reply

WITHIN = "120s"
"""Of lab time; as `ucmlab wait` without --within."""


class Change(msgspec.Struct, frozen=True):
    """What an operation was to bring about."""

    how: Literal["present", "absent"]
    unit: str
    node: str
    """Where it was asked for."""
    fingerprints: frozenset[str]
    nodes: tuple[str, ...] = ()
    """Where else, if the unit's own reach is not what counts: an identity for several nodes (B.8)."""

    def reaches(self, topology: Topology) -> list[str]:
        """The nodes whose files it concerns (R-022, R-023, R-080, R-081)."""
        if self.nodes:
            return list(self.nodes)
        unit = topology.rulebook.units[self.unit]
        alone = not unit.replicated if self.how == "present" else unit.delete_reach(topology.replication) == "node"
        if alone:
            return [self.node]
        return [node.name for node in topology.nodes if node.role in unit.roles]

    def stands(self, node: Node) -> str:
        """How far it is on a node."""
        there = node.in_files(self.unit)
        ready = self.fingerprints <= there if self.how == "present" else not (self.fingerprints & there)
        if ready:
            return "done"
        return "pending" if node.state in ("up", "starting") else "unreachable"


def end_converged(lab: LabLink, topology: Topology, reply: Reply, change: Change, *, as_json: bool) -> NoReturn:
    """Wait until the cluster has converged, and end the command with the nodes' final states."""
    met = lab.converged(span(WITHIN))
    if not met:
        click.echo(f"not converged within {WITHIN}; `ucmlab status` tells what it waits for", err=True)
    nodes = final(state_of(lab), topology, change)
    reply = msgspec.structs.replace(reply, nodes=nodes)
    what = "uploaded to" if change.how == "present" else "deleted from"
    done = f"done: {what} {change.unit} on {change.node}{', the cluster has converged' if met else ''}"
    end_with(reply, as_json=as_json, done=done, status=None if met else REFUSED)


def final(state: State, topology: Topology, change: Change) -> dict[str, str]:
    """How far the change is on each node that it concerns."""
    return {name: change.stands(state.node(name)) for name in change.reaches(topology)}
