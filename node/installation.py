"""Installation: the identities of the node's role, and their copies in trust units.

A node is installed once. It makes what its role needs (domain.md B.1, B.4), proposes one entry with all its rows, and
is installed when the log has them. Until then its services do not start. What the publisher shares with the cluster
(ITLRecovery, authz keys) arrives sealed and does not hold up the installation.
"""

from collections.abc import Callable

from ucmlab.broker.messages import Row
from ucmlab.node.commands import MakeIdentity, SetInstalled
from ucmlab.node.context import Context
from ucmlab.node.identity_rows import identity_rows


class Installation:
    """What is still to be made, and whether the node is installed."""

    def __init__(
        self,
        context: Context,
        identities: dict[str, bytes],
        *,
        propose: Callable[[str, tuple[Row, ...]], None],
        installed: Callable[[], None],
    ) -> None:
        """`identities` (unit to DER) is the node's own table, filled here; `installed` hears of the end."""
        self._context = context
        self._identities = identities
        self._propose = propose
        self._installed = installed
        self.complete = False
        self._missing: set[str] = set()

    @property
    def op_id(self) -> str:
        """The installation's operation id: the same however often the node is killed meanwhile."""
        return f"install-{self._context.config.name}"

    def begin(self) -> None:
        """Make what is missing; a node that was killed while being installed goes on where it was."""
        made = [profile.unit for profile in self._context.rulebook.identity_profiles(self._context.config.role)]
        missing = [unit for unit in made if unit not in self._identities]
        self._missing = set(missing)
        for unit in missing:
            self._context.ask(MakeIdentity(unit))
        if not missing:
            self._propose(self.op_id, self._rows())

    def made(self, unit: str) -> None:
        """An identity is on disk."""
        self._missing.discard(unit)
        if not self._missing and not self.complete:
            self._propose(self.op_id, self._rows())

    def answered(self) -> None:
        """The log has the rows."""
        self.complete = True
        self._context.ask(SetInstalled())
        self._context.record("installed", self.op_id)
        self._installed()

    def _rows(self) -> tuple[Row, ...]:
        """The identities' rows and those of their copies."""
        context = self._context
        profiles = context.rulebook.identity_profiles(context.config.role)
        made = [identity_rows(context, each.unit, self._identities[each.unit]) for each in profiles]
        return tuple({row.key: row for rows in made for row in rows}.values())
