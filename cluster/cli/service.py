"""`ucmlab service`: what runs on a node, and orders to it over the bus."""

from pathlib import Path
from typing import Literal, NoReturn, get_args

import click

from ucmlab.cluster.cli import attaching
from ucmlab.cluster.cli.answering import end_with, operation_id
from ucmlab.cluster.cli.lablink import LabLink, outline_of
from ucmlab.cluster.cli.options import directory_option, json_option
from ucmlab.cluster.cli.printing import print_result, print_table
from ucmlab.cluster.cli.snapshot import NodeOutline, Outline, Service, known_service, service_named
from ucmlab.cluster.provision import open_lab
from ucmlab.cluster.rolling import summed, turns
from ucmlab.node.commands import Reply
from ucmlab.node.events import OrderService
from ucmlab.node.parameter_rules import CLUSTER

Action = Literal["start", "stop", "restart", "enable", "disable"]
ACTIONS: tuple[Action, ...] = get_args(Action)
COLUMNS = ("SERVICE", "STATE", "KIND", "AT BOOT", "SINCE", "LOADED", "PENDING RESTART FOR")
_HELP = {
    "start": "Start a service of a node.",
    "stop": "Stop a service of a node; it is started again at the node's next start.",
    "restart": "Restart a service, which then loads its certificates anew; cluster: on one node after the other.",
    "enable": "Have a service started at boot; activate a feature service.",
    "disable": "Have a service not started at boot; a feature service that is stopped is then not activated.",
}


@click.group()
def service() -> None:
    """List services and order them about. Orders travel on the bus."""


@service.command("list")
@click.argument("node")
@directory_option
@json_option
def list_services(node: str, *, directory: Path, as_json: bool) -> None:
    """List the services of a node, and what each loaded at its last start."""
    found = attaching.outline(open_lab(directory)).node(node).services
    if as_json:
        print_result({"node": node, "services": found})
        return
    rows = [_row(name, each) for name, each in sorted(found.items())]
    print_table(COLUMNS, rows, empty=f"{node} has no services")


def _order(action: Action) -> click.Command:
    @click.command(action, help=_HELP[action])
    @click.argument("node", metavar="NODE|cluster" if action == "restart" else "NODE")
    @click.argument("name", metavar="SERVICE", nargs=-1, required=True)
    @directory_option
    @json_option
    def order(node: str, name: tuple[str, ...], *, directory: Path, as_json: bool) -> None:
        # Blanks are part of every service's name: with or without quotes, both are understood.
        said = " ".join(name)
        if node == CLUSTER and action == "restart":
            _restart_everywhere(said, directory, as_json=as_json)
        with attaching.attach(open_lab(directory)) as lab:
            state = outline_of(lab)
            wanted = service_named(state, node, said)
            reply = lab.operate(_control_center(state, node), OrderService(operation_id(), node, wanted, action))
            now = _state_now(lab, node, wanted) if reply.outcome == "done" else ""
        end_with(reply, as_json=as_json, done=f"done: {action} {wanted} on {node}{now}")

    return order


for _action in ACTIONS:
    service.add_command(_order(_action))


def _restart_everywhere(said: str, directory: Path, *, as_json: bool) -> NoReturn:
    with attaching.attach(open_lab(directory)) as lab:
        state = outline_of(lab)
        called = (known_service(node.services, said) for node in state.nodes.values())
        service = next(filter(None, called), said)
        states = {name: _states(node) for name, node in state.nodes.items()}
        nodes, op_id, replies = turns(service, states), operation_id(), list[Reply]()
        for node in nodes:
            order = OrderService(f"{op_id}-{node}", node, service, "restart")
            replies.append(lab.operate(_control_center(state, node), order))
            if replies[-1].outcome != "done":
                break
    end_with(summed(op_id, nodes, replies), as_json=as_json, done=f"done: restart {service} on {', '.join(nodes)}")


def _states(node: NodeOutline) -> dict[str, str]:
    return {name: found.state for name, found in node.services.items()}


def _control_center(state: Outline, node: str) -> str:
    # From the publisher's Control Center, over the bus. A subscriber's own page does it when the publisher is no help;
    # and a node that is down is asked itself, because it answers `node_down`.
    publisher = next(iter(state.nodes))
    return publisher if state.node(node).state != "down" and state.node(publisher).state == "up" else node


def _state_now(lab: LabLink, node: str, name: str) -> str:
    found = outline_of(lab).node(node).services[name]
    return f": {found.state}, {'started' if found.enabled else 'not started'} at boot"


def _row(name: str, found: Service) -> tuple[str, ...]:
    loaded = " ".join(f"{unit}:{fingerprint[:8]}" for unit, fingerprint in sorted(found.loaded.items()))
    at_boot = "yes" if found.enabled else "no"
    return (name, found.state, found.kind, at_boot, found.since, loaded, " ".join(sorted(found.pending)))
