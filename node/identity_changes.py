"""A new identity certificate of this node: uploaded, regenerated or self-signed (B.6.4, R-017, R-020, R-021, R-089).

Pure judging, and what follows from it for rows and files; when it happens is decided in `operations`. The order is the
product's: this node's files first (the CA certificates that came along, then the identity), the database after, and
last the copies in trust stores, which follow the rows. A kill in between leaves a prefix of that, and files win: an
identity that no row names is put forward again (`unnamed`).
"""

from collections.abc import Iterable

import msgspec

from ucmlab.broker.messages import Row, RowKey
from ucmlab.node.certificates import Certificate, check_trust_certificate, parse, pem
from ucmlab.node.chains import complete
from ucmlab.node.commands import IdentityForm, InstallIdentity, MakeIdentity, ReuseIdentity
from ucmlab.node.context import Context
from ucmlab.node.errors import Refusal
from ucmlab.node.events import Age, GenerateSelfSigned, Regenerate, ReuseCertificate, Upload
from ucmlab.node.filing import Filing
from ucmlab.node.fips import check_fips
from ucmlab.node.identity_rows import identity_rows
from ucmlab.node.issuing import kind_of
from ucmlab.node.leaf_rules import (
    check_key_family,
    check_names,
    check_signature,
    has_key_of,
    lost_extensions,
    pick_leaf,
    told_of,
)
from ucmlab.node.planting import aged_form
from ucmlab.node.replica import Replica
from ucmlab.node.reuse_rules import judge_reuse
from ucmlab.node.rulebook import RuleBook, Unit
from ucmlab.node.self_signed_rules import judge_self_signed
from ucmlab.node.trust_rules import check_description, check_publisher_only, copies, taken_in
from ucmlab.node.upload_files import read_upload

CHAIN = "/chain"
"""Ends the id beside CA files that came with a leaf: without their identity they are an upload of their own."""

IdentityRequest = Upload | Regenerate | GenerateSelfSigned | ReuseCertificate | Age


class IdentityChange(msgspec.Struct, frozen=True, kw_only=True):
    """A change of an identity that was found permissible here."""

    unit: str
    der: bytes = b""
    """The certificate that was uploaded; empty: it is to be made."""
    form: IdentityForm | None = None
    """Of what is to be made."""
    source: str = ""
    """The identity whose certificate and key are to stand in."""
    authorities: tuple[Row, ...] = ()
    """Rows of CA certificates that came along and are not there yet."""
    replaced: tuple[RowKey, ...] = ()
    """Rows whose place they take by the same-name rule."""
    warnings: tuple[str, ...] = ()


class IdentityChanges:
    """Judges, and says what is to be done."""

    def __init__(
        self,
        context: Context,
        filing: Filing,
        replica: Replica,
        *,
        identities: dict[str, bytes],
        requests: dict[str, bytes],
        installed_by: dict[str, str],
    ) -> None:
        """All three tables are the node's own, read here.

        Args:
            identities: unit to certificate (DER).
            requests: unit to the certificate request that waits (DER).
            installed_by: unit to the id of the operation that its certificate is from.
        """
        self._context = context
        self._filing = filing
        self._replica = replica
        self._identities = identities
        self._requests = requests
        self._installed_by = installed_by

    def judge(self, request: IdentityRequest) -> IdentityChange:
        """What a request changes.

        Raises:
            Refusal: the unit, the node, the file or the certificate does not allow it.
        """
        if self.is_done(request):
            # From before a kill: it was judged then, and the CA certificates that came along have ids of their own.
            return IdentityChange(unit=request.unit, der=self._identities[request.unit])
        if isinstance(request, Upload):
            return self._judge_upload(request)
        if isinstance(request, ReuseCertificate):
            return self._judge_reuse(request)
        if isinstance(request, Age):
            return IdentityChange(unit=request.unit, form=aged_form(self._context, self._identities, request))
        form = judge_self_signed(self._context, self._identities, request)
        return IdentityChange(unit=request.unit, form=form)

    def is_done(self, request: IdentityRequest) -> bool:
        """Whether this very operation's certificate is in place, from before a kill: what is left are the rows."""
        return self._installed_by.get(request.unit) == request.op_id

    def is_in_place(self, row: Row) -> bool:
        """Whether an identity's row is that of the certificate on disk."""
        return self._identities.get(row.unit) == row.der

    def begin(self, op_id: str, change: IdentityChange) -> None:
        """Change this node's files; the end is told by `IdentityMade` or `CommandFailed`."""
        for unit, fingerprint in change.replaced:
            self._filing.remove(unit, fingerprint, op_id=op_id)
        for row in change.authorities:
            self._filing.write(row, op_id=op_id + CHAIN)
        if change.source:
            self._context.ask(ReuseIdentity(op_id, change.unit, change.source))
        elif change.form is None:
            self._context.ask(InstallIdentity(op_id, change.unit, change.der))
        else:
            self._context.ask(MakeIdentity(change.unit, op_id, change.form))

    def undo(self, change: IdentityChange) -> None:
        """The identity could not be put in place: take away what came along, put back what it took the place of."""
        for row in change.authorities:
            self._filing.remove(*row.key)
        replaced = [self._replica.rows[key] for key in change.replaced if key in self._replica.rows]
        for row in replaced:
            if row.held_by(self._context.config.name):
                self._filing.write(row)

    def rows(self, change: IdentityChange) -> tuple[Row, ...]:
        """The rows that the log is to have: of the identity on disk, its copies, and what came along."""
        return (*identity_rows(self._context, change.unit, self._identities[change.unit]), *change.authorities)

    def chain(self, unit: str) -> bytes:
        """The unit's certificate with its issuers, as far as they are here, PEM."""
        leaf, store = parse(self._identities[unit]), self._context.rulebook.units[unit].verified_by
        issuers = complete(leaf, held=self._held(store), wall=self._context.now.wall).issuers
        return "".join(pem(each.der) for each in (leaf, *issuers)).encode()

    def ca_signed(self, units: Iterable[str]) -> list[str]:
        """Those of the units whose certificate a CA signed."""
        held = ((unit, self._identities[unit]) for unit in units if unit in self._identities)
        return [unit for unit, der in held if not parse(der).self_signed]

    def unnamed(self) -> list[str]:
        """Units whose certificate no row of this node names: files win over the database (K1, as in B.6.3)."""
        return [unit for unit in self._identities if self._is_own(unit) and not self._is_named(unit)]

    def agree(self) -> bool:
        """Whether rows name what is on disk."""
        return not self.unnamed()

    def _is_own(self, unit: str) -> bool:
        """Whether the certificate is this node's to put forward: what the publisher hands out is the publisher's."""
        profile = self._context.rulebook.identities.get(unit)
        return profile is not None and (self._context.config.is_publisher or not profile.distributed_to)

    def _is_named(self, unit: str) -> bool:
        row = self._replica.rows.get((unit, parse(self._identities[unit]).fingerprint))
        return row is not None and row.held_by(self._context.config.name)

    def _judge_reuse(self, request: ReuseCertificate) -> IdentityChange:
        certificate = judge_reuse(self._context, self._identities, request)
        rulebook = self._context.rulebook
        store = rulebook.units[request.unit].verified_by
        # A self-signed one brings its own copies; what a CA signed must be trusted where CallManager's peers look.
        if not certificate.self_signed:
            complete(certificate, held=self._held(store), wall=self._context.now.wall).require()
        source = rulebook.identities[request.unit].reuses
        return IdentityChange(unit=request.unit, der=certificate.der, source=source)

    # -- uploads, in the order of B.10

    def _judge_upload(self, request: Upload) -> IdentityChange:
        unit = identity_unit(self._context, request.purpose)
        check_description(request.description)
        certificates = read_upload(request.data, der_pkcs7=self._context.config.der_pkcs7)
        leaf = self._judge_leaf(unit, certificates)
        if request.by_cli:
            self._check_one_node(leaf)
        check_fips(self._context.set_parameters, self._context.config.name, certificates)
        others = tuple(each for each in certificates if each.fingerprint != leaf.fingerprint)
        for each in others:
            if kind_of(each) == "leaf":
                raise Refusal("wrong_purpose", "the file holds several application certificates")
            check_trust_certificate(each, self._context.now.wall)
        chain = complete(leaf, brought=others, held=self._held(unit.verified_by), wall=self._context.now.wall)
        chain.require()
        authorities, replaced = self._authorities(unit, others, request.description)
        return IdentityChange(
            unit=unit.name,
            der=leaf.der,
            authorities=authorities,
            replaced=replaced,
            warnings=self._warnings(unit, leaf),
        )

    def _judge_leaf(self, unit: Unit, certificates: tuple[Certificate, ...]) -> Certificate:
        csr = self._requests.get(unit.name)
        profile = self._context.rulebook.identities[unit.name]
        leaf = pick_leaf(certificates, csr, may_issue=profile.ca)
        check_key_family(leaf, profile.family)
        check_signature(leaf, profile.family)
        check_trust_certificate(leaf, self._context.now.wall)
        if csr is None:
            raise Refusal("csr_missing", "no certificate request was made")
        if not has_key_of(leaf, csr):
            raise Refusal("key_mismatch", "it was made for another request")
        check_names(leaf, csr)
        lost = lost_extensions(leaf, csr)
        if lost and self._context.config.strict_uploads:
            raise Refusal("extension_missing", ", ".join(lost))
        return leaf

    def _check_one_node(self, leaf: Certificate) -> None:
        """See that a certificate that comes by the command line names no other node, where the release wants that."""
        me, rulebook = self._context.config, self._context.rulebook
        others = {me.fqdn_of(member.name) for member in me.members} - {me.fqdn}
        if not others.isdisjoint(leaf.sans) and not rulebook.offers("multi_san_by_cli"):
            raise Refusal("multi_san_by_cli", rulebook.features["multi_san_by_cli"].text)

    def _held(self, unit: str) -> list[Certificate]:
        """What this node's files have: the database alone does not make a CA known (domain.md 0.3)."""
        return [parse(file.der) for file in self._filing.fingerprints(unit).values()]

    def _authorities(
        self, unit: Unit, brought: tuple[Certificate, ...], description: str
    ) -> tuple[tuple[Row, ...], tuple[RowKey, ...]]:
        """The rows of CA certificates that came along, in the identity's trust store and where that is copied to."""
        store = self._context.rulebook.units[unit.verified_by]
        new = {
            target: [each for each in brought if self._filing.get(target, each.fingerprint) is None]
            for target in (store.name, *copies(self._context, store))
        }
        return taken_in(self._context, self._replica, new, description)

    def _warnings(self, unit: Unit, leaf: Certificate) -> tuple[str, ...]:
        csr = self._requests.get(unit.name)
        lost = lost_extensions(leaf, csr) if csr is not None else ()
        told = [f"extension_missing: {word} was requested" for word in lost if word != "dataEncipherment"]
        if "dataEncipherment" in lost:
            told.append("ku_data_encipherment_lost: the CA removed the dataEncipherment bit")
        return (*told, *told_of(leaf, self._context.now.wall))


def identity_unit(context: Context, name: str) -> Unit:
    """The identity that an upload's purpose names, on this node.

    Raises:
        Refusal: there is no such unit here, its certificates are never signed by a CA, or only the publisher may.
    """
    unit = context.rulebook.units[name]
    check_publisher_only(context, unit, "upload")
    if context.config.role not in unit.roles:
        raise Refusal("wrong_purpose", f"{context.config.name} has no such unit")
    if (context.config.role, name) not in context.rulebook.csrs:
        raise Refusal("csr_missing", "it has no certificate requests")  # T-1 has no row for ITLRecovery
    return unit


def touched(rulebook: RuleBook, unit: Unit) -> tuple[str, ...]:
    """The units that a change of an identity may change besides: none of them may be under another change."""
    stores = [unit.verified_by, *rulebook.units[unit.verified_by].copied_to]
    profile = rulebook.identities.get(unit.name)
    stores += [copy.unit for copy in profile.copies] if profile is not None else []
    return tuple(dict.fromkeys((unit.name, *stores)))
