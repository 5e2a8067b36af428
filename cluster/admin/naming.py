"""What administrators mean by the names that they write, whichever interface they use. No I/O."""

from collections.abc import Iterable, Mapping
from typing import Literal

from ucmlab.node.certificates import parse
from ucmlab.node.config import Role
from ucmlab.node.errors import Refusal
from ucmlab.node.events import Delete, FileImage
from ucmlab.node.rulebook import RuleBook

TRUST = "-trust"
"""With which trust stores end, and which is left out as often as not."""
ACTIONS: Mapping[str, Literal["start", "stop", "restart"]] = {"start": "start", "stop": "stop", "restart": "restart"}
"""What may be done to a service."""


class Unknown(Exception):
    """There is no such thing; `text` says what there is."""

    def __init__(self, text: str) -> None:
        """In one line."""
        super().__init__(text)
        self.text = text


def trust_unit(rulebook: RuleBook, role: Role, name: str) -> str:
    """The trust store of a node of that role that a name means, with or without its ending, in whatever case.

    Raises:
        Unknown: there is none.
    """
    units = {each.casefold(): each for each in trust_names(rulebook, role)}
    found = units.get(name.casefold().removesuffix(TRUST))
    if found is None:
        raise Unknown(f"{name!r} is no trust store; there are {', '.join(units.values())}")
    return found + TRUST


def trust_names(rulebook: RuleBook, role: Role) -> list[str]:
    """The trust stores of a node of that role, without their ending."""
    return [unit.name.removesuffix(TRUST) for unit in rulebook.units_of(role) if unit.kind == "trust"]


def delete_of(unit: str, filename: str, files: Iterable[FileImage]) -> Delete:
    """The delete of a trust certificate that is named by its file, as lists have it: with or without unit and `.pem`.

    Raises:
        Unknown: there is no such file, or nobody can read it.
    """
    wanted = filename.removeprefix(f"{unit}/").removesuffix(".pem")
    for file in files:
        if file.unit == unit and file.name.removesuffix(".pem") == wanted:
            return Delete("", unit, _fingerprint(file.der))
    raise Unknown(f"{unit} has no {filename!r}")


def _fingerprint(der: bytes) -> str:
    try:
        return parse(der).fingerprint
    except Refusal as refusal:
        raise Unknown(refusal.text) from refusal
