"""Services: S10, each keeps what it loaded at its last start; S11, an order takes effect once, there, and in time."""

from typing import get_args

from ucmlab.cluster.search.judges.facts import Facts
from ucmlab.cluster.sim.world import SimNode
from ucmlab.node.certificates import parse
from ucmlab.node.commands import Record
from ucmlab.node.events import DiskImage
from ucmlab.node.ordering import PATIENCE
from ucmlab.node.restarts import Verb
from ucmlab.node.rulebook import RuleBook

Identities = dict[str, bytes]
"""DER by unit."""


class ServicesJudge:
    """Watches every order, and the services of the few nodes whose identities change."""

    def __init__(self, facts: Facts, images: dict[str, DiskImage]) -> None:
        """No order was carried out; identities are those on the disks."""
        self._facts = facts
        self._carried_out: set[tuple[str, str]] = set()
        self._first = {name: image.identities for name, image in images.items()}
        self._since: dict[str, list[tuple[int, Identities]]] = {}
        """Of nodes whose identities changed: what they were, and from which instant on."""

    # -- S11

    def ordered(self, node: SimNode, record: Record) -> None:
        """An order takes effect, or is told that it came too late."""
        if "action" not in record.fields:
            return
        facts, op_id = self._facts, record.op_id
        asked = facts.asked.get(op_id)
        if asked is None or asked.node != node.name:
            facts.violate("S11", node.name, f"{op_id} took effect here and was not for this node")
        elif facts.world.now > asked.at + PATIENCE:
            facts.violate("S11", node.name, f"{op_id} took effect after its time")
        if not node.disk.has_done(op_id):
            facts.violate("S11", node.name, f"{op_id} took effect, and the disk would have it again")
        # A disk from a backup has forgotten what took effect since.
        if (node.name, op_id) in self._carried_out and node.name not in facts.from_backup:
            facts.violate("S11", node.name, f"{op_id} took effect twice")
        self._carried_out.add((node.name, op_id))

    # -- S10

    def identity_made(self, node: SimNode) -> None:
        """An identity on disk changed: services go on with the old one."""
        known = self._since.setdefault(node.name, [(0, self._first.get(node.name, {}))])
        known.append((self._facts.world.now, dict(node.disk.identities)))
        self.check(node)

    def starting(self, node: SimNode) -> None:
        """A node starts from what is on its disk, which may be another one than before."""
        if node.name in self._since:
            self._since[node.name].append((self._facts.world.now, dict(node.disk.identities)))

    def check(self, node: SimNode) -> None:
        """What each service has loaded is what was on disk when it started, or now, if no restart is needed for it."""
        known = self._since.get(node.name)
        if known is None or node.core is None:
            return
        rulebook, now = node.core.context.rulebook, known[-1][1]
        for name, service in node.core.services.status().items():
            then = _at(known, service.since) if service.state == "started" else []
            for unit, loaded in service.loaded.items():
                right = then if _keeps(rulebook, name, unit) else [now]
                if not any(unit not in each or parse(each[unit]).fingerprint == loaded for each in right):
                    self._facts.violate("S10", node.name, f"{name} presents what it did not load at its last start")


def _keeps(rulebook: RuleBook, service: str, unit: str) -> bool:
    """Whether a service, or one that it stands on, has to be restarted for a unit (A.10)."""
    verbs = get_args(Verb)
    listed = {each for verb in verbs for row in rulebook.restarts(unit, verb) if not row.when for each in row.services}
    return service in listed or any(needed in listed for needed in rulebook.services[service].needs)


def _at(known: list[tuple[int, Identities]], instant: int) -> list[Identities]:
    """What was on disk at an instant; before and after, if it changed just then."""
    before = [identities for since, identities in known if since < instant][-1:]
    return before + [identities for since, identities in known if since == instant] or [known[0][1]]
