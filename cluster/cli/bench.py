"""`ucmlab bench`: figures of this machine's lab, each beside its floor (`bench/README.md` says what they are)."""

import sys
from collections.abc import Callable, Mapping

import click

from ucmlab.cluster.bench.measuring import Aim, Figure, Say, bench_folder, commit, machine_facts, today
from ucmlab.cluster.cli.ending import DONE
from ucmlab.cluster.cli.options import json_option
from ucmlab.cluster.cli.printing import print_result, print_table


def _start(say: Say) -> Figure:
    from ucmlab.cluster.bench.start import measure_start  # noqa: PLC0415  a figure that is not asked for is not loaded

    return measure_start(say)


def _upload(say: Say) -> Figure:
    from ucmlab.cluster.bench.upload import measure_upload  # noqa: PLC0415  as above

    return measure_upload(say)


def _search(say: Say) -> Figure:
    from ucmlab.cluster.bench.search import measure_search  # noqa: PLC0415  as above

    return measure_search(say)


FIGURES: Mapping[str, Callable[[Say], Figure]] = {"start": _start, "upload": _upload, "search": _search}


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...", type=click.Choice(list(FIGURES)))
@json_option
def bench(*, names: tuple[str, ...], as_json: bool) -> int:
    """Measure this machine's lab: start, upload, search; all three take about five minutes.

    start: from the command to a converged lab. upload: from an answered upload to its file on 20 nodes. search:
    simulated seeds a minute. A figure is told beside a floor that was measured in the same run. Whether an aim is
    reached does not change the exit status: a machine is not a test. Labs are made below $TMPDIR.
    """
    with bench_folder() as folder:
        machine = machine_facts(folder)
    measured = [FIGURES[name](_say) for name in names or FIGURES]
    if as_json:
        figures = {figure.name: {**figure.measured, "aims": figure.aims} for figure in measured}
        print_result({"commit": commit(), "date": today(), "machine": machine, "figures": figures})
    else:
        rows = [_row(figure, aim) for figure in measured for aim in figure.aims]
        print_table(("FIGURE", "WHAT", "MEASURED", "AIM", ""), rows, empty="nothing was measured")
    return DONE


def _row(figure: Figure, aim: Aim) -> tuple[str, str, str, str, str]:
    bound = "≤" if aim.at_most else "≥"
    measured = f"{aim.measured:,.{2 if aim.at_most else 0}f} {aim.unit}".rstrip()
    return figure.name, aim.what, measured, f"{bound} {aim.aim:,.0f}", "reached" if aim.met else "missed"


def _say(text: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"{text} …", err=True)
