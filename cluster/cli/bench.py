"""`ucmlab bench`: figures of this machine's lab, each beside its floor (`bench/README.md` says what they are)."""

import sys
from collections.abc import Mapping
from importlib import import_module

import click

from ucmlab.cluster.bench.measuring import Aim, Figure, bench_folder, commit, machine_facts, today
from ucmlab.cluster.cli.ending import DONE
from ucmlab.cluster.cli.options import json_option
from ucmlab.cluster.cli.printing import print_result, print_table

WHOLE = 100
"""From here on nobody asks for a fraction."""
_BENCH = "ucmlab.cluster.bench"
FIGURES: Mapping[str, str] = {
    "start": f"{_BENCH}.start:measure_start",
    "memory": f"{_BENCH}.memory:measure_memory",
    "upload": f"{_BENCH}.upload:measure_upload",
    "bulk": f"{_BENCH}.upload:measure_bulk",
    "broker": f"{_BENCH}.brokers:measure_broker",
    "search": f"{_BENCH}.search:measure_search",
    "web": f"{_BENCH}.web:measure_web",
    "ssh": f"{_BENCH}.logins:measure_ssh",
    "interfaces": f"{_BENCH}.interfaces:measure_interfaces",
    "idle": f"{_BENCH}.memory:measure_idle",
    "laws": f"{_BENCH}.laws:measure_laws",
}
"""By name, where each is: what is not asked for is not imported."""


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...", type=click.Choice(list(FIGURES)))
@json_option
def bench(*, names: tuple[str, ...], as_json: bool) -> int:
    """Measure this machine's lab: the named figures, or all of them in about fifteen minutes.

    \b
    start       from the command to a converged lab
    memory      what a further node needs
    upload      from an answered upload to its file on 20 nodes
    bulk        500 certificates to 20 nodes
    broker      the embedded broker's fan-out beside Mosquitto's
    search      simulated seeds a minute
    web         requests to the certificate API beside a bare server
    ssh         log-ins at a node's command line beside a bare server
    interfaces  what a node's listeners cost before and after a client
    idle        a virtual day of 21 nodes, and some real seconds
    laws        how costs grow: up to 200 real nodes, 2,000 simulated ones

    A figure is told beside a floor that was measured in the same run. Whether an aim is reached does not change the
    exit status: a machine is not a test. Labs are made below $TMPDIR.
    """  # noqa: D301  a backspace, which has click leave the lines of the paragraph alone
    with bench_folder() as folder:
        machine = machine_facts(folder)
    measured = [_measure(FIGURES[name]) for name in names or FIGURES]
    if as_json:
        figures = {figure.name: {**figure.measured, "aims": figure.aims} for figure in measured}
        print_result({"commit": commit(), "date": today(), "machine": machine, "figures": figures})
    else:
        rows = [_row(figure, aim) for figure in measured for aim in figure.aims]
        print_table(("FIGURE", "WHAT", "MEASURED", "AIM", ""), rows, empty="nothing was measured")
        for figure in measured:
            if "skipped" in figure.measured:
                click.echo(f"{figure.name} was skipped: {figure.measured['skipped']}")
    return DONE


def _measure(where: str) -> Figure:
    module, _, function = where.partition(":")
    figure = getattr(import_module(module), function)(_say)
    if not isinstance(figure, Figure):
        raise TypeError(f"{where} measures no figure")
    return figure


def _row(figure: Figure, aim: Aim) -> tuple[str, str, str, str, str]:
    bound = "≤" if aim.at_most else "≥"
    measured = f"{aim.measured:,.{0 if aim.measured >= WHOLE else 2}f} {aim.unit}".rstrip()
    return figure.name, aim.what, measured, f"{bound} {aim.aim:,g}", "reached" if aim.met else "missed"


def _say(text: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"{text} …", err=True)
