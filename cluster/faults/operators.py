"""Operators who do the wrong thing at the wrong time, or bring what should not be brought: what they ask, of whom."""

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple, Protocol

from ucmlab.broker.messages import Row
from ucmlab.cluster.faults.bad_certificates import EXPECTED, bad_upload
from ucmlab.cluster.faults.ledger import Injected
from ucmlab.node.certificates import parse
from ucmlab.node.events import Delete, Upload
from ucmlab.node.upload_files import read_upload

BAD_UPLOADS_TO = "tomcat-trust"


class Asked(NamedTuple):
    """One operation of such an operator, still without an id."""

    node: str
    operation: Upload | Delete
    brought: tuple[str, ...] = ()
    """Fingerprints of what it brings, as far as it will be taken."""


class Sight(Protocol):
    """The lab as an operator sees it."""

    @property
    def chance(self) -> Random:
        """What draws what a fault hits."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """The nodes, the publisher first."""
        ...

    def is_up(self, node: str) -> bool:
        """Whether a node runs and is not paused."""
        ...

    def rows(self, node: str) -> Sequence[Row]:
        """What a node's database holds; nothing while it is down."""
        ...

    def identity(self, node: str, unit: str) -> bytes | None:
        """A node's own certificate, DER."""
        ...

    def wall(self, node: str) -> int:
        """A node's wall clock."""
        ...


def asked_by_operators(injected: Injected, sight: Sight) -> list[Asked]:
    """What the operators of a row ask, in order; nothing when there is nothing to do it to."""
    return OPERATORS[injected.row.name](injected, sight) if sight.is_up(injected.target) else []


def _any_row(injected: Injected, sight: Sight) -> Row | None:
    rows = [row for row in sight.rows(sight.names[0]) if row.unit == injected.text("unit")]
    return sight.chance.choice(sorted(rows, key=_by_name)) if rows else None


def _by_name(row: Row) -> tuple[str, int, str]:
    """An order that does not depend on anybody's keys: the same story picks the same certificate in each mode."""
    certificate = parse(row.der)
    return certificate.common_name, certificate.not_before, row.fingerprint


def _delete(node: str, row: Row) -> Asked:
    return Asked(node, Delete("", row.unit, row.fingerprint))


def _bring(node: str, row: Row) -> Asked:
    return Asked(node, Upload("", row.unit, row.der), (row.fingerprint,))


def _delete_while_down(injected: Injected, sight: Sight) -> list[Asked]:
    row = _any_row(injected, sight)
    return [] if row is None else [_delete(sight.names[0], row)]


def _delete_and_reupload(injected: Injected, sight: Sight) -> list[Asked]:
    row = _any_row(injected, sight)
    return [] if row is None else [_delete(sight.names[0], row), _bring(injected.target, row)]


def _two_operators(injected: Injected, sight: Sight) -> list[Asked]:
    node, row = injected.target, _any_row(injected, sight)
    other = next((name for name in sight.names if name != node and sight.is_up(name)), None)
    if row is None or other is None:
        return []
    return [_delete(node, row), _delete(other, row), _bring(other, row)]


def _delete_in_use(injected: Injected, sight: Sight) -> list[Asked]:
    publisher, identity = sight.names[0], sight.identity(injected.target, "tomcat")
    if identity is None:
        return []
    fingerprint = parse(identity).fingerprint
    rows = [row for row in sight.rows(publisher) if row.key == ("tomcat-trust", fingerprint)]
    return [_delete(publisher, row) for row in rows]


def _bad_upload(injected: Injected, sight: Sight) -> list[Asked]:
    node, kind = injected.target, injected.text("kind")
    held = [row for row in sight.rows(node) if row.unit == BAD_UPLOADS_TO and row.held_by(node)]
    rival = parse(min(held, key=_by_name).der) if held else None
    # Too early or too late is what the node's own clock says, which a fault may have set.
    data = bad_upload(kind, sight.wall(node), rival)
    # A name that nobody has taken yet is nobody's rival: then an old start date is no reason to refuse.
    refused = EXPECTED[kind] and not (kind == "same-name-older" and rival is None)
    brought = () if refused else tuple(each.fingerprint for each in read_upload(data))
    return [Asked(node, Upload("", BAD_UPLOADS_TO, data), brought)]


OPERATORS: dict[str, Callable[[Injected, Sight], list[Asked]]] = {
    "delete-while-down": _delete_while_down,
    "delete-and-reupload": _delete_and_reupload,
    "two-operators": _two_operators,
    "delete-in-use": _delete_in_use,
    "bad-upload": _bad_upload,
}
