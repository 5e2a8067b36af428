"""`ucmlab node`: one node of a provisioned lab in the foreground, without a supervisor, as a container runs it."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import click

from ucmlab.cluster.addresses import free_port
from ucmlab.cluster.cli.places import read_url
from ucmlab.cluster.control_messages import NodeSpec
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.labclock import ClockFile
from ucmlab.cluster.nodeprocess import Node
from ucmlab.cluster.provision import LabHome, open_lab
from ucmlab.cluster.standalone import Reception
from ucmlab.node.clock import ClockSetting
from ucmlab.node.events import StopRequested


@click.command()
@click.option(
    "--config", required=True, metavar="F", type=click.Path(path_type=Path), help="A lab's lab.json, or its folder."
)
@click.option("--name", required=True, metavar="N", help="Which node to be.")
@click.option(
    "--listen",
    default="127.0.0.1",
    metavar="ADDR",
    show_default=True,
    help="Address or name of this machine at which its services listen.",
)
def node(*, config: Path, name: str, listen: str) -> None:
    """Run one node of a lab that `ucmlab init --broker URL` made, until SIGTERM."""
    home = open_lab(config.absolute() if config.is_dir() else config.absolute().parent)
    asyncio.run(_live(home, spec_of(home, name, listen)))


def spec_of(home: LabHome, name: str, listen: str = "127.0.0.1") -> NodeSpec:
    """What a node is told that nobody supervises.

    Raises:
        Unusable: there is no such node, the lab's broker is one of its own processes, or `listen` is elsewhere.
    """
    node_home = home.node_home(name)
    url = home.lab.options.get("broker", "")
    if "://" not in url:
        raise Unusable(
            "`ucmlab up` runs this lab's broker and nodes; for single nodes make one with `ucmlab init --broker URL`"
        )
    address = read_url(url)
    return NodeSpec(
        lab=home.lab.name,
        config=home.node_config(name),
        home=str(node_home),
        logs=str(home.logs),
        endpoint=home.endpoint(name, host=address.host, port=address.port, tls=address.tls),
        host=_own_address(listen),
        ports=home.ports,
        admins=home.admins(),
        clock=clock_of(home),
        stalled=False,
        replication_broken=False,
    )


def _own_address(listen: str) -> str:
    """The IP address of a name, which others are told: in a container its service's name is its own."""
    try:
        host = socket.gethostbyname(listen)
        free_port(host, 0)
    except (OSError, UnicodeError, Unusable) as error:
        raise Unusable(
            f"--listen {listen}: this machine has no such address; say one of its own, like 127.0.0.1"
        ) from error
    return host


def clock_of(home: LabHome) -> ClockSetting:
    """Lab time of nodes that no lab tells the time: it flows since the home was made, the same for all of them."""
    file = ClockFile(home.path)
    if not file.exists:
        file.begin((home.path / "lab.json").stat().st_mtime_ns // 1000)
    return file.resume(wall_zero=home.lab.wall_start, speed=1.0, stepped=False)


async def _live(home: LabHome, spec: NodeSpec) -> None:
    alone = Node(spec)
    reception = Reception(home.path, spec.config.name, alone.shell)
    alone.attach(reception)
    alone.listeners.attach(alone.shell.offer, reception.moved)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: alone.shell.act(StopRequested()))
    click.echo(f"{spec.config.name} runs as process {os.getpid()}, bus {spec.endpoint.host}:{spec.endpoint.port}")
    sys.stdout.flush()
    try:
        await alone.run(troubles=(), replication_broken=spec.replication_broken)
    finally:
        reception.close()
