"""`ucmlab wait` and `ucmlab time`: let lab time pass until something is so, read it, move it."""

import sys
import time as machine
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from ucmlab.cluster.cli import attaching
from ucmlab.cluster.cli.ending import DONE, REFUSED
from ucmlab.cluster.cli.lablink import LabLink, outline_of, state_of
from ucmlab.cluster.cli.listing import SHORTEST_PREFIX, fingerprint_of
from ucmlab.cluster.cli.options import directory_option, json_option, span
from ucmlab.cluster.cli.printing import print_result
from ucmlab.cluster.cli.signed import SignedCommand
from ucmlab.cluster.cli.snapshot import State, service_named
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.journal_reader import JournalReader
from ucmlab.cluster.provision import LabHome, open_lab
from ucmlab.node.instant import from_rfc3339

LOOK_EVERY_S = 0.05
"""Machine time between two looks at the lab."""
_Three = tuple[str, str, str] | None


class Condition(msgspec.Struct, frozen=True):
    """What is waited for."""

    text: str
    holds: Callable[[State], bool]


@click.command()
@click.option("--converged", is_flag=True, help="Until all members that take part agree.")
@click.option("--event", metavar="NAME", help="Until the journal of this run has an event of that name.")
@click.option("--file", type=(str, str, str), metavar="NODE UNIT FP", help="Until it is in the node's files.")
@click.option("--absent", type=(str, str, str), metavar="NODE UNIT FP", help="Until it is not in the node's files.")
@click.option("--presents", type=(str, str, str), metavar="NODE SERVICE FP", help="Until the service uses it.")
@click.option("--within", default="120s", show_default=True, metavar="T", help="At most so long, in lab time.")
@directory_option
@json_option
def wait(
    *,
    converged: bool,
    event: str | None,
    file: _Three,
    absent: _Three,
    presents: _Three,
    within: str,
    directory: Path,
    as_json: bool,
) -> None:
    """Wait until something is so. Exit status 0: it is; 1: it was not in time."""
    home = open_lab(directory)
    asked: list[Condition] = []
    if converged:
        asked.append(Condition("the cluster has converged", lambda state: state.converged))
    if event is not None:
        asked.append(_event(home, event))
    if file is not None:
        asked.append(_file(*file))
    if absent is not None:
        asked.append(_absent(*absent))
    if presents is not None:
        asked.append(_presents(*presents))
    if len(asked) != 1:
        raise Unusable("say one thing to wait for: --converged, --event, --file, --absent or --presents")
    longest = span(within)
    with attaching.attach(home) as lab:
        met = until(lab, asked[0].holds, longest)
    _tell(asked[0], within, met=met, as_json=as_json)


def until(lab: LabLink, holds: Callable[[State], bool], within: int) -> bool:
    """Look again and again until it holds, at most `within` lab microseconds; whether it did."""
    state = state_of(lab)
    deadline = from_rfc3339(state.now) + within
    while not holds(state):
        if from_rfc3339(state.now) >= deadline:
            return False
        machine.sleep(LOOK_EVERY_S)
        state = state_of(lab)
    return True


@click.group()
def time() -> None:
    """Read or move the lab's time."""


@time.command()
@directory_option
@json_option
def now(*, directory: Path, as_json: bool) -> None:
    """Print the lab's wall clock."""
    found = attaching.outline(open_lab(directory)).now
    if as_json:
        print_result({"now": found})
    else:
        click.echo(found)


@time.command(cls=SignedCommand)
@click.argument("duration", metavar="T")
@directory_option
@json_option
def advance(duration: str, *, directory: Path, as_json: bool) -> None:
    """Jump over T, like 31m; every timer that is due on the way fires in its order."""
    length = span(duration)
    _move(directory, lambda lab: lab.advance(length), as_json=as_json)


@time.command(cls=SignedCommand)
@click.argument("factor", metavar="N", type=click.FloatRange(min=0, min_open=True, max=100_000))
@directory_option
@json_option
def speed(factor: float, *, directory: Path, as_json: bool) -> None:
    """Let N seconds of lab time pass in one of the machine's."""
    _move(directory, lambda lab: lab.speed(factor), as_json=as_json)


def _move(directory: Path, move: Callable[[LabLink], None], *, as_json: bool) -> None:
    with attaching.attach(open_lab(directory)) as lab:
        move(lab)
        found = outline_of(lab).now
    if as_json:
        print_result({"now": found})
    else:
        click.echo(found)


def _event(home: LabHome, name: str) -> Condition:
    reader = JournalReader(home.logs)

    def holds(_state: State) -> bool:
        # Of this run, and not only from now on: who starts to wait a moment too late must not wait for ever.
        happened = [event.get("event") for event in reader.read()]
        began = max((at for at, each in enumerate(happened) if each == "lab_started"), default=0)
        return name in happened[began:]

    return Condition(f"an event {name} has happened", holds)


def _file(node: str, unit: str, fingerprint: str) -> Condition:
    return Condition(f"{node} has {fingerprint} in {unit}", lambda state: _in_files(state, node, unit, fingerprint))


def _absent(node: str, unit: str, fingerprint: str) -> Condition:
    text = f"{node} has no {fingerprint} in {unit}"
    return Condition(text, lambda state: not _in_files(state, node, unit, fingerprint))


def _presents(node: str, service: str, fingerprint: str) -> Condition:
    wanted = _prefix(fingerprint)

    def holds(state: State) -> bool:
        found = state.node(node).services[service_named(state, node, service)]
        # What a service loaded at its last start is what it presents (domain.md 0.3, fact 5).
        return found.state == "started" and any(each.startswith(wanted) for each in found.loaded.values())

    return Condition(f"{service} on {node} presents {fingerprint}", holds)


def _in_files(state: State, node: str, unit: str, fingerprint: str) -> bool:
    found = state.node(node)
    if unit not in found.identities and unit not in found.trust:
        raise Unusable(f"{node} has no unit {unit!r}; there are {', '.join((*found.identities, *found.trust))}")
    wanted = _prefix(fingerprint)
    return any(each.startswith(wanted) for each in found.in_files(unit))


def _prefix(fingerprint: str) -> str:
    bare = fingerprint_of(fingerprint)
    if len(bare) < SHORTEST_PREFIX or not set(bare) <= set("0123456789abcdef"):
        raise Unusable(f"{fingerprint!r} is no SHA-256 fingerprint; give at least {SHORTEST_PREFIX} of its hex digits")
    return bare


def _tell(condition: Condition, within: str, *, met: bool, as_json: bool) -> None:
    if as_json:
        print_result({"met": met, "text": condition.text})
    elif met:
        click.echo(f"met: {condition.text}")
    else:
        click.echo(f"not met within {within}: {condition.text}", err=True)
    sys.exit(DONE if met else REFUSED)
