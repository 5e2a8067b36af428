"""Plainer acts in place of others: what a reader understands sooner, and what a real lab can do as well."""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from ucmlab.cluster.search.case import Case
from ucmlab.cluster.search.material import material
from ucmlab.cluster.search.workload import Act
from ucmlab.cluster.sim.world import Journaled
from ucmlab.node.instant import MINUTE

PLAINEST = ("stop", "isolate", "pause", "kill", "replication")
"""Faults of one node that everybody understands and every lab performs, the plainest first: each is tried in place of
those behind it and of all others."""
A_WHILE = 5 * MINUTE
"""How long one of them lasts in place of a fault that happens once."""
A_UNIT = "tomcat-trust"
OPERATORS = ("delete-while-down", "delete-and-reupload", "two-operators", "delete-in-use")
"""Faults that consist of what operators do."""

Acts = tuple[Act, ...]


def one_unit(case: Case) -> Case:
    """Everything happens in one unit."""
    return replace(case, acts=tuple(_in_unit(act) for act in case.acts))


def one_certificate(case: Case) -> Case:
    """Every certificate is the same."""
    return _with_certificates(case, dict.fromkeys(range(len(material())), 0))


def certificates_in_order(case: Case) -> Case:
    """The certificates are numbered as they come."""
    numbers = [number for act in case.acts if (number := _certificate(act)) is not None]
    return _with_certificates(case, {old: new for new, old in enumerate(dict.fromkeys(numbers))})


EVERYWHERE = (one_unit, one_certificate, certificates_in_order)


def plainer(case: Case, number: int) -> Iterator[Acts]:
    """What may stand in place of one act, the plainest first."""
    act = case.acts[number]
    if act.kind != "inject":
        yield from ((each,) for each in (replace(act, node=case.nodes[0]), _in_unit(act)) if each != act)
        return
    rank = PLAINEST.index(act.text) if act.text in PLAINEST else len(PLAINEST)
    if act.node in case.nodes:
        for fault in PLAINEST[:rank]:
            plain = replace(act, unit="", nodes=(), text=fault, number=act.number or A_WHILE)
            yield (plain,)
            # What lies in wait is felt later than it begins.
            later = case.acts[number + 1].at if number + 1 < len(case.acts) else plain.at
            if plain.at < later < plain.at + plain.number:
                yield (replace(plain, at=later, number=plain.at + plain.number - later),)
    for fewer in ((), *(act.nodes[:at] + act.nodes[at + 1 :] for at in range(len(act.nodes)))):
        if fewer != act.nodes:
            yield (replace(act, nodes=fewer),)


def composed_of(act: Act, wrote: Iterable[Journaled]) -> Acts:
    """The plain acts that an operator's fault consists of; none when it cannot be said in plain ones.

    Args:
        act: the fault.
        wrote: what the journal says while it is injected.
    """
    if act.text not in OPERATORS:
        return ()
    numbers = {each.fingerprint: number for number, each in enumerate(material())}
    acts = [Act(act.at, "inject", act.node, "", act.number, (), "stop")] if act.text == "delete-while-down" else []
    for fields in (line.record.fields for line in wrote if (line.node, line.record.name) == ("lab", "operation")):
        node, unit, fingerprint = str(fields["target"]), str(fields["unit"]), str(fields["fingerprint"])
        if fields["kind"] == "delete":
            acts.append(Act(act.at, "delete", node, unit, text=fingerprint))
        elif fingerprint in numbers:
            acts.append(Act(act.at, "upload", node, unit, numbers[fingerprint]))
        else:
            return ()
    return tuple(acts)


def _in_unit(act: Act) -> Act:
    if act.kind in ("upload", "delete"):
        return replace(act, unit=A_UNIT)
    units = tuple(f"unit={A_UNIT}" if each.startswith("unit=") else each for each in act.nodes)
    return replace(act, nodes=units)


def _certificate(act: Act) -> int | None:
    """The number of the certificate that an act is about, if it is one of the search's."""
    if act.kind == "upload":
        return act.number
    if act.kind == "delete":
        return next((number for number, each in enumerate(material()) if each.fingerprint == act.text), None)
    return None


def _with_certificates(case: Case, numbers: dict[int, int]) -> Case:
    return replace(case, acts=tuple(_with_certificate(act, numbers) for act in case.acts))


def _with_certificate(act: Act, numbers: dict[int, int]) -> Act:
    old = _certificate(act)
    if old is None:
        return act
    new = numbers[old]
    return replace(act, number=new) if act.kind == "upload" else replace(act, text=material()[new].fingerprint)
