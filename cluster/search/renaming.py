"""Which nodes a case needs, and the same case with fewer of them, or with others."""

import re
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from ucmlab.cluster.faults.ledger import nodes_of
from ucmlab.cluster.search.case import Case
from ucmlab.cluster.search.workload import Act


def nodes_used(case: Case) -> set[str]:
    """The nodes that an act names, besides the publisher."""
    named = {name for act in case.acts for name in (*nodes_of(act.node), *(each.split("=")[-1] for each in act.nodes))}
    return named & set(case.nodes[1:])


def without_nodes(case: Case, names: Sequence[str]) -> Case:
    """A cluster that never had them."""
    return replace(case, nodes=tuple(name for name in case.nodes if name not in names))


def merged(case: Case, name: str, other: str) -> Case:
    """What befell one node befalls another, and the first is not there."""
    return without_nodes(_with_names(case, {name: other}), [name])


def renamed(case: Case) -> Case | None:
    """The followers as sub1, sub2 and so on; None when that is what they are called."""
    names = {name: f"sub{number}" for number, name in enumerate(case.nodes[1:], 1)}
    if all(name == new for name, new in names.items()):
        return None
    renaming = _with_names(case, names)
    return replace(renaming, nodes=(case.nodes[0], *names.values()))


def _with_names(case: Case, names: Mapping[str, str]) -> Case:
    return replace(case, acts=tuple(_renamed_act(act, names) for act in case.acts))


def _renamed_act(act: Act, names: Mapping[str, str]) -> Act:
    def new(text: str) -> str:
        return re.sub(r"[\w-]+", lambda found: names.get(found[0], found[0]), text)

    return replace(act, node=new(act.node), nodes=tuple(new(each) for each in act.nodes))
