"""`ucmlab tls`: what a listener of a node presents on the wire, and whether who connects trusts it (R-004, R-141).

Somebody outside connects, which is this process itself: he trusts the roots of the lab's own CAs and what `--ca` names.
With `--from` a node does, with what its Cisco Tomcat loaded. Both go by the lab's clock.
"""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import click
import msgspec

from ucmlab.cluster.ca.authority import der_of
from ucmlab.cluster.ca.folder import CAFolder
from ucmlab.cluster.cli import attaching
from ucmlab.cluster.cli.answering import end_with, operation_id
from ucmlab.cluster.cli.ca_place import READ_LIMIT
from ucmlab.cluster.cli.ending import DONE, REFUSED, one_line
from ucmlab.cluster.cli.options import directory_option, json_option
from ucmlab.cluster.cli.printing import print_result, printable
from ucmlab.cluster.cli.reading import read_file
from ucmlab.cluster.cli.snapshot import NodeOutline, Outline
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.probing import listener_of, look, probe, seen
from ucmlab.cluster.provision import LabHome, open_lab
from ucmlab.node.connections import described
from ucmlab.node.errors import Refusal
from ucmlab.node.events import Connect
from ucmlab.node.instant import from_rfc3339, to_datetime
from ucmlab.node.listeners import Listener
from ucmlab.node.upload_files import read_upload

_SHOWN = ("fingerprint", "subject", "issuer", "key", "not_after", "chain")
"""What is told of the presented certificate; `chain`: how many certificates came with it and it."""


class Sight(msgspec.Struct, frozen=True):
    """What came of looking: why it was terminated, if it was, and what was presented."""

    reason: str
    text: str
    presented: Mapping[str, str]


@click.command()
@click.argument("node")
@click.argument("where", metavar="SERVICE|PORT", nargs=-1, required=True)
@click.option("--from", "caller", metavar="NODE", help="This node connects, with what its Cisco Tomcat loaded.")
@click.option("--name", metavar="HOST", help="By which name or address it is called.  [default: its full name]")
@click.option("--ec", "ec_only", is_flag=True, help="As a client that can verify EC certificates only.")
@click.option("--ca", "files", metavar="FILE", multiple=True, help="Trust these certificates too.")
@directory_option
@json_option
def tls(
    node: str,
    where: tuple[str, ...],
    *,
    caller: str | None,
    name: str | None,
    ec_only: bool,
    files: tuple[str, ...],
    directory: Path,
    as_json: bool,
) -> None:
    """See what a listener of a node presents, and whether it is trusted.

    Exit status 0: it is trusted; 1: the connection was terminated, and the reason word says why.
    """
    if caller is not None and files:
        raise Unusable(f"--ca is for who connects from outside; {caller} trusts what it loaded, upload to tomcat-trust")
    home = open_lab(directory)
    given = _certificates(files)
    state = attaching.running_outline(home)
    # Blanks are part of most services' names: with or without quotes, both are understood.
    listener = listener_of(home.topology.rulebook, " ".join(where))
    found = state.node(node)
    address = _address(node, found, listener)
    called = name or found.fqdn
    if caller is None:
        sight = _from_outside(home, state, listener, node=node, address=address, name=called, ec=ec_only, given=given)
    else:
        state.node(caller)
        asked = Connect(operation_id(), "web", node=node, listener=listener.name, name=name or "", ec_only=ec_only)
        sight = _from_node(home, caller, asked, as_json=as_json)
    place = {"node": node, "service": listener.service, "listener": listener.name, "address": address, "name": called}
    _end(place, sight, as_json=as_json)


def _address(node: str, found: NodeOutline, listener: Listener) -> str:
    address = found.addresses.get(listener.name)
    if address is not None:
        return address
    if found.state == "down":
        raise Unusable(f"{node} is down, so nothing listens there; start it with `ucmlab fault start {node}`")
    service = found.services.get(listener.service)
    if service is not None and service.state != "started":
        start = f"`ucmlab service start {node} {listener.service}`"
        raise Unusable(f"nothing listens at {listener.port} of {node}: {listener.service} is {service.state}; {start}")
    there = ", ".join(f"{each} ({at})" for each, at in found.addresses.items()) or "nothing at all"
    raise Unusable(f"nothing listens at {listener.port} of {node}, {listener.service}; there is {there}")


def _certificates(files: Sequence[str]) -> tuple[bytes, ...]:
    found: list[bytes] = []
    for file in files:
        try:
            found += [each.der for each in read_upload(read_file(file, READ_LIMIT))]
        except Refusal as refusal:
            raise Unusable(f"{file} is no certificate: {refusal.text}; --ca takes PEM or DER") from refusal
    return tuple(found)


def _from_outside(
    home: LabHome,
    state: Outline,
    listener: Listener,
    *,
    node: str,
    address: str,
    name: str,
    ec: bool,
    given: tuple[bytes, ...],
) -> Sight:
    wall = from_rfc3339(state.now)
    authorities = CAFolder(home.path / "ca", now=lambda: to_datetime(wall)).all()
    roots = (der_of(kept.office.authority.chain[-1]) for kept in authorities)
    trusted = tuple(dict.fromkeys((*roots, *given)))
    command = look(listener, node=node, name=name, trusted=trusted, ec_only=ec)
    command = msgspec.structs.replace(command, address=address)
    opened = asyncio.run(probe(command))
    reason, text = seen(command, opened, wall=wall)
    return Sight(reason, text, described(opened.chain))


def _from_node(home: LabHome, caller: str, asked: Connect, *, as_json: bool) -> Sight:
    with attaching.attach(home) as lab:
        reply = lab.operate(caller, asked)
    if reply.outcome == "indefinite":
        end_with(reply, as_json=as_json, done="")
    return Sight(reply.reason, reply.text, reply.seen)


def _end(place: dict[str, str], sight: Sight, *, as_json: bool) -> NoReturn:
    verdict = "terminated" if sight.reason else "trusted"
    if as_json:
        told = {"verdict": verdict, "reason": sight.reason, "text": sight.text}
        shown: dict[str, object] = {field: sight.presented.get(field, "") for field in _SHOWN}
        print_result({**place, **told, **shown, "chain": int(sight.presented.get("chain", "0"))})
    else:
        words = " ".join(filter(None, (verdict, sight.reason)))
        click.echo(f"{words}: {one_line(sight.text)}" if sight.text else words)
        click.echo("at           {service} of {node}, {address}, called {name}".format(**place))
        for field in _SHOWN if sight.presented else ():
            click.echo(f"{field.replace('_', ' '):<12} {printable(sight.presented.get(field, ''))}")
    sys.exit(REFUSED if sight.reason else DONE)
