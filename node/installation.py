"""Installation: the identities of the node's role, their copies in trust units, and the CA certificates of the image.

A node is installed once. It makes what its role needs (domain.md B.1, B.4), proposes one entry with all its rows, and
is installed when the log has them. Until then its services do not start. What the publisher shares with the cluster
(ITLRecovery, authz keys) arrives sealed and does not hold up the installation.

Every node's image has the same default CA certificates (B.2). Their rows are the publisher's to bring, who is installed
first and begins the database: one entry for all, however many nodes there are. Files follow the rows, as of other trust
certificates. What a node does with its own image's when the cluster has deleted one before the node was ever started:

- `faithful` and `legacy`: in units that Change Notification moves, the image's files lie there before the database is
  heard of, and files win over it (K1): the comparison after the installation puts them forward, and the deleted one is
  back on all nodes, like every other zombie (design 4). [INFERRED]
- `modern`: rows say what is trusted, an image says nothing. What was deleted stays deleted, however late a node comes.

CUCM's image also has those of CAPF-trust. In no policy do they lie there without a row: no comparison would ever tell
the database of them, and a delete reaches every node that holds one (X-04).
"""

from collections.abc import Callable

from ucmlab.broker.messages import Row
from ucmlab.node.commands import MakeIdentity, SetInstalled
from ucmlab.node.context import Context
from ucmlab.node.default_cas import default_rows
from ucmlab.node.filing import Filing
from ucmlab.node.identity_rows import identity_rows


class Installation:
    """What is still to be made, and whether the node is installed."""

    def __init__(
        self,
        context: Context,
        identities: dict[str, bytes],
        filing: Filing,
        *,
        propose: Callable[[str, tuple[Row, ...]], None],
        installed: Callable[[], None],
    ) -> None:
        """`identities` (unit to DER) is the node's own table, filled here; `installed` hears of the end."""
        self._context = context
        self._identities = identities
        self._filing = filing
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
        if self._context.config.replication != "modern":
            self._unpack_image()
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

    def _unpack_image(self) -> None:
        """The image's CA certificates as files, where Change Notification will look at them."""
        config, rulebook = self._context.config, self._context.rulebook
        for row in default_rows(rulebook, config):
            unit = rulebook.units[row.unit]
            if unit.replicated and config.role in unit.roles:
                self._filing.write(row)

    def _rows(self) -> tuple[Row, ...]:
        """The identities' rows and those of their copies; on the publisher those of the image."""
        context = self._context
        profiles = context.rulebook.identity_profiles(context.config.role)
        made = [identity_rows(context, each.unit, self._identities[each.unit]) for each in profiles]
        if context.config.is_publisher:
            made.append(default_rows(context.rulebook, context.config))
        return tuple({row.key: row for rows in made for row in rows}.values())
