"""`ucmlab cert upload|delete`: what comes into trust stores and identities from outside, and what goes."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click
import msgspec

from ucmlab.cluster.certificate_list import Entry
from ucmlab.cluster.cli import attaching
from ucmlab.cluster.cli.answering import end_with, operation_id, refused
from ucmlab.cluster.cli.chain_warnings import chain_warnings
from ucmlab.cluster.cli.converging import WITHIN, Change, end_converged
from ucmlab.cluster.cli.lablink import LabLink, outline_of, state_of
from ucmlab.cluster.cli.listing import check_unit, entries, find, fingerprint_of
from ucmlab.cluster.cli.options import directory_option, json_option, yes_option
from ucmlab.cluster.cli.reading import read_file
from ucmlab.cluster.provision import open_lab
from ucmlab.node.csr_reading import is_multi_server
from ucmlab.node.errors import Refusal
from ucmlab.node.events import Delete, Upload
from ucmlab.node.instant import from_rfc3339
from ucmlab.node.upload_files import UPLOAD_LIMIT, read_upload

READ_LIMIT = 32 * UPLOAD_LIMIT
"""Bytes read of a file: far above what any node accepts, so that it is refused, and `/dev/zero` still ends."""
WARNING = (
    "deleting a certificate can affect the system, can break a certificate chain that it is part of, "
    "and cannot be undone"
)
"""R-075, R-076, R-078."""
FINGERPRINT_DIGITS = 64
_WAIT = f"Return when the cluster has converged, at most after {WITHIN} of lab time."


@click.command()
@click.argument("node")
@click.argument("purpose")
@click.argument("file", metavar="FILE|-")
@click.option("--description", default="", help="Stored with the certificate (R-068).")
@click.option("--wait", "waits", is_flag=True, help=_WAIT)
@directory_option
@json_option
def upload(
    node: str, purpose: str, file: str, *, description: str, waits: bool, directory: Path, as_json: bool
) -> None:
    """Upload certificates (PEM, PKCS#7 in PEM, one in DER) to a node for a purpose such as tomcat or tomcat-trust."""
    home = open_lab(directory)
    home.node_home(node)
    data = read_file(file, READ_LIMIT)
    with attaching.attach(home) as lab:
        reply = lab.operate(node, Upload(operation_id(), purpose, data, description))
        if waits and reply.outcome == "done":
            # The node has accepted it, so it can be read here.
            accepted = read_upload(data, der_pkcs7=home.topology.der_pkcs7)
            nodes: tuple[str, ...] = ()
            if home.topology.rulebook.units[purpose].kind == "identity":
                # Of the file one certificate is the identity; the node has found out which.
                there = state_of(lab).node(node).in_files(purpose)
                accepted = tuple(each for each in accepted if each.fingerprint in there) or accepted
                nodes = tuple(reply.nodes) if is_multi_server(accepted[0].common_name) else ()
            fingerprints = frozenset(certificate.fingerprint for certificate in accepted)
            change = Change("present", purpose, node, fingerprints, nodes)
            end_converged(lab, home.topology, reply, change, as_json=as_json)
    end_with(reply, as_json=as_json, done=f"done: uploaded to {purpose} on {node}")


@click.command()
@click.argument("node")
@click.argument("unit")
@click.argument("name", metavar="FP|NAME")
@click.option("--wait", "waits", is_flag=True, help=_WAIT)
@directory_option
@json_option
@yes_option
def delete(node: str, unit: str, name: str, *, waits: bool, directory: Path, as_json: bool, yes: bool) -> None:
    """Delete a trust certificate, named by fingerprint (or its beginning), file or common name."""
    home = open_lab(directory)
    rulebook = home.topology.rulebook
    check_unit(rulebook, unit)
    listed = entries(home, node)
    with attaching.attach(home) as lab:
        try:
            fingerprint = _meant(listed, unit, name)
            chains = chain_warnings(listed, unit, fingerprint, rulebook=rulebook, now=partial(_wall, lab))
            _confirm(chains, unit, fingerprint, yes=yes)
        except Refusal as refusal:
            end_with(refused(rulebook, refusal, unit=unit), as_json=as_json, done="")
        reply = lab.operate(node, Delete(operation_id(), unit, fingerprint))
        if reply.outcome != "refused" and (yes or as_json):  # else whoever confirmed it has read them
            reply = msgspec.structs.replace(reply, warnings=(*reply.warnings, *chains))
        if waits and reply.outcome == "done":
            change = Change("absent", unit, node, frozenset({fingerprint}))
            end_converged(lab, home.topology, reply, change, as_json=as_json)
    end_with(reply, as_json=as_json, done=f"done: deleted from {unit} on {node}")


def _wall(lab: LabLink) -> int:
    return from_rfc3339(outline_of(lab).now)


def _meant(listed: list[Entry], unit: str, name: str) -> str:
    """The fingerprint that a name means. One in full is taken as it is: the row may be there without a file."""
    bare = fingerprint_of(name)
    return bare if len(bare) == FINGERPRINT_DIGITS else find(listed, unit, name).certificate.fingerprint


def _confirm(warnings: Sequence[str], unit: str, fingerprint: str, *, yes: bool) -> None:
    """Ask, unless told not to (R-079)."""
    if yes:
        return
    asked = attaching.at_a_terminal()
    if asked:
        click.echo(f"Warning: {WARNING}.", err=True)
        for warning in warnings:
            click.echo(f"  {warning}", err=True)
    if not asked or not click.confirm(f"Delete {fingerprint[:16]} from {unit}?", err=True):
        raise Refusal("not_confirmed", "say --yes, or answer the question with y")
