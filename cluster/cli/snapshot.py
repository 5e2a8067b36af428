"""The lab's state as the commands read it: the part of `dump` (design 7.2) that they need, typed.

Reading what outsiders read keeps the contract honest: a command cannot know more than a pipeline could.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from ucmlab.cluster.errors import Unusable


class Identity(msgspec.Struct, frozen=True):
    """An identity certificate."""

    fingerprint: str
    subject: str
    not_after: str


class Trusted(msgspec.Struct, frozen=True):
    """A trust certificate in a node's files."""

    fingerprint: str
    subject: str
    not_after: str
    file: str | None = None
    description: str = ""


class Database(msgspec.Struct, frozen=True):
    """How far a node's replica is."""

    epoch: int
    seq: int
    digest: str


class Service(msgspec.Struct, frozen=True):
    """A service of a node."""

    state: str
    kind: Literal["feature", "network", "platform"]
    enabled: bool
    since: str
    loaded: dict[str, str]
    pending: list[str]


class NodeOutline(msgspec.Struct, frozen=True):
    """A node without its certificates."""

    role: str
    release: str
    state: str
    pid: int | None
    home: str
    fqdn: str
    addresses: dict[str, str]
    db: Database
    services: dict[str, Service]


class Node(NodeOutline, frozen=True):
    """A node."""

    identities: dict[str, Identity | None]
    trust: dict[str, list[Trusted]]
    database: dict[str, list[str]]

    def in_files(self, unit: str) -> set[str]:
        """Fingerprints in its files of a unit."""
        identity = self.identities.get(unit)
        return {trusted.fingerprint for trusted in self.trust.get(unit, [])} | (
            {identity.fingerprint} if identity else set()
        )


_WHERE = ("target", "node", "groups")
"""What tells whom a fault befalls; the rest is how."""


def fault_text(fault: dict[str, str]) -> str:
    """One of the state's faults, for people: what it is, and on whom."""
    words = [value if key in _WHERE else f"{key}={value}" for key, value in fault.items() if key != "fault"]
    return " ".join((fault["fault"], *words))


class Broker(msgspec.Struct, frozen=True):
    """What carries the bus."""

    kind: str | None
    url: str | None
    pid: int | None

    @property
    def down(self) -> bool:
        """Whether it is known to be down; of somebody else's, nothing is known here."""
        return self.pid is None and self.kind != "url"


class Outline(msgspec.Struct, frozen=True):
    """The lab without certificates: what tells who is there, how far it is, and what is broken."""

    lab: str
    release: str
    profile: str
    replication: str
    now: str
    converged: bool
    converged_except: dict[str, str]
    broker: Broker
    faults: list[dict[str, str]]
    nodes: Mapping[str, NodeOutline]

    def node(self, name: str) -> NodeOutline:
        """A node by name.

        Raises:
            Unusable: there is none.
        """
        if name not in self.nodes:
            raise no_node(name, self.nodes)
        return self.nodes[name]


class State(Outline, frozen=True):
    """The lab."""

    nodes: Mapping[str, Node]

    def node(self, name: str) -> Node:
        """See `Outline`."""
        if name not in self.nodes:
            raise no_node(name, self.nodes)
        return self.nodes[name]


def read_state(dump: object) -> State:
    """Read a dump."""
    return msgspec.convert(dump, State)


def read_outline(told: object) -> Outline:
    """Read an outline."""
    return msgspec.convert(told, Outline)


def service_named(state: Outline, node: str, name: str) -> str:
    """The full name of a node's service; upper or lower case, and the maker's name in front of it, do not count.

    Raises:
        Unusable: there is no such node, or it has no such service.
    """
    services = state.node(node).services
    if (found := known_service(services, name)) is not None:
        return found
    raise Unusable(f"{node} has no service {name!r}; `ucmlab service list {node}` shows all {len(services)}")


def known_service(services: Iterable[str], name: str) -> str | None:
    """The one of these services that is called so; None, none is."""
    spelled = name.casefold()
    return next(
        (each for each in services if spelled in (each.casefold(), each.casefold().removeprefix("cisco "))), None
    )


def no_node(name: str, known: Iterable[str]) -> Unusable:
    """What to say when a node is named that there is not."""
    return Unusable(f"there is no node {name!r} in this lab; there are {', '.join(known)}")
