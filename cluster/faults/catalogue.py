"""The fault catalogue, read from `catalogue.toml`: what can be broken, how it is called, and where it is performed."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from tomllib import loads
from typing import Literal

import msgspec

from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.faults.parameters import Parameter, Value, read

Group = Literal[
    "link", "broker", "node", "disk", "clock", "certificate", "service", "operator", "publisher", "security"
]
Mode = Literal["sim", "local"]
Target = Literal["node", "follower", "publisher", "broker", "network"]


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of the catalogue; the head of `catalogue.toml` says what each field means."""

    name: str
    group: Group
    target: Target
    text: str
    lasts: bool
    where: tuple[Mode, ...]
    example: str
    counts: bool = False
    parameters: dict[str, Parameter] = {}

    def values(self, given: Mapping[str, str]) -> dict[str, Value]:
        """The parameters of one injection: what was given, read, and the defaults.

        Raises:
            Unusable: the fault has no such parameter, one is ill-formed, or one that must be given is missing.
        """
        for name in given:
            if name not in self.parameters:
                known = ", ".join(self.parameters) or "none"
                raise Unusable(f"{self.name} has no parameter {name!r}; it has {known}")
        values: dict[str, Value] = {}
        for name, parameter in self.parameters.items():
            text = given.get(name, parameter.default)
            if text is None:
                raise Unusable(f"{self.name} needs {name}; write it like `{self.example}`")
            values[name] = read(self.name, name, parameter, text)
        return values


@cache
def catalogue() -> dict[str, Fault]:
    """Every fault that some mode performs by its name, in the order of the file."""
    text = files(__package__).joinpath("catalogue.toml").read_text("utf-8")
    rows = msgspec.convert(loads(text)["fault"], list[Fault])
    return {row.name: row for row in rows if row.where}


def groups() -> tuple[str, ...]:
    """The groups that have rows, in the order of the file."""
    return tuple(dict.fromkeys(row.group for row in catalogue().values()))


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
