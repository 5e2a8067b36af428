"""Tells services what was changed under them: this node's files and identities, and certificates of other nodes (A.10).

What the installation of a member brings is no change: services take it up as it comes, so that none of a cluster that
stands waits to be restarted. It is told by the entry that brought it, not by whether all members are installed: one may
never be, and the others' services are to be restarted all the same (R-118). What follows from a change is `services`'
to know.
"""

from collections.abc import Iterable

from ucmlab.broker.messages import LogEntry, Row, RowKey
from ucmlab.node.certificates import Certificate, parse
from ucmlab.node.context import Context
from ucmlab.node.filing import Filing
from ucmlab.node.found import News
from ucmlab.node.identity_rows import IDENTITY_KINDS
from ucmlab.node.restarts import AUTHZ, Verb
from ucmlab.node.services import Services

_BY_OPERATORS = (*IDENTITY_KINDS, "upload", "delete")
"""Kinds of entries that change certificates in use."""


class ServiceChanges:
    """What the services of one node are told."""

    def __init__(self, context: Context, services: Services, filing: Filing) -> None:
        """Nothing was changed yet.

        Args:
            context: the node's.
            services: who is told.
            filing: whose `touched` is taken note of here.
        """
        self._context = context
        self._services = services
        self._filing = filing
        self._brought: set[RowKey] = set()
        """Trust certificates that came with an installation, and whose files this node does not have yet."""

    def installed(self, rows: Iterable[Row]) -> None:
        """Rows came with the installation of a member, or with that of this node."""
        units = self._context.rulebook.units
        self._brought.update(row.key for row in rows if units[row.unit].kind == "trust")

    def look(self) -> None:
        """An event has been handled: trust files that it moved, each unit once, when all is in place."""
        touched, self._filing.touched = self._filing.touched, {}
        arrived: dict[str, list[bytes]] = {}
        changed: dict[tuple[str, Verb], None] = {}
        for (unit, fingerprint), verb in touched.items():
            file = self._filing.get(unit, fingerprint)
            if file is not None and (unit, fingerprint) in self._brought:
                arrived.setdefault(unit, []).append(file.der)
            else:
                changed[unit, verb] = None
        self._brought = {key for key in self._brought if self._filing.get(*key) is None}
        for unit, certificates in arrived.items():
            self._services.trust_arrived(unit, tuple(certificates))
        for unit, verb in changed:
            self._services.unit_changed(unit, verb)

    def identity_replaced(self, unit: str, certificate: Certificate, *, new: bool) -> None:
        """A certificate is an identity of this node now, in the place of another one unless it is `new`."""
        if new:
            self._services.identity_arrived(unit)
        else:
            self._services.unit_changed(unit, _verb_of(certificate))

    def authz_renewed(self) -> None:
        """This node has other OAuth keys than before."""
        self._services.unit_changed(AUTHZ, "regenerate")

    def applied(self, entry: LogEntry, *, live: bool) -> None:
        """An entry came into the replica: services here may have to be restarted for what was done on another node.

        Args:
            entry: what was done.
            live: whether it came as it was published.
        """
        self._brought.difference_update(entry.removes)
        if entry.kind == "install":
            self.installed(entry.adds)
        elif entry.origin != self._context.config.name and entry.kind in _BY_OPERATORS:
            self._changed_elsewhere(entry, live=live)

    def _changed_elsewhere(self, entry: LogEntry, *, live: bool) -> None:
        units, concerned = self._context.rulebook.units, self._context.rulebook.restarts_elsewhere
        added = {row.unit: row for row in entry.adds if row.unit in concerned}
        removed = dict.fromkeys(unit for unit, _ in entry.removes if unit in concerned and unit not in added)
        news = self._news(entry, live=live)
        for unit, row in added.items():
            verb = _verb_of(parse(row.der)) if units[unit].kind == "identity" else "upload"
            self._services.changed_elsewhere(unit, verb, news)
        for unit in removed:
            self._services.changed_elsewhere(unit, "delete", news)

    def _news(self, entry: LogEntry, *, live: bool) -> News:
        me, now, units = self._context.config, self._context.now, self._context.rulebook.units
        here = (row for row in entry.adds if row.held_by(me.name) and me.role in units[row.unit].roles)
        return News(
            happened=None if live else now.lab - (now.wall - entry.at),
            copies=tuple((row.unit, row.der) for row in here if units[row.unit].kind == "trust"),
        )


def _verb_of(certificate: Certificate) -> Verb:
    """What an operator did who has this certificate in an identity's place."""
    return "regenerate" if certificate.self_signed else "upload"
