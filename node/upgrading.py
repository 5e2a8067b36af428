"""An upgrade: the node's state carried over into the release that it has started with (domain.md A.19, B.19).

The product installs a release beside the one that runs, on the inactive partition, and carries the state over there;
`utils system switch-version` is the boot into it, and the way back as long as nobody has upgraded again. Here both are
one: `SetRelease` has the node start with the new release, in one step on the disk, and what is carried over is carried
over by the core of the new release before any service starts. There is no way back but a backup. So a kill leaves the
old release, untouched, or the new one, which begins this again.

What is carried over (rules of the new release, as data):

- identities stay as they are, with their validity (B.4: an upgraded cluster keeps its 5-year ITLRecovery); those of
  units that the former release lacked are made, as at an installation, and their rows with their copies proposed;
- trust certificates stay, also those of the image that a new installation would not have any more; the expired are not
  imported from 14SU2 on (`expired_trust_dropped_at_upgrade`): files go at once, and the rows are taken out of the
  database with the node's proposal, each node its own, by the publisher's clock as well as by the node's;
- what lies in units that the release has no more stays on the disk, where nobody reads it;
- files keep their names (B.5); new ones are named as the release names them. [ASSUMED]
- a CAPF identity that a subscriber has from before 14 stays, and nobody uses it (B.1). [ASSUMED]

While releases differ, nothing is replicated between publisher and node (`following`): the product's databases do not
speak to each other across releases. A subscriber of the old one goes on with what it has, its own uploads end
`partial`, and what it missed comes when it has been upgraded.
"""

from collections.abc import Callable, Iterable, Mapping

from ucmlab.broker.messages import Row, RowKey
from ucmlab.node.certificates import parse
from ucmlab.node.commands import MakeIdentity, SetRelease
from ucmlab.node.context import Context
from ucmlab.node.filing import Filing
from ucmlab.node.identity_rows import identity_rows
from ucmlab.node.replica import Replica
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.trust_rules import Wanted

KIND = "upgrade"
"""Of the proposal."""
DROPS_EXPIRED = "expired_trust_dropped_at_upgrade"


class Upgrading:
    """What is still to be carried over."""

    def __init__(
        self,
        context: Context,
        filing: Filing,
        replica: Replica,
        *,
        former: str,
        identities: Mapping[str, bytes],
        propose: Callable[[str, Wanted], None],
        carried_over: Callable[[], None],
    ) -> None:
        """Nothing is done before `begin`.

        Args:
            context: the node's, with the rules of the new release.
            filing: its files, changed here.
            replica: its rows.
            former: the release that it comes from; empty: no upgrade is under way.
            identities: the node's own table, unit to DER.
            propose: puts rows to the publisher under an operation id, until it is answered.
            carried_over: hears of the end.
        """
        self._context = context
        self._filing = filing
        self._replica = replica
        self.former = former
        self._identities = identities
        self._propose = propose
        self._carried_over = carried_over
        self._missing: set[str] = set()
        self._dropped: dict[RowKey, None] = {}
        self._answered_at: tuple[int, int] | None = None

    @property
    def op_id(self) -> str:
        """Of the proposal: another one in each boot, as an upgrade is cut off at most."""
        return f"{KIND}-{self._context.config.name}-{self._context.boot}"

    def begin(self) -> None:
        """Carry over; a node that was killed meanwhile begins again, and finds done what was done."""
        self._context.record("upgrade_begun", former=self.former, release=self._context.config.release)
        if self._context.rulebook.offers(DROPS_EXPIRED):
            self._drop_expired()
        missing = [unit for unit in self._new_units() if unit not in self._identities]
        self._missing = set(missing)
        for unit in missing:
            self._context.ask(MakeIdentity(unit))
        if not self._missing:
            self._propose_rows()

    def made(self, unit: str) -> None:
        """An identity is on disk."""
        if unit in self._missing:
            self._missing.discard(unit)
            if not self._missing:
                self._propose_rows()

    def answered(self, at: tuple[int, int]) -> None:
        """The log has what was proposed, by that position."""
        self._answered_at = at
        self.look()

    def look(self) -> None:
        """End the upgrade when this node's replica has it too.

        Not before: rows that are still there would bring the files back, and no notice would take them away again.
        """
        if self._answered_at is not None and self._replica.position >= self._answered_at:
            self._answered_at = None
            self._end()

    def _end(self) -> None:
        self._import_trust()
        config, units = self._context.config, self._new_units()
        self._context.ask(SetRelease(config.release, ""))
        self._context.record(
            "upgraded",
            self.op_id,
            former=self.former,
            release=config.release,
            made=",".join(units),
            dropped=",".join(f"{unit} {fingerprint}" for unit, fingerprint in self._dropped),
        )
        self.former = ""
        self._carried_over()

    def _import_trust(self) -> None:
        """What others have put into the database meanwhile, their new identities' copies above all, before services.

        Later it would be Change Notification's, and services that have just started would have to be restarted for it.
        """
        config = self._context.config
        for unit in self._context.rulebook.units_of(config.role):
            rows = self._replica.of_unit(unit.name).values() if unit.replicated and unit.kind == "trust" else ()
            for row in [row for row in rows if row.held_by(config.name)]:
                self._filing.write(row)

    def _new_units(self) -> list[str]:
        """Identities of the role that the former release has not."""
        rulebook, role = self._context.rulebook, self._context.config.role
        known = {each.unit for each in RuleBook.load(self.former, rulebook.profile).identity_profiles(role)}
        return [each.unit for each in rulebook.identity_profiles(role) if each.unit not in known]

    def _drop_expired(self) -> None:
        for unit in self._context.rulebook.units_of(self._context.config.role):
            if unit.kind != "trust":
                continue
            files = self._filing.fingerprints(unit.name).items()
            rows = self._replica.of_unit(unit.name).values()
            held = [row.key for row in rows if row.held_by(self._context.config.name) and self._is_over(row.der)]
            lying = [(unit.name, fingerprint) for fingerprint, file in files if self._is_over(file.der)]
            self._dropped |= dict.fromkeys((*held, *lying))
            for key in lying:
                self._filing.remove(*key, op_id=self.op_id)

    def _is_over(self, der: bytes) -> bool:
        return is_expired(der, self._context.now.wall)

    def _propose_rows(self) -> None:
        removes = tuple(key for key in self._dropped if key in self._replica.rows)
        made = [identity_rows(self._context, unit, self._identities[unit]) for unit in self._new_units()]
        adds = {row.key: row for rows in made for row in rows}
        self._propose(self.op_id, Wanted(KIND, removes, tuple(adds.values())))


def is_expired(der: bytes, wall: int) -> bool:
    """Whether a trust certificate is not imported any more."""
    return parse(der).validity(wall) == "expired"


def expired_rows(replica: Replica, keys: Iterable[RowKey], *, origin: str, wall: int) -> list[Row]:
    """Those of the rows named that `origin` holds and that have expired."""
    rows = [replica.rows[key] for key in keys if key in replica.rows]
    return [row for row in rows if row.held_by(origin) and is_expired(row.der, wall)]
