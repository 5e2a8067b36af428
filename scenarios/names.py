"""Certificates by where they came from, and the story digest that compares runs in different modes (design 3).

Keys, serials and instants differ from mode to mode and run to run; `pub/tomcat#1`, `ca:Corp Root CA#1` and
`default:Cisco Root CA 2048#1` do not.
"""

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from ucmlab.cluster.port import NodeView
from ucmlab.node.certificates import parse

Stores = dict[str, dict[str, list[str]]]
"""Node, unit, names."""
Loaded = dict[str, dict[str, dict[str, str]]]
"""Node, service, unit, name."""


def fingerprint(der: bytes) -> str:
    """A certificate's fingerprint: lower-case hex SHA-256 of the DER."""
    return hashlib.sha256(der).hexdigest()


class Names:
    """Fingerprints to names. A certificate keeps the first name that it got."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._made: dict[str, int] = {}

    def made(self, origin: str, der: bytes) -> None:
        """A certificate came from `origin`; the same certificate again is no new one."""
        key = fingerprint(der)
        if key in self._names:
            return
        self._made[origin] = self._made.get(origin, 0) + 1
        self._names[key] = f"{origin}#{self._made[origin]}"

    def identities(self, node: str, identities: Mapping[str, bytes]) -> None:
        """A node has these identity certificates now."""
        for unit in sorted(identities):
            self.made(f"{node}/{unit}", identities[unit])

    def installed(self, view: NodeView) -> None:
        """What lies in a node's stores before anything was done, and is no copy of an identity, came with the product.

        Each lab has its own stand-ins (B.2), so they go by their common names.
        """
        for file in view.files:
            self.made(f"default:{parse(file.der).common_name}", file.der)

    def of(self, key: str) -> str:
        """The name of the certificate with that fingerprint; what nobody here made came from a file."""
        return self._names.get(key, f"file:{key}")

    def sorted(self, keys: Iterable[str]) -> list[str]:
        """The names of several, in order."""
        return sorted(self.of(key) for key in keys)


def stores(views: Iterable[NodeView], names: Names) -> Stores:
    """What lies in each node's files: trust units and identities."""
    result: Stores = {}
    for view in views:
        held: dict[str, list[str]] = {unit: [fingerprint(der)] for unit, der in view.identities.items()}
        for file in view.files:
            held.setdefault(file.unit, []).append(fingerprint(file.der))
        result[view.name] = {unit: names.sorted(held[unit]) for unit in sorted(held)}
    return result


def rows(views: Iterable[NodeView], names: Names) -> Stores:
    """What each node's replica says that this node holds."""
    result: Stores = {}
    for view in views:
        held: dict[str, list[str]] = {}
        for row in view.rows:
            if row.held_by(view.name):
                held.setdefault(row.unit, []).append(row.fingerprint)
        result[view.name] = {unit: names.sorted(held[unit]) for unit in sorted(held)}
    return result


def loaded(views: Iterable[NodeView], names: Names) -> Loaded:
    """What each service loaded at its last start."""
    return {
        view.name: {
            name: {unit: names.of(key) for unit, key in sorted(service.loaded.items())}
            for name, service in sorted(view.services.items())
            if service.loaded
        }
        for view in views
    }


def digest(value: object) -> str:
    """SHA-256 over canonical JSON: keys sorted, no blanks, UTF-8."""
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()
