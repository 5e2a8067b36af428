"""What is to be done when a certificate was changed: restarts, and what else is out of date (A.10, X-07, X-14, X-16).

Rows of `restarts.toml`, and what they say together. Whether a condition holds, and which node has which service, is
known to whoever asks; here it is only said what the release's guide has, as a profile reads it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Literal, TypeVar

import msgspec

from ucmlab.node.rule_rows import Gate, RuleRow, Service, Unit

Verb = Literal["upload", "regenerate", "delete"]
Nodes = Literal["changed", "all", "publisher"]
Condition = Literal["sip_oauth", "mixed_mode", "sso_tomcat", "sso_system", "sso_or_oauth", "tftp", "key_mismatch"]
AdvisoryName = Literal["ctl_stale", "sso_metadata_stale", "backup_stale", "phones_reset"]
AUTHZ = "AUTHZ"
"""The OAuth keys: no unit, but listed and regenerated like one (R-129)."""
_EVERY: tuple[Verb, ...] = ("upload", "regenerate", "delete")
_PLACES: dict[Nodes, str] = {
    "changed": "on each node where it changed",
    "all": "on all nodes",
    "publisher": "on the publisher",
}


class ConditionRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Under which rows hold. One that names neither parameter nor service is of something that is not built: never."""

    text: str
    """How it is told."""
    parameter: str = ""
    """A flag that must be set."""
    service: str = ""
    """A service that must run on the node."""


class _AfterChange(RuleRow, frozen=True, kw_only=True):
    """A row that holds after a change of one of its units."""

    units: tuple[str, ...]
    verbs: tuple[Verb, ...] = _EVERY
    when: Condition | None = None
    """Under this condition only; None: always."""


class _Serving(_AfterChange, frozen=True, kw_only=True):
    """A row about services."""

    services: tuple[str, ...] = ()
    command: str = ""
    """A command of the platform, where it is no service (R-104)."""


class Restart(_Serving, frozen=True, kw_only=True):
    """Services to restart. Nothing does it for the operator: until then they hold the old certificate (R-118)."""

    nodes: Nodes = "changed"


class Reload(_Serving, frozen=True, kw_only=True):
    """Services that start anew by themselves (R-112, R-114, R-120)."""

    what: Literal["certificate", "itl"] = "certificate"
    """Whether they take up the new certificate, or build the ITL file anew (X-16)."""


class Advisory(_AfterChange, frozen=True, kw_only=True):
    """What else is out of date after the change. Without units: after that of any identity."""

    name: AdvisoryName
    text: str
    """What to do about it, or what happens by itself."""


class Advice(RuleRow, frozen=True, kw_only=True):
    """The product's sentence after a change that needs restarts (B.9)."""

    verbs: tuple[Verb, ...]
    text: str
    """With `{unit}`."""


AnyAfterChange = TypeVar("AnyAfterChange", bound=_AfterChange)
AnyServing = TypeVar("AnyServing", bound=_Serving)


class RestartRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rows: of all releases as read from the file, or of one."""

    conditions: dict[Condition, ConditionRow]
    advice: tuple[Advice, ...]
    restart: tuple[Restart, ...]
    reload: tuple[Reload, ...]
    advisory: tuple[Advisory, ...]

    def of_release(self, gate: Gate, units: dict[str, Unit], services: Mapping[str, Service]) -> "RestartRules":
        """Those that hold in a release, about what it has: units and services are gated in their own tables."""
        identities = tuple(unit.name for unit in units.values() if unit.kind == "identity")
        advisories = (row if row.units else msgspec.structs.replace(row, units=identities) for row in self.advisory)
        return RestartRules(
            conditions=self.conditions,
            advice=gate(self.advice),
            restart=tuple(_serving(gate(_of(self.restart, units)), services)),
            reload=tuple(_serving(gate(_of(self.reload, units)), services)),
            advisory=gate(_of(advisories, units)),
        )

    def restarts(self, unit: str, verb: Verb) -> tuple[Restart, ...]:
        """What to restart after a change of a unit, or of `AUTHZ`."""
        return _after(self.restart, unit, verb)

    def reloads(self, unit: str, verb: Verb) -> tuple[Reload, ...]:
        """What starts anew by itself."""
        return _after(self.reload, unit, verb)

    def advisories(self, unit: str, verb: Verb) -> tuple[Advisory, ...]:
        """What else is out of date."""
        return _after(self.advisory, unit, verb)

    def advise(self, unit: str, verb: Verb) -> tuple[str, ...]:
        """What to tell an operator after a change: the product's sentence (B.9), then what to restart, and where.

        Empty where nothing has to be restarted.
        """
        rows = self.restarts(unit, verb)
        if not rows:
            return ()
        sentence = next(row.text for row in self.advice if verb in row.verbs)
        return (sentence.format(unit=unit), *(self._told(row) for row in rows))

    def _told(self, row: Restart) -> str:
        what = row.command or ", ".join(row.services)
        where = f"{what} {_PLACES[row.nodes]}"
        return where if row.when is None else f"{where}, if {self.conditions[row.when].text}"


def to_restart(
    rows: Iterable[Restart],
    *,
    services: Collection[str],
    changed: bool,
    publisher: bool,
    conditions: Collection[Condition] = (),
) -> tuple[str, ...]:
    """The services that one node has to restart, each once, in the order of the table.

    Args:
        rows: what `RestartRules.restarts` gave.
        services: those that the node has.
        changed: whether the certificate changed on this node.
        publisher: whether it is the publisher.
        conditions: those that hold.
    """
    concerned: dict[Nodes, bool] = {"changed": changed, "all": True, "publisher": publisher}
    listed = (
        service
        for row in rows
        if concerned[row.nodes] and (row.when is None or row.when in conditions)
        for service in row.services
    )
    return tuple(dict.fromkeys(service for service in listed if service in services))


def _after(rows: Iterable[AnyAfterChange], unit: str, verb: Verb) -> tuple[AnyAfterChange, ...]:
    return tuple(row for row in rows if unit in row.units and verb in row.verbs)


def _of(rows: Iterable[AnyAfterChange], units: Collection[str]) -> Iterator[AnyAfterChange]:
    """The rows about units that there are."""
    for row in rows:
        there = tuple(unit for unit in row.units if unit in units or unit == AUTHZ)
        if there:
            yield msgspec.structs.replace(row, units=there)


def _serving(rows: Iterable[AnyServing], services: Mapping[str, Service]) -> Iterator[AnyServing]:
    """The rows about services that there are; those of a command are the platform's that it restarts."""
    for row in rows:
        commanded = (name for name, service in services.items() if row.command and service.command == row.command)
        there = tuple(service for service in (*row.services, *commanded) if service in services)
        if there:
            yield msgspec.structs.replace(row, services=there)
