"""`ucmlab cert upload|delete`: the two operations that change trust stores."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import click

from ucmlab.cluster.cli import attaching
from ucmlab.cluster.cli.answering import end_with, operation_id, refused, with_nodes
from ucmlab.cluster.cli.ending import REFUSED
from ucmlab.cluster.cli.lablink import LabLink, state_of
from ucmlab.cluster.cli.listing import Entry, check_unit, entries, find, fingerprint_of
from ucmlab.cluster.cli.options import directory_option, json_option, span, yes_option
from ucmlab.cluster.cli.snapshot import State
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.provision import LabHome, open_lab
from ucmlab.node.certificates import UPLOAD_LIMIT, read_upload
from ucmlab.node.commands import Reply
from ucmlab.node.errors import Refusal
from ucmlab.node.events import Delete, Upload

CONVERGE_WITHIN = "120s"
"""Of lab time; as `ucmlab wait` without --within."""
READ_LIMIT = 32 * UPLOAD_LIMIT
"""Bytes read of a file: far above what any node accepts, so it is refused as too large; still no `/dev/zero` fills us."""
FINGERPRINT_DIGITS = 64
WARNING = (
    "deleting a certificate can affect the system, can break a certificate chain that it is part of, "
    "and cannot be undone"
)
"""R-075, R-076, R-078."""


@click.command()
@click.argument("node")
@click.argument("purpose")
@click.argument("file", metavar="FILE|-")
@click.option("--description", default="", help="Stored with the certificate (R-068).")
@click.option("--wait", "waits", is_flag=True, help=f"Return when the cluster has converged, at most after {CONVERGE_WITHIN}.")
@directory_option
@json_option
def upload(  # noqa: PLR0913  each is an option
    node: str, purpose: str, file: str, *, description: str, waits: bool, directory: Path, as_json: bool
) -> None:
    """Upload a certificate or chain (PEM, or one certificate in DER) to a node for a purpose such as tomcat-trust."""
    data = _read(file)
    home = open_lab(directory)
    with attaching.attach(home) as lab:
        operation = Upload(operation_id(), purpose, data, description)
        reply = lab.operate(node, operation)
        if waits and reply.outcome == "done":
            _end_converged(lab, reply, _uploaded(data), (purpose, "present"), as_json=as_json)
    end_with(reply, as_json=as_json, done=f"done: uploaded to {purpose} on {node}")


@click.command()
@click.argument("node")
@click.argument("unit")
@click.argument("name", metavar="FP|NAME")
@click.option("--wait", "waits", is_flag=True, help=f"Return when the cluster has converged, at most after {CONVERGE_WITHIN}.")
@directory_option
@json_option
@yes_option
def delete(  # noqa: PLR0913  each is an option
    node: str, unit: str, name: str, *, waits: bool, directory: Path, as_json: bool, yes: bool
) -> None:
    """Delete a trust certificate, named by fingerprint (or its beginning), file or common name."""
    home = open_lab(directory)
    rulebook = home.topology.rulebook
    check_unit(rulebook, unit)
    listed = entries(home, node)
    try:
        fingerprint = _meant(listed, unit, name)
    except Refusal as refusal:
        end_with(refused(rulebook, refusal, unit=unit), as_json=as_json, done="")
    with attaching.attach(home) as lab:
        if not yes and not _confirmed(listed, unit, fingerprint):
            end_with(refused(rulebook, Refusal("not_confirmed", "")), as_json=as_json, done="")
        reply = lab.operate(node, Delete(operation_id(), unit, fingerprint))
        if waits and reply.outcome == "done":
            _end_converged(lab, reply, {fingerprint}, (unit, "absent"), as_json=as_json)
    end_with(reply, as_json=as_json, done=f"done: deleted from {unit} on {node}")


def dependants(listed: Iterable[Entry], fingerprint: str) -> list[Entry]:
    """The node's certificates that were issued under the name of this one (R-076, R-077)."""
    everything = list(listed)
    doomed = next((entry.certificate for entry in everything if entry.certificate.fingerprint == fingerprint), None)
    if doomed is None:
        return []
    found = {
        entry.certificate.fingerprint: entry
        for entry in everything
        if entry.certificate.issuer == doomed.subject and entry.certificate.fingerprint != fingerprint
    }
    return list(found.values())


def _read(file: str) -> bytes:
    try:
        if file == "-":
            return click.get_binary_stream("stdin").read(READ_LIMIT)
        with Path(file).open("rb") as source:
            return source.read(READ_LIMIT)
    except OSError as error:
        raise Unusable(f"{file} cannot be read: {error.strerror}; name a file, or - for standard input") from error


def _uploaded(data: bytes) -> set[str]:
    # The node has accepted it, so it reads the same here.
    return {certificate.fingerprint for certificate in read_upload(data)}


def _meant(listed: list[Entry], unit: str, name: str) -> str:
    """The fingerprint that a name means. One in full is taken as it is: the row may be there without a file."""
    bare = fingerprint_of(name)
    if len(bare) == FINGERPRINT_DIGITS:
        return bare
    return find(listed, unit, name).certificate.fingerprint


def _confirmed(listed: list[Entry], unit: str, fingerprint: str) -> bool:
    if not attaching.at_a_terminal():
        return False
    click.echo(f"Warning: {WARNING}.", err=True)
    for entry in dependants(listed, fingerprint):
        click.echo(f"  chain broken: {entry.name} in {entry.unit} was issued by it", err=True)
    return click.confirm(f"Delete {fingerprint[:16]} from {unit}?", err=True)


def _end_converged(
    lab: LabLink, reply: Reply, fingerprints: set[str], wanted: tuple[str, Literal["present", "absent"]], *, as_json: bool
) -> None:
    """Wait, and end with what has become of it on every node."""
    met = lab.converged(span(CONVERGE_WITHIN))
    state = state_of(lab)
    reply = with_nodes(reply, _final(state, reply, fingerprints, wanted))
    if not met:
        click.echo(f"not converged within {CONVERGE_WITHIN}", err=True)
    end_with(reply, as_json=as_json, done="done: the cluster has converged", status=None if met else REFUSED)


def _final(
    state: State, reply: Reply, fingerprints: set[str], wanted: tuple[str, Literal["present", "absent"]]
) -> dict[str, str]:
    unit, how = wanted
    words: dict[str, str] = {}
    for name, node in state.nodes.items():
        if name in reply.nodes or not reply.nodes:
            there = node.in_files(unit)
            ready = fingerprints <= there if how == "present" else not (fingerprints & there)
            reachable = node.state in ("up", "starting")
            words[name] = "done" if ready else ("pending" if reachable else "unreachable")
    return words
