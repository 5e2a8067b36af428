"""Restarts that are pending: of what a service holds, exactly what lies otherwise on its node's disk by now."""

from typing import get_args

from ucmlab.cluster.search.judges.facts import Facts
from ucmlab.cluster.sim.world import SimNode
from ucmlab.node.certificates import parse
from ucmlab.node.core import NodeCore
from ucmlab.node.restarts import Condition, Verb
from ucmlab.node.rulebook import RuleBook


class PendingJudge:
    """Compares copies with the disk, never with what the core believes to be there."""

    def __init__(self, facts: Facts) -> None:
        """Nothing to look at yet."""
        self._facts = facts

    def check(self, node: SimNode) -> None:
        """Judge every copy that the services of a node have."""
        core = node.core
        if core is None:
            return
        files: dict[str, set[bytes]] = {}
        for file in node.disk.files.values():
            files.setdefault(file.unit, set()).add(file.der)
        for name, status in core.services.status().items():
            loaded = core.services.loaded(name)
            if loaded is None:
                continue
            old = {unit for unit, held in loaded.trusted.items() if set(held) != files.get(unit, set())}
            old |= {
                unit
                for unit, known in loaded.fingerprints.items()
                if parse(node.disk.identities[unit]).fingerprint != known
            }
            for unit in (*loaded.trusted, *loaded.fingerprints):
                self._judge(core, name, unit, old=unit in old, pending=unit in status.pending)

    def _judge(self, core: NodeCore, service: str, unit: str, *, old: bool, pending: bool) -> None:
        """Who is in the table waits for its restart, whoever else uses it takes it up by itself (X-07)."""
        rulebook, me = core.context.rulebook, core.config
        listed = _listed(rulebook, unit, core.services.conditions(), publisher=me.is_publisher)
        if service not in listed and not listed.isdisjoint(rulebook.services[service].needs):
            return  # it is restarted with what it stands on, and waits for that
        if old and service not in listed:
            self._facts.violate("pending", me.name, f"{service} does not take up {unit} by itself")
        elif old and not pending:
            self._facts.violate("pending", me.name, f"a restart of {service} for {unit} is not pending")
        elif pending and not old and unit not in rulebook.restarts_elsewhere:
            self._facts.violate(
                "pending", me.name, f"a restart of {service} for {unit} is pending, and changes nothing"
            )


def _listed(rulebook: RuleBook, unit: str, conditions: frozenset[Condition], *, publisher: bool) -> frozenset[str]:
    """The services that are to be restarted where a unit was changed (A.10)."""
    rows = (row for verb in get_args(Verb) for row in rulebook.restarts(unit, verb))
    here = (row for row in rows if (row.nodes != "publisher" or publisher) and (not row.when or row.when in conditions))
    return frozenset(name for row in here for name in row.services)
