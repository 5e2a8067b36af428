"""`ucmlab fault inject|end`, and short ways to say the faults that people ask for most: `lose`, `delay`, `clock`.

What there is, what it befalls and what it takes is the catalogue's; the lab checks what it is asked, so that every way
to ask for a fault is refused in the same words.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypedDict, TypeVar, Unpack

import click

from ucmlab.cluster.cli import attaching
from ucmlab.cluster.cli.fault_list import broken, tell_broken
from ucmlab.cluster.cli.lablink import LabLink, outline_of
from ucmlab.cluster.cli.options import directory_option, json_option, span
from ucmlab.cluster.cli.printing import print_result
from ucmlab.cluster.cli.signed import SignedCommand
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.provision import open_lab


class How(TypedDict):
    """How a fault is injected, and told of."""

    count: int | None
    until: str | None
    directory: Path
    as_json: bool


Command = TypeVar("Command", bound=Callable[..., object])


def _how(command: Command) -> Command:
    """What the commands that inject have in common, after what and whom: parameters, how long, in which lab."""
    parameters = click.argument("parameters", nargs=-1, metavar="[NAME=VALUE]…")
    until = click.option("--until", metavar="T", help="It ends after so much lab time, like 5m.")
    count = click.option(
        "--count", type=int, metavar="N", help="It ends after so many uses: packets, messages, starts."
    )
    return parameters(count(until(directory_option(json_option(command)))))


@click.command(cls=SignedCommand)
@click.argument("fault")
@click.argument("target")
@_how
def inject(fault: str, target: str, parameters: tuple[str, ...], **how: Unpack[How]) -> None:
    """Inject a fault of `ucmlab fault list` into the running lab.

    TARGET is a node, `broker`, or what is one argument for the shell, groups of nodes like 'pub,sub1 / sub2'. The fault
    lasts until it is ended, unless --count or --until says otherwise.
    """
    _inject(fault, target, parameters, how)


@click.command()
@click.argument("fault")
@click.argument("target")
@directory_option
@json_option
def end(fault: str, target: str, *, directory: Path, as_json: bool) -> None:
    """End a fault that was injected; `ucmlab fault list --now` names those that stand."""
    _do(directory, lambda lab: lab.end_fault(fault, target), as_json=as_json)


def _short(name: str, fault: str, text: str) -> click.Command:
    @click.command(name, cls=SignedCommand, help=text)
    @click.argument("node")
    @_how
    def command(node: str, parameters: tuple[str, ...], **how: Unpack[How]) -> None:
        _inject(fault, node, parameters, how)

    return command


lose = _short("lose", "lose", "Lose messages of a node: `inject lose`, like `lose sub1 share=0.5 --count 2`.")
delay = _short("delay", "latency", "Make a node's link slow: `inject latency`, like `delay sub1 low=1s high=2s`.")


@click.command(cls=SignedCommand)
@click.argument("node")
@click.argument("offset", metavar="OFFSET|reset")
@directory_option
@json_option
def clock(node: str, offset: str, *, directory: Path, as_json: bool) -> None:
    """Set a node's wall clock wrong, like +48h or -10m, or right again: `reset`."""
    if offset == "reset":
        _do(directory, lambda lab: lab.end_fault("clock", node), as_json=as_json)
    else:
        how = How(count=None, until=None, directory=directory, as_json=as_json)
        _inject("clock", node, (f"offset={offset}",), how)


COMMANDS = (inject, end, lose, delay, clock)


def read_parameters(words: tuple[str, ...]) -> Mapping[str, str]:
    """Read `low=50ms high=500ms`.

    Raises:
        Unusable: a word is no pair, or names what another has named.
    """
    given: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals):
            raise Unusable(f"{word!r} is no parameter; write NAME=VALUE, like low=50ms")
        if name in given:
            raise Unusable(f"{name} is given twice")
        given[name] = value
    return given


def _inject(fault: str, target: str, parameters: tuple[str, ...], how: How) -> None:
    given, lasts = read_parameters(parameters), None if how["until"] is None else span(how["until"])
    _do(
        how["directory"],
        lambda lab: lab.inject(fault, target, given, count=how["count"], lasts=lasts),
        as_json=how["as_json"],
    )


def _do(directory: Path, act: Callable[[LabLink], None], *, as_json: bool) -> None:
    with attaching.attach(open_lab(directory)) as lab:
        act(lab)
        state = outline_of(lab)
    if as_json:
        print_result(broken(state))
    else:
        tell_broken(state)
