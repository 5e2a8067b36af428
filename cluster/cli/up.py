"""`ucmlab up`: start a lab, in the foreground or as a daemon, and say where everything is."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Thread

import click
import msgspec

from ucmlab.cluster.cli.ending import REFUSED
from ucmlab.cluster.cli.lab import discard
from ucmlab.cluster.cli.making import Asked, asked_for, lab_options, make, planned, same
from ucmlab.cluster.cli.options import directory_option, json_option, span
from ucmlab.cluster.cli.printing import print_result, print_table
from ucmlab.cluster.cli.progress import Progress
from ucmlab.cluster.daemon import detached
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.labclient import connect
from ucmlab.cluster.lablock import LabLock
from ucmlab.cluster.provision import LabHome, open_lab
from ucmlab.cluster.requests import Mustered
from ucmlab.cluster.supervisor import run_lab
from ucmlab.node.instant import SECOND

COLUMNS = ("NODE", "ADDRESS", "NAME", "PID", "HOME")
NEXT = """\
next: ucmlab status                                   how it is
      ucmlab cert upload pub tomcat-trust FILE --wait upload a certificate
      ucmlab stores tomcat-trust                      where it is
      ucmlab bus --follow                             what they say to each other
      ucmlab fault kill sub1 · ucmlab down            break it, end it"""
Start = Callable[[Callable[[], None]], None]


@click.command()
@lab_options
@click.option("--fresh-keys", is_flag=True, help="Make all RSA keys anew, none from the cache.")
@click.option("--detach", "-d", is_flag=True, help="Return when the lab is ready; it runs on.")
@click.option("--timeout", default="60s", show_default=True, metavar="T", help="To become ready, in machine time.")
@directory_option
@json_option
def up(
    *,
    fresh: bool,
    phones: int,
    fresh_keys: bool,
    detach: bool,
    timeout: str,
    directory: Path,
    as_json: bool,
    **said: object,
) -> None:
    """Start a lab; one that is there is started again as it was. Without --detach the lab ends with this command."""
    asked = asked_for(phones=phones, **said)
    patience_s = span(timeout) / SECOND
    home = made_or_found(directory, asked, fresh=fresh, fresh_keys=fresh_keys)
    start = starter(home, timeout=patience_s, fresh_keys=fresh_keys)
    with Progress(home, shown=sys.stdout.isatty() and not as_json) as progress:
        if detach:
            _detach(start, home, as_json=as_json)
            progress.end()
            announce(home, mustered(home), as_json=as_json)
        else:
            _stay(start, home, progress, as_json=as_json)


def made_or_found(directory: Path, asked: Asked, *, fresh: bool, fresh_keys: bool) -> LabHome:
    """The home to start: made anew, or the one that is there if it is what is asked for and does not run.

    Raises:
        Unusable: it is another, or it runs.
    """
    if fresh:
        planned(asked)  # before anything is discarded
        discard(directory)
    if not (directory / "lab.json").exists():
        return make(directory, asked, fresh_keys=fresh_keys)
    home = open_lab(directory)
    same(home, asked)
    LabLock(directory).release()
    return home


def starter(home: LabHome, *, timeout: float, fresh_keys: bool) -> Start:
    """What runs the lab, from the options that its home keeps."""
    options = home.lab.options
    return partial(
        run_lab,
        home,
        timeout=timeout,
        speed=float(options.get("speed", "1")),
        listen_on=options.get("listen"),
        fresh_keys=fresh_keys,
    )


def mustered(home: LabHome) -> Mustered:
    """Who runs in a lab that is ready.

    Raises:
        Unusable: it has ended since.
    """
    lab = connect(home.path)
    if lab is None:
        raise Unusable(f"the lab in {home.path} was ready, and has ended; {home.logs / 'supervisor.log'} tells why")
    return lab.muster()


def announce(home: LabHome, lab: Mustered, *, as_json: bool) -> None:
    """Say that the lab is ready, where its parts are, and what to do next."""
    name, topology = home.lab.name, home.topology
    if as_json:
        nodes = msgspec.to_builtins(lab.nodes)
        broker = {"url": lab.broker_url, "pid": lab.broker_pid}
        print_result({"outcome": "done", "lab": name, "home": str(home.path), "broker": broker, "nodes": nodes})
        return
    rows = [(each, node.address, node.fqdn, str(node.pid), node.home) for each, node in lab.nodes.items()]
    print_table(COLUMNS, rows, empty="")
    click.echo(f"{name} is ready: release {topology.release}, replication {topology.replication}, bus {lab.broker_url}")
    click.echo(NEXT)


def _detach(start: Start, home: LabHome, *, as_json: bool) -> None:
    try:
        detached(start, home.logs / "supervisor.log")
    except Unusable as error:
        _not_ready(error, as_json=as_json)


def _stay(start: Start, home: LabHome, progress: Progress, *, as_json: bool) -> None:
    ready = False

    def on_ready() -> None:
        nonlocal ready
        ready = True
        progress.end()
        # The lab answers only after this has returned, so somebody else asks.
        Thread(target=_announce_here, args=(home,), kwargs={"as_json": as_json}, daemon=True).start()

    try:
        start(on_ready)
    except Unusable as error:
        if ready:
            raise
        _not_ready(error, as_json=as_json)


def _announce_here(home: LabHome, *, as_json: bool) -> None:
    announce(home, mustered(home), as_json=as_json)
    if not as_json:
        click.echo("Ctrl-C ends it")
    sys.stdout.flush()


def _not_ready(error: Unusable, *, as_json: bool) -> None:
    click.echo(f"ucmlab: {error.text}", err=True)
    if as_json:
        print_result({"outcome": "refused", "reason": "", "text": error.text})
    sys.exit(REFUSED)
