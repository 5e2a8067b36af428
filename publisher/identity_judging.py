"""The publisher's judgement of a node's new identity: its row, its copies, and the CA certificates that came with it.

The certificate is in place on its node by now, whatever is said here: files win over the database (K1). So nothing but
a proposal that no node of ours makes is refused; a row that a rule does not allow is left out (B.6.4, B.10, C-46).
"""

from ucmlab.broker.messages import Proposal, Row, RowKey
from ucmlab.node.certificates import check_trust_certificate, names_content, parse
from ucmlab.node.config import NodeConfig
from ucmlab.node.errors import Refusal
from ucmlab.node.identity_rows import FOUND, has_copies
from ucmlab.node.instant import Instant
from ucmlab.node.replica import Replica
from ucmlab.node.rulebook import IdentityProfile, RuleBook, Unit
from ucmlab.node.trust_rules import same_name_rule


class Judgement:
    """One judgement: the rows as they would be, and what of them has changed.

    Only units that it is about are looked through: a large cluster has thousands of rows, and every node comes.
    """

    def __init__(self, rulebook: RuleBook, config: NodeConfig, replica: Replica, *, origin: str, now: Instant) -> None:
        """Nothing has changed yet."""
        self._rulebook = rulebook
        self._config = config
        self._replica = replica
        self._units: dict[str, dict[str, Row]] = {}
        """Of each unit looked through, its rows by fingerprint as they would be."""
        self._changed: dict[RowKey, None] = {}
        self._origin = origin
        self._now = now
        self._role = next(member.role for member in config.members if member.name == origin)

    def of(self, proposal: Proposal) -> tuple[tuple[RowKey, ...], tuple[Row, ...]]:
        """What to remove and what to add; both empty when the log has it already.

        Raises:
            Refusal: `wrong_purpose`, `permission` or `publisher_only`: not a proposal that a node makes.
        """
        identity = self._identity(proposal)
        unit, profile = self._rulebook.units[identity.unit], self._rulebook.identities[identity.unit]
        self._put_in_place(identity, profile)
        # In `modern` what an operator deleted stays away. A copy that gave way to a newer identity's was no such
        # delete: then the identity's own row went as well.
        again = (
            proposal.kind == FOUND
            and self._config.replication == "modern"
            and (identity.unit, identity.fingerprint) not in self._replica.tombstones
        )
        copied = has_copies(parse(identity.der), profile)
        stores = {copy.unit for copy in profile.copies_made_on(self._role)} if copied else set()
        for row in proposal.adds:
            if row.unit in stores and row.fingerprint == identity.fingerprint:
                if not (again and row.key in self._replica.tombstones):
                    self._add_copy(row.unit, identity)
            elif row.key != identity.key:
                self._add_authority(row, unit)
        left = {key: self._row(key) for key in self._changed}
        removes = tuple(key for key, row in left.items() if row is None and key in self._replica.rows)
        adds = [row for key, row in left.items() if row is not None and row != self._replica.rows.get(key)]
        # The identity first: its unit names the topic of the entry.
        return removes, tuple(sorted(adds, key=lambda row: row.key != identity.key))

    def _identity(self, proposal: Proposal) -> Row:
        """The proposal's one row of an identity, with the holders that it has on this node."""
        units = self._rulebook.units
        rows = [row for row in proposal.adds if row.unit in units and units[row.unit].kind == "identity"]
        if len(rows) != 1 or rows[0].unit not in self._rulebook.identities:
            raise Refusal("wrong_purpose", "a change of an identity is about one identity")
        (row,) = rows
        if not names_content(row.fingerprint, row.der):
            raise Refusal("format", "the row's fingerprint is not its certificate's")
        if self._role not in units[row.unit].roles:
            raise Refusal("wrong_purpose", f"{self._origin} has no such unit")
        shared = bool(self._rulebook.identities[row.unit].distributed_to)
        publisher_only = shared or "regenerate" in units[row.unit].publisher_only
        if publisher_only and self._origin != self._config.publisher and proposal.kind != FOUND:
            raise Refusal("publisher_only", f"{self._config.publisher} is the publisher")
        if shared and self._origin != self._config.publisher:
            raise Refusal("permission", "it is the publisher's to put forward")
        holders = self._cucm() if shared else (self._origin,)
        return Row(row.unit, row.fingerprint, row.der, row.description, holders)

    def _put_in_place(self, identity: Row, profile: IdentityProfile) -> None:
        """One identity for each node and unit (R-021); the copies of the one before give way where names are equal."""
        before = self._held(identity.unit)
        for row in before:
            if row.fingerprint != identity.fingerprint:
                self._drop_holder(row, all_of_them=bool(profile.distributed_to))
        known = self._row(identity.key)
        holders = dict.fromkeys((*(known.holders or () if known is not None else ()), *(identity.holders or ())))
        self._put(Row(*identity.key, identity.der, identity.description, tuple(holders)))
        new = parse(identity.der)
        for old in before if has_copies(new, profile) else ():
            # B.6.4. A file is named by its CN (B.5), so of another name a copy is not overwritten and stays. [INFERRED]
            if old.fingerprint != new.fingerprint and parse(old.der).common_name == new.common_name:
                self._drop_copies(old, profile)

    def _drop_copies(self, old: Row, profile: IdentityProfile) -> None:
        for copy in profile.copies_made_on(self._role):
            row = self._row((copy.unit, old.fingerprint))
            if row is None or self._is_identity_of_somebody(row):
                continue
            self._drop_holder(row, all_of_them=self._rulebook.units[copy.unit].replicated)

    def _is_identity_of_somebody(self, copy: Row) -> bool:
        """Whether the certificate is still some node's identity with a copy in that store (B.2: one may be several)."""
        return any(
            self._row((profile.unit, copy.fingerprint)) is not None
            for profile in self._rulebook.identities.values()
            if copy.unit in {each.unit for each in profile.copies}
        )

    def _add_copy(self, unit: str, identity: Row) -> None:
        # A store that is not replicated gets its copies at the installation; later ones are for people to carry (C-65,
        # In its own copy's place there is nothing to compare: B.6.4 removes the old one and imports the new.
        listed = self._rulebook.units[unit].replicated
        new = parse(identity.der)
        for row in self._held(unit) if new.common_name else ():
            if row.fingerprint != new.fingerprint and parse(row.der).common_name == new.common_name:
                self._drop_holder(row, all_of_them=listed)
        holders = None if listed else (self._origin,)
        self._add(Row(unit, identity.fingerprint, identity.der, identity.description, holders))

    def _add_authority(self, row: Row, unit: Unit) -> None:
        """A CA certificate that came along: into the identity's trust store, and its copies (R-017, R-019)."""
        store = self._rulebook.units[unit.verified_by]
        if row.unit not in (store.name, *store.copied_to):
            raise Refusal("wrong_purpose", f"{row.unit} is not where issuers of {unit.name} are")
        if not names_content(row.fingerprint, row.der):
            raise Refusal("format", "the row's fingerprint is not its certificate's")
        try:
            check_trust_certificate(parse(row.der), self._now.wall)
        except Refusal:
            return  # the clocks differ; on its node it is there, and a file without a row is put forward again
        replicated = self._rulebook.units[row.unit].replicated
        holders = None if replicated else (self._origin,)
        self._add(Row(row.unit, row.fingerprint, row.der, row.description, holders))

    def _add(self, row: Row) -> None:
        """Put a trust row in by the same-name rule; an older start is passed over in silence (B.10, C-46)."""
        known = self._row(row.key)
        if known is not None and (known.holders is None or row.holders is None):
            self._put(known if known.holders is None else row)
            return
        if known is not None:
            holders = tuple(dict.fromkeys((*(known.holders or ()), *(row.holders or ()))))
            self._put(Row(*row.key, row.der, row.description, holders))
            return
        there = {each.key: each for each in self._held(row.unit)}
        try:
            replaced = same_name_rule(there.values(), parse(row.der))
        except Refusal:
            return
        for key in replaced:
            self._drop_holder(there[key], all_of_them=row.holders is None)
        self._put(row)

    def _drop_holder(self, row: Row, *, all_of_them: bool) -> None:
        left = tuple(name for name in row.holders or () if name != self._origin)
        if all_of_them or not left:
            self._changed[row.key] = None
            del self._of_unit(row.unit)[row.fingerprint]
        else:
            self._put(Row(*row.key, row.der, row.description, left))

    def _put(self, row: Row) -> None:
        self._changed[row.key] = None
        self._of_unit(row.unit)[row.fingerprint] = row

    def _row(self, key: RowKey) -> Row | None:
        unit, fingerprint = key
        return self._units.get(unit, self._replica.of_unit(unit)).get(fingerprint)

    def _held(self, unit: str) -> list[Row]:
        """The unit's rows that the proposer holds."""
        return [row for row in self._of_unit(unit).values() if row.held_by(self._origin)]

    def _of_unit(self, unit: str) -> dict[str, Row]:
        if unit not in self._units:
            self._units[unit] = dict(self._replica.of_unit(unit))
        return self._units[unit]

    def _cucm(self) -> tuple[str, ...]:
        return tuple(member.name for member in self._config.members if member.role != "imp")
