"""Tells services what was changed under them: this node's files and identities, and certificates of other nodes (A.10).

Of a cluster that is being installed nothing counts as changed: what comes, services take up as it comes, so that none
of a cluster that stands waits to be restarted. What follows from a change is `services`' to know.
"""

from collections.abc import Callable, Mapping

from ucmlab.broker.messages import LogEntry, Row
from ucmlab.node.certificates import Certificate, parse
from ucmlab.node.context import Context
from ucmlab.node.filing import Filing
from ucmlab.node.identity_rows import IDENTITY_KINDS
from ucmlab.node.restarts import AUTHZ, Verb
from ucmlab.node.services import Services

_BY_OPERATORS = (*IDENTITY_KINDS, "upload", "delete")
"""Kinds of entries that change certificates in use."""


class ServiceChanges:
    """What the services of one node are told."""

    def __init__(
        self,
        context: Context,
        services: Services,
        filing: Filing,
        *,
        rows: Callable[[str], Mapping[str, Row]],
        files_agree: Callable[[], bool],
    ) -> None:
        """Nothing was changed yet.

        Args:
            context: the node's.
            services: who is told.
            filing: whose `touched` is taken note of here.
            rows: a unit's rows by fingerprint.
            files_agree: whether files equal rows.
        """
        self._context = context
        self._services = services
        self._filing = filing
        self._rows = rows
        self._files_agree = files_agree
        self.cluster_stands = False
        """Whether all members are installed, and what came with that is in this node's files; of a node that was
        installed in an earlier life it is believed."""

    def look(self, *, installed: bool) -> None:
        """An event has been handled: trust files that it moved, each unit once, when all is in place.

        Args:
            installed: whether this node is.
        """
        if self._filing.touched:
            self._trust_changed()
        if installed and not self.cluster_stands:
            self.cluster_stands = self._all_installed() and self._files_agree()

    def identity_replaced(self, unit: str, certificate: Certificate, *, new: bool) -> None:
        """A certificate is an identity of this node now, in the place of another one unless it is `new`."""
        if new:
            self._services.unit_arrived(unit)
        else:
            self._services.unit_changed(unit, _verb_of(certificate))

    def authz_renewed(self) -> None:
        """This node has other OAuth keys than before."""
        self._services.unit_changed(AUTHZ, "regenerate")

    def applied(self, entry: LogEntry) -> None:
        """An operator changed a certificate on another node: services here may have to be restarted for it."""
        if entry.origin == self._context.config.name or entry.kind not in _BY_OPERATORS:
            return
        units, concerned = self._context.rulebook.units, self._context.rulebook.restarts_elsewhere
        added = {row.unit: row for row in entry.adds if row.unit in concerned}
        for unit, row in added.items():
            verb = _verb_of(parse(row.der)) if units[unit].kind == "identity" else "upload"
            self._services.unit_changed(unit, verb, here=False)
        for unit in dict.fromkeys(unit for unit, _ in entry.removes if unit in concerned and unit not in added):
            self._services.unit_changed(unit, "delete", here=False)

    def _trust_changed(self) -> None:
        touched, self._filing.touched = self._filing.touched, {}
        for unit, verb in touched:
            if self.cluster_stands:
                self._services.unit_changed(unit, verb)
            else:
                self._services.unit_arrived(unit)

    def _all_installed(self) -> bool:
        """Whether the installations of all members are in the replica."""
        named = {holder for row in self._rows("tomcat").values() for holder in row.holders or ()}
        return all(member.name in named for member in self._context.config.members)


def _verb_of(certificate: Certificate) -> Verb:
    """What an operator did who has this certificate in an identity's place."""
    return "regenerate" if certificate.self_signed else "upload"
