"""The faults of one lab: what was declared, what stands, and what never took effect. Pure, and the same in each mode.

A fault is known by its name and its target: injecting the same again takes the place of what stood. One that is used
(a message lost, a start failed) may end by itself after `count` uses, any one that lasts at an instant.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.faults.catalogue import Fault, Mode, fault_named
from ucmlab.cluster.faults.parameters import Value
from ucmlab.cluster.network import BROKER


class Injected(msgspec.Struct):
    """One fault that somebody declared. `until` is a lab instant; `uses` counts how often it took effect."""

    row: Fault
    target: str
    given: dict[str, str]
    values: dict[str, Value]
    left: int | None = None
    until: int | None = None
    uses: int = 0
    over: bool = False
    evidence: Callable[[], bool] | None = None
    """Tells, of what is felt where nobody counts (inside a node), whether it was."""

    @property
    def parameters(self) -> str:
        """What was given, as a command line writes it; for journals, whose own fields it must not hide."""
        return " ".join(f"{name}={value}" for name, value in self.given.items())

    def number(self, name: str) -> int:
        """A parameter that is a whole number: a duration or an offset in microseconds, or a count."""
        return int(self.values[name])

    def share(self, name: str) -> float:
        """A parameter that is a share or a rate."""
        return float(self.values[name])

    def text(self, name: str) -> str:
        """A parameter that is a word or a text."""
        return str(self.values[name])

    @property
    def felt(self) -> bool:
        """Whether it ever took effect."""
        return bool(self.uses) or (self.evidence is not None and self.evidence())

    def used(self) -> None:
        """It took effect once more; the last use that it was good for ends it."""
        self.uses += 1
        if self.left is not None:
            self.left -= 1
            self.over = self.over or self.left == 0


class Ledger:
    """What was declared in one lab."""

    def __init__(self, mode: Mode, nodes: Sequence[str]) -> None:
        """Nothing yet; `nodes` are the lab's, the publisher first."""
        self._mode: Mode = mode
        self._nodes = tuple(nodes)
        self.declared: list[Injected] = []
        self._standing: dict[tuple[str, str], Injected] = {}

    def declare(
        self,
        name: str,
        target: str,
        given: Mapping[str, str],
        *,
        count: int | None = None,
        until: int | None = None,
    ) -> Injected:
        """A fault that can be injected as asked; it is not on the ledger before `begin`.

        Raises:
            Unusable: there is no such fault in this mode, no such target for it, or it takes no such parameters.
        """
        row = fault_named(name, self._mode)
        self._check_target(row, target)
        if (count is not None or until is not None) and not row.lasts:
            raise Unusable(f"{name} happens once, so it takes no count and no end")
        if count is not None and not row.counts:
            raise Unusable(f"{name} has no uses to count; give an instant at which it is to end")
        if count is not None and count < 1:
            raise Unusable(f"{name} cannot be used {count} times; count from 1")
        return Injected(row, target, dict(given), row.values(given), count, until)

    def begin(self, injected: Injected) -> None:
        """It was injected."""
        self.declared.append(injected)
        if injected.row.lasts:
            self._standing[injected.row.name, injected.target] = injected

    def standing(self, name: str, target: str) -> Injected | None:
        """What stands under that name at that target."""
        return self._standing.get((name, target))

    def all_standing(self) -> list[Injected]:
        """Everything that stands, in the order in which it was injected."""
        return list(self._standing.values())

    def take(self, name: str, target: str) -> Injected:
        """A fault that stands, to be ended.

        Raises:
            Unusable: none of that name stands there.
        """
        found = self._standing.pop((name, target), None)
        if found is None:
            there = ", ".join(f"{each.row.name} {each.target}" for each in self._standing.values()) or "nothing"
            raise Unusable(f"there is no {name} of {target} to end; what stands: {there}")
        found.over = True
        return found

    def forget(self, injected: Injected) -> None:
        """It ended, by itself or because somebody mended what it broke."""
        injected.over = True
        key = (injected.row.name, injected.target)
        if self._standing.get(key) is injected:
            del self._standing[key]

    def withdraw(self, injected: Injected) -> None:
        """It could not be injected after all."""
        self.forget(injected)
        self.declared.remove(injected)

    def unfired(self) -> list[str]:
        """Declared faults that never took effect, one phrase each."""
        return [f"{each.row.name} of {each.target} never took effect" for each in self.declared if not each.felt]

    def facts(self) -> tuple[dict[str, str], ...]:
        """What `dump` tells under `faults` of what stands."""
        return tuple({"fault": each.row.name, "target": each.target, **each.given} for each in self._standing.values())

    def _check_target(self, row: Fault, target: str) -> None:
        publisher, *followers = self._nodes
        known = {"node": self._nodes, "follower": followers, "publisher": (publisher,), "broker": (BROKER,)}
        if row.target == "network":
            wrong = [name for name in nodes_of(target) if name not in self._nodes]
            if wrong or not nodes_of(target):
                raise Unusable(f"{row.name} takes nodes, like `{row.example}`; there are {', '.join(self._nodes)}")
        elif target not in known[row.target]:
            raise Unusable(f"{row.name} cannot befall {target!r}; it can {', '.join(known[row.target])}")


def nodes_of(target: str) -> list[str]:
    """The nodes that a target of the kind `network` names: `pub,sub1 / sub2`."""
    return target.replace("/", " ").replace(",", " ").split()


def groups_of(target: str) -> list[list[str]]:
    """The groups of such a target."""
    return [group.replace(",", " ").split() for group in target.split("/")]


def broker_group(name: str, groups: list[list[str]]) -> int | None:
    """The group that the broker stands in, from 0, by a node of it; None is the publisher's.

    Raises:
        Unusable: the node is in no group.
    """
    if not name:
        return None
    for number, group in enumerate(groups):
        if name in group:
            return number
    raise Unusable(f"broker={name} is in no group; name a node of the group that the broker stands in")
