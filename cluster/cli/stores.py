"""`ucmlab stores`: which certificate is on which node, in its files and in its database."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import msgspec

from ucmlab.cluster.cli import attaching
from ucmlab.cluster.cli.listing import check_unit
from ucmlab.cluster.cli.options import directory_option, json_option
from ucmlab.cluster.cli.printing import print_result, print_table
from ucmlab.cluster.cli.snapshot import Node, State
from ucmlab.cluster.provision import open_lab

_SHOWN_DIGITS = 16
WORDS = {(True, True): "both", (True, False): "file only", (False, True): "row only", (False, False): "-"}
"""(in the files, in the database) to a cell of the table."""


class Place(msgspec.Struct, frozen=True):
    """Where a certificate is on one node: the two copies of everything (domain.md 0.3, fact 1)."""

    file: bool
    database: bool


class Line(msgspec.Struct, frozen=True):
    """One certificate of one unit."""

    unit: str
    fingerprint: str
    subject: str | None
    """None when it is in no node's files."""
    nodes: dict[str, Place]


@click.command()
@click.argument("unit", required=False)
@directory_option
@json_option
def stores(unit: str | None, *, directory: Path, as_json: bool) -> None:
    """Show which certificate is on which node: in its files, in its database, or in both."""
    home = open_lab(directory)
    check_unit(home.topology.rulebook, unit)
    state = attaching.state(home)
    found = list(lines(state, unit))
    if as_json:
        print_result({"stores": found})
        return
    columns = ("UNIT", "CERTIFICATE", "FINGERPRINT", *state.nodes)
    print_table(columns, [_row(line, state.nodes) for line in found], empty="there is no certificate")


def lines(state: State, unit: str | None = None) -> Iterator[Line]:
    """Every certificate of every unit, or of one, in the order of the units."""
    for name in _units(state):
        if unit in (None, name):
            places = _places(state, name)
            subjects = _subjects(state, name)
            for fingerprint in sorted(places, key=lambda each: (subjects.get(each, ""), each)):
                yield Line(name, fingerprint, subjects.get(fingerprint), places[fingerprint])


def _units(state: State) -> list[str]:
    found: dict[str, None] = {}
    for node in state.nodes.values():
        found.update(dict.fromkeys((*node.identities, *node.trust, *node.database)))
    return list(found)


def _places(state: State, unit: str) -> dict[str, dict[str, Place]]:
    everywhere: set[str] = set()
    for node in state.nodes.values():
        everywhere |= node.in_files(unit) | set(node.database.get(unit, []))
    return {
        fingerprint: {name: _place(node, unit, fingerprint) for name, node in state.nodes.items()}
        for fingerprint in everywhere
    }


def _place(node: Node, unit: str, fingerprint: str) -> Place:
    return Place(fingerprint in node.in_files(unit), fingerprint in node.database.get(unit, []))


def _subjects(state: State, unit: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for node in state.nodes.values():
        identity = node.identities.get(unit)
        if identity is not None:
            found[identity.fingerprint] = identity.subject
        found |= {trusted.fingerprint: trusted.subject for trusted in node.trust.get(unit, [])}
    return found


def _row(line: Line, nodes: Mapping[str, Node]) -> tuple[str, ...]:
    cells = (WORDS[line.nodes[name].file, line.nodes[name].database] for name in nodes)
    return (line.unit, line.subject or "", line.fingerprint[:_SHOWN_DIGITS], *cells)
