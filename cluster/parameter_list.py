"""What administrators set, as commands and stories show it: each parameter of the release at each place that has it."""

from collections.abc import Iterable, Mapping

import msgspec

from ucmlab.broker.messages import Setting
from ucmlab.node.parameter_rules import CLUSTER, place_of
from ucmlab.node.parameters import Parameter
from ucmlab.node.rule_rows import Role
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.settings import settings_of


class ParameterEntry(msgspec.Struct, frozen=True):
    """One parameter at one place."""

    name: str
    page: str
    place: str
    """`cluster`; `cucm` or `imp`, a side of it; or a node."""
    value: str
    default: str
    accepts: str
    """What a value may be, in words."""
    unit: str


class ParameterList:
    """The parameters of a cluster, as one replica has them."""

    def __init__(self, rulebook: RuleBook, roles: Mapping[str, Role], settings: Iterable[Setting]) -> None:
        """`roles` are those of all nodes, the publisher first."""
        self._rows = rulebook.parameters.values()
        self._roles = roles
        self._settings = settings_of(settings)

    def of(self, target: str) -> list[ParameterEntry]:
        """What a node reads; or `cluster`, everything that there is."""
        nodes = list(self._roles) if target == CLUSTER else [target]
        return [
            self._entry(row, place)
            for row in self._rows
            for place in dict.fromkeys(row.place(node, self._roles[node]) for node in nodes)
        ]

    def one(self, row: Parameter, target: str) -> ParameterEntry:
        """One parameter of a node, or of the cluster.

        Raises:
            Refusal: `parameter_place`, the cluster has several values of it.
        """
        return self._entry(row, place_of(row, target, self._roles))

    def _entry(self, row: Parameter, place: str) -> ParameterEntry:
        value = self._settings.get((place, row.name), row.default)
        return ParameterEntry(row.name, row.page, place, value, row.default, row.accepts, row.unit)
