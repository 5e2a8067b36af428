"""`ucmlab exhaust`: every order of deliveries and every moment of death of three nodes, a few operations long."""

import click

from ucmlab.cluster.cli.ending import DONE, REFUSED
from ucmlab.cluster.cli.printing import print_result
from ucmlab.cluster.search.exhaustive import NODES, Exhausted, exhaust
from ucmlab.cluster.search.plants import PLANTS
from ucmlab.node.instant import SECOND

OPERATIONS, DEPARTURES = 4, 1
SHOWN = 10
"""Schedules that are told; --json has them all."""


@click.command("exhaust")
@click.option("--operations", type=click.IntRange(1, 6), default=OPERATIONS, show_default=True, help="A sequence's.")
@click.option(
    "--departures",
    type=click.IntRange(0, 4),
    default=DEPARTURES,
    show_default=True,
    help="How often a schedule may depart from the plain one.",
)
@click.option("--plant", type=click.Choice(list(PLANTS)), help="Plant a bug: it is to be found.")
@click.option("--stop-at-first", is_flag=True, help="End with the first schedule that fails.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, operations: int, departures: int, plant: str | None, stop_at_first: bool, as_json: bool) -> int:
    """Leave nothing to chance: try every schedule of three nodes, instead of many schedules of many.

    Uploads and deletes of one certificate, on any of the nodes. A schedule departs from the plain one where a message
    comes before another, where a connection holds back what it carries, or where a process dies before a command.
    Each more of operations or departures takes many times as long.

    Exit status: 0 every invariant held, 1 one did not.
    """
    tried = exhaust(operations, departures, plant=plant, stop_at_first=stop_at_first)
    if as_json:
        print_result({"nodes": NODES, "operations": operations, "departures": departures, "tried": tried})
    else:
        _print(tried, operations, departures)
    return REFUSED if tried.found else DONE


def _print(tried: Exhausted, operations: int, departures: int) -> None:
    for found in tried.found[:SHOWN]:
        first = found.violations[0]
        click.echo(f"{first.invariant} at {first.at / SECOND:.1f} s on {first.node}: {first.text}")
        for line in (*found.operations, *found.departures):
            click.echo(f"  {line}")
    click.echo(
        f"{'failed' if tried.found else 'held'}: {tried.sequences} sequences of {operations} operations on "
        f"{', '.join(NODES)}, {departures} departures at most; {tried.schedules:,} schedules, "
        f"{tried.cut:,} of them cut short at a known state, {tried.states:,} states; {len(tried.found)} failed"
    )
