"""The fault catalogue, read from `catalogue.toml`: what can be broken, how it is called, and where it is performed."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

from ucmlab.cluster.errors import Unusable

Group = Literal[
    "link", "broker", "node", "disk", "clock", "certificate", "service", "operator", "publisher", "security"
]
Mode = Literal["sim", "local"]
Way = Literal["both", "up", "down"]
"""Of a link: from the node to the broker is up."""


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of the catalogue; the head of `catalogue.toml` says what each field means."""

    name: str
    group: Group
    target: Literal["node", "broker", "network"]
    text: str
    parameters: dict[str, str]
    lasts: bool
    where: tuple[Mode, ...]
    example: str

    def filled(self, given: dict[str, str]) -> dict[str, str]:
        """The parameters of one injection: what was given, and the defaults.

        Raises:
            Unusable: the fault has no such parameter.
        """
        for name in given:
            if name not in self.parameters:
                known = ", ".join(self.parameters) or "none"
                raise Unusable(f"{self.name} has no parameter {name!r}; it has {known}")
        return {**self.parameters, **given}


@cache
def catalogue() -> dict[str, Fault]:
    """Every fault by its name, in the order of the file."""
    text = files(__package__).joinpath("catalogue.toml").read_text("utf-8")
    rows = msgspec.convert(tomllib.loads(text)["fault"], list[Fault])
    return {row.name: row for row in rows}


def fault_named(name: str, mode: Mode) -> Fault:
    """A row that a mode performs.

    Raises:
        Unusable: there is no such fault, or it is performed elsewhere only.
    """
    row = catalogue().get(name)
    if row is None:
        raise Unusable(f"there is no fault {name!r}; `ucmlab fault list` names them")
    if mode not in row.where:
        raise Unusable(f"{name} is performed in mode {' and '.join(row.where)} only; see `ucmlab fault list`")
    return row
