"""What a script judges: each invariant as far as it shows from outside.

The search's judges look into the cluster; a story sees files, rows, replies, services, the journal and whether the
cluster converges. Most of it is judged at the end, some of it around the act that would break it.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ucmlab.cluster.faults.rogues import INVENTED_IN, ROGUES, UNIT
from ucmlab.cluster.search.case import Case
from ucmlab.cluster.search.invariants import Violation
from ucmlab.cluster.search.judges.ending import QUIET_EVENTS
from ucmlab.cluster.search.judges.facts import DIVERGED
from ucmlab.cluster.search.material import material
from ucmlab.cluster.search.run import CONVERGENCE
from ucmlab.cluster.search.telling.words import Certificates, spelled, variable
from ucmlab.cluster.search.workload import Act

FORGETTING = ("restore-backup", "empty-disk")
"""Faults after which a node may rightly do again what it did before."""


class Around(NamedTuple):
    """Lines of code before and after an act."""

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


def seen_from_outside(case: Case, violation: Violation) -> bool:
    """Whether what breaks the invariant shows to a story, which sees no more of a cluster than an operator does."""
    at_end = violation.invariant in _CHECKS and any(_CHECKS[violation.invariant](case, violation, Certificates(case)))
    return at_end or any(around(act, violation) != Around() for act in case.acts)


def checks(case: Case, violation: Violation, certificates: Certificates) -> Iterator[str]:
    """The lines that judge what the violation broke; a script that judges nothing there judges convergence."""
    lines = tuple(_CHECKS[violation.invariant](case, violation, certificates)) if violation.invariant in _CHECKS else ()
    yield from lines or _converged(case, violation, certificates)


def around(act: Act, violation: Violation) -> Around:
    """What is judged around an act; empty when it breaks nothing that would show at once."""
    name = variable(act.node)
    if act.kind == "inject" and act.text in ROGUES and violation.invariant in _OF_THE_LOG:
        unit = UNIT if act.text == "replay" else INVENTED_IN
        rows = f'[node.database("{unit}") for node in lab.nodes]'
        judged = f'lab.check({rows} == before, "nobody believes it")'
        return Around((f"before = {rows}",), (judged,))
    renewed = act.kind == "regenerate" or (act.kind == "inject" and act.text == "renew")
    if renewed and violation.invariant == "S10":
        loaded = f"{{each: dict({name}.loaded(each)) for each in {name}.services}}"
        kept = f"all({name}.loaded(each) == loaded[each] for each in {name}.pending())"
        return Around((f"loaded = {loaded}",), (f'lab.check({kept}, "services keep what they loaded")',))
    if act.kind == "service" and act.text == "restart" and violation.invariant == "S10":
        new = f'"{act.unit}" not in {name}.pending()'
        return Around(after=(f'lab.check({new}, "the service has loaded what is there now")',))
    return Around()


def reply(case: Case, act: Act, invariant: str) -> str:
    """The name of an upload's reply, if the end judges it."""
    return f"reply{case.acts.index(act)}" if invariant == "S6" and act in _lasting(case) else ""


def _no_zombie(case: Case, violation: Violation, certificates: Certificates) -> Iterator[str]:
    found = re.search(r"(\S+-trust) ([0-9a-f]{12})", violation.text)
    which = certificates.beginning_with(found[2]) if found else None
    if found is None or which is None:
        yield from _converged(case, violation, certificates)
        return
    yield "for node in lab.nodes:"
    yield f'    back = {certificates.fingerprint(which)} in node.files("{found[1]}")'
    yield '    lab.check(not back, f"what was deleted has not come back on {node.name}")'


def _acknowledged(case: Case, violation: Violation, certificates: Certificates) -> Iterator[str]:
    for act in _lasting(case):
        kept = f'{certificates.name(act.number)}.fingerprint in pub.database("{act.unit}")'
        yield f'if {reply(case, act, "S6")}.outcome == "done":'
        yield f'    lab.check({kept}, "what was answered done is in the database")'
    yield from _converged(case, violation, certificates)


def _agreed(case: Case, violation: Violation, certificates: Certificates) -> Iterator[str]:
    if any(act.text in ("fork", "restore-publisher") for act in case.acts):
        return  # the alarms are what is asked for
    yield f'alarms = [event for event in lab.events("alarm") if event["alarm"] in {DIVERGED}]'
    yield 'lab.check(not alarms, "no node finds that its rows or its log differ from the publisher\'s", alarms)'
    yield from _converged(case, violation, certificates)


def _converged(_case: Case, _violation: Violation, _certificates: Certificates) -> Iterator[str]:
    yield f'await lab.converged(within="{spelled(CONVERGENCE)}")'


def _at_hand(case: Case, violation: Violation, certificates: Certificates) -> Iterator[str]:
    yield from _converged(case, violation, certificates)
    if "is away" in violation.text:
        node = variable(violation.node)
        yield 'later = await lab.ca("Later", key="ec-256")'
        yield f'answer = await {node}.upload("{UNIT}", later.pem)'
        yield f'lab.check(answer.outcome == "done", "{violation.node} knows that the publisher is there", answer)'


def _on_disk(case: Case, violation: Violation, certificates: Certificates) -> Iterator[str]:
    yield from _converged(case, violation, certificates)
    if found := re.search(r"(\S+-trust) [0-9a-f]{12} has a row and no file", violation.text):
        yield "for node in lab.nodes:"
        yield f'    lacking = node.database("{found[1]}") - node.files("{found[1]}")'
        yield '    lab.check(not lacking, f"every row has its file on {node.name}", lacking)'


def _quiet(case: Case, violation: Violation, _certificates: Certificates) -> Iterator[str]:
    if "in a minute" not in violation.text:
        return
    # Every message is an event at least, and so many of these the judges allow.
    yield 'before = len(lab.messages("#"))'
    yield 'await lab.wait("1m")'
    yield 'said = len(lab.messages("#")) - before'
    yield f'lab.check(said <= {QUIET_EVENTS * len(case.nodes)}, "the cluster is quiet", said)'


def _once(case: Case, violation: Violation, certificates: Certificates) -> Iterator[str]:
    again = "took effect twice" in violation.text and not any(act.text in FORGETTING for act in case.acts)
    if again or "was not for this node" in violation.text:
        yield 'orders = [event["operation_id"] for event in lab.events("service_command") if "action" in event]'
        yield 'lab.check(len(set(orders)) == len(orders), "every order took effect once", orders)'
        yield from _converged(case, violation, certificates)


def _lasting(case: Case) -> list[Act]:
    """Uploads of what nobody deletes."""
    gone = {(act.unit, act.text) for act in case.acts if act.kind == "delete"}
    uploads = [act for act in case.acts if act.kind == "upload"]
    return [act for act in uploads if (act.unit, material()[act.number].fingerprint) not in gone]


_OF_THE_LOG = ("S1", "S2", "S4", "S5", "S15")
_CHECKS: dict[str, Callable[[Case, Violation, Certificates], Iterator[str]]] = {
    "S3": _no_zombie,
    "S6": _acknowledged,
    "S7": _agreed,
    "S11": _once,
    "parameters": _converged,
    "L1": _at_hand,
    "L2": _on_disk,
    "L3": _converged,
    "L4": _converged,
    "L5": _quiet,
}
"""Of some only some ways of being broken show. Others show in that the cluster does not converge, if they do at all."""
