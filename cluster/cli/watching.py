"""`ucmlab status`, `dump`, `events`: looking at a lab, whether it runs or not."""

import time
from collections.abc import Iterator
from pathlib import Path

import click

from ucmlab.cluster.cli import attaching
from ucmlab.cluster.cli.options import directory_option, json_option, up_command
from ucmlab.cluster.cli.places import node_addresses
from ucmlab.cluster.cli.printing import print_json, print_line, print_result, print_table
from ucmlab.cluster.cli.snapshot import NodeOutline, Outline, fault_text, read_outline
from ucmlab.cluster.journal_reader import JournalReader
from ucmlab.cluster.provision import LabHome, open_lab

COLUMNS = ("NODE", "ROLE", "RELEASE", "STATE", "PID", "ADDRESS", "DATABASE", "SERVICES", "PENDING RESTART")
FOLLOW_EVERY_S = 0.1
"""Machine time between looks at the journals. A journal is files; nobody tells that a line was added."""
_SHOWN = ("id", "at", "node", "event", "cause", "operation_id", "lab_us")
LAB = "lab"
"""What the journal calls the lab itself, which is no node."""


@click.command()
@directory_option
@json_option
def status(*, directory: Path, as_json: bool) -> None:
    """Tell on one screen how the lab is: nodes, convergence, faults."""
    home = open_lab(directory)
    whole, running = attaching.look(home)
    state = read_outline(whole)
    if as_json:
        keys = ("lab", "release", "profile", "replication", "now", "converged", "converged_except", "broker", "faults")
        nodes = {name: _summary(node) for name, node in state.nodes.items()}
        print_result({"running": running, "home": str(home.path), **{key: whole[key] for key in keys}, "nodes": nodes})
        return
    for line in _headline(home, state, running=running):
        click.echo(line)
    addresses = node_addresses(state) if running else {}
    rows = [_row(name, node, addresses.get(name, "-")) for name, node in state.nodes.items()]
    print_table(COLUMNS, rows, empty="there are no nodes")


@click.command()
@directory_option
@click.option("--json", "as_json", is_flag=True, help="It is JSON in any case.")
def dump(*, directory: Path, as_json: bool) -> None:
    """Print the whole state of the lab as JSON, read from disk and processes at this moment."""
    del as_json
    whole, _ = attaching.dump(open_lab(directory))
    print_json(whole)


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on until interrupted.")
@click.option("--name", metavar="N", help="Only events of this name.")
@click.option("--node", metavar="N", help="Only events of this node, or of `lab` itself.")
@directory_option
@json_option
def events(*, follow: bool, name: str | None, node: str | None, directory: Path, as_json: bool) -> None:
    """Print the journal: what happened, where, and what led to it."""
    home = open_lab(directory)
    if node is not None and node != LAB:
        home.node_home(node)
    for event in _events(JournalReader(home.logs), follow=follow):
        if name in (None, event.get("event")) and node in (None, event.get("node")):
            if as_json:
                print_line(event)
            else:
                click.echo(event_line(event))


def event_line(event: dict[str, object]) -> str:
    """An event as a person reads it: when, where, what, and its facts."""
    facts = " ".join(f"{key}={value}" for key, value in event.items() if key not in _SHOWN and value not in (None, ""))
    operation = f" [{event['operation_id']}]" if event.get("operation_id") else ""
    return f"{event.get('at')}  {event.get('node', ''):<6} {event.get('event')}{operation} {facts}".rstrip()


def _events(reader: JournalReader, *, follow: bool) -> Iterator[dict[str, object]]:
    seen = 0
    while True:
        found = reader.read()
        yield from found[seen:]
        seen = len(found)
        if not follow:
            return
        time.sleep(FOLLOW_EVERY_S)


def _headline(home: LabHome, state: Outline, *, running: bool) -> Iterator[str]:
    yield f"{state.lab}  release {state.release}, profile {state.profile}, replication {state.replication}  {state.now}"
    if not running:
        yield f"not running; start it with `{up_command(home.path)}`"
        return
    yield f"bus: {state.broker.kind} {state.broker.url}{', the broker is down' if state.broker.down else ''}"
    left_out = ", ".join(f"{name} ({why})" for name, why in state.converged_except.items())
    word = "converged" if state.converged else "not converged"
    yield f"{word}{f'; left out: {left_out}' if left_out else ''}"
    for fault in state.faults:
        yield f"fault: {fault_text(fault)}"


def _summary(node: NodeOutline) -> dict[str, object]:
    return {
        "role": node.role,
        "release": node.release,
        "state": node.state,
        "pid": node.pid,
        "fqdn": node.fqdn,
        "addresses": node.addresses,
        "db": node.db,
        "pending": _pending(node),
    }


def _pending(node: NodeOutline) -> list[str]:
    return [name for name, service in node.services.items() if service.pending]


def _row(name: str, node: NodeOutline, address: str) -> tuple[str, ...]:
    started = sum(service.state == "started" for service in node.services.values())
    return (
        name,
        node.role,
        node.release,
        node.state,
        str(node.pid or "-"),
        address,
        f"{node.db.epoch}:{node.db.seq} {node.db.digest[:8]}",
        f"{started} of {len(node.services)} started",
        ", ".join(_pending(node)) or "-",
    )
