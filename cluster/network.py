"""Who reaches whom: the lab's network as a value. Pure, and the same for real processes and for the simulation.

The network is a matrix of endpoints: the nodes, the broker, and everything outside the lab. Endpoints of one group
reach each other; the outside (operators, the third-party CA, mail) reaches everybody, because admins walk up to a
console. After `partition` the broker stands in the publisher's group unless told otherwise; nodes elsewhere lose the
bus. `isolate` takes one node away from everything, broker included, whoever it is.
"""

from collections.abc import Sequence

from ucmlab.cluster.errors import Unusable

BROKER = "broker"
OUTSIDE = "outside"


class Network:
    """The groups of one lab; whole at first."""

    def __init__(self, nodes: Sequence[str]) -> None:
        """Name the nodes, the publisher first."""
        self._nodes = tuple(nodes)
        self._group = dict.fromkeys((*nodes, BROKER), 0)
        self._last_group = 0

    @property
    def whole(self) -> bool:
        """Whether everybody reaches everybody."""
        return len(set(self._group.values())) == 1

    def reaches(self, one: str, other: str) -> bool:
        """Whether two endpoints reach each other; both ways or not at all."""
        return OUTSIDE in {one, other} or self._group[one] == self._group[other]

    def on_bus(self, node: str) -> bool:
        """Whether the node reaches the broker."""
        return self.reaches(node, BROKER)

    def partition(self, groups: Sequence[Sequence[str]], broker: int | None = None) -> None:
        """Cut the network into `groups`; nodes that none of them names are one more group together.

        Args:
            groups: node names; every earlier cut is forgotten.
            broker: number of the group in which the broker stands; None is the publisher's.

        Raises:
            Unusable: a node is unknown or named twice, or there is no such group.
        """
        named = [node for group in groups for node in group]
        for node in named:
            self._check(node)
        if len(set(named)) < len(named):
            twice = next(node for node in named if named.count(node) > 1)
            raise Unusable(f"{twice} is in two groups; name each node once")
        if broker is not None and not 0 <= broker < len(groups):
            raise Unusable(f"there is no group {broker} for the broker; groups count from 0 to {len(groups) - 1}")
        rest = [node for node in self._nodes if node not in named]
        numbers = [self._new_group() for _ in (*groups, rest)]
        for number, group in zip(numbers, (*groups, rest), strict=True):
            self._group.update(dict.fromkeys(group, number))
        self._group[BROKER] = self._group[self._nodes[0]] if broker is None else numbers[broker]

    def isolate(self, node: str) -> None:
        """Take one node away from everything else.

        Raises:
            Unusable: there is no such node.
        """
        self._check(node)
        self._group[node] = self._new_group()

    def heal(self, node: str | None = None) -> None:
        """Make the network whole again, or bring one node to where the broker stands.

        Raises:
            Unusable: there is no such node.
        """
        if node is None:
            self._group = dict.fromkeys(self._group, 0)
            return
        self._check(node)
        self._group[node] = self._group[BROKER]

    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The groups as they are, each in the order of the topology, the broker last in its own."""
        found: dict[int, list[str]] = {}
        for endpoint in (*self._nodes, BROKER):
            found.setdefault(self._group[endpoint], []).append(endpoint)
        return tuple(tuple(group) for group in found.values())

    def faults(self) -> tuple[dict[str, str], ...]:
        """What `dump` tells under `faults`: nothing while the network is whole."""
        if self.whole:
            return ()
        return ({"fault": "partition", "groups": " / ".join(",".join(group) for group in self.groups())},)

    def _new_group(self) -> int:
        self._last_group += 1
        return self._last_group

    def _check(self, node: str) -> None:
        if node not in self._nodes:
            raise Unusable(f"there is no node {node!r}; there are {', '.join(self._nodes)}")
