"""What is checked of the way from a presented certificate to a root, in OpenSSL's order: the first fault counts."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from ucmlab.node.chains import COMPARISONS
from ucmlab.node.handshake_certificates import Seen
from ucmlab.node.handshake_paths import Path
from ucmlab.node.handshake_reasons import EKU_MISSING, Reason, Usage
from ucmlab.node.host_names import is_for
from ucmlab.node.instant import rfc3339
from ucmlab.node.issuing import public_key, signed_with
from ucmlab.node.name_constraints import constrained_names, limits, names_at_most, why_forbidden


class Fault(NamedTuple):
    """What a check found."""

    reason: Reason
    detail: str


class Case(NamedTuple):
    """What the checks look at."""

    path: Path
    usage: Usage
    name: str
    """Host name or IP address; empty, any will do."""
    wall: int | None
    """None: dates are not looked at."""

    @property
    def chain(self) -> tuple[Seen, ...]:
        """Leaf first."""
        return self.path.chain


def first_fault(case: Case) -> Fault:
    """What OpenSSL stops at; without a reason, it finds nothing."""
    return next((fault for check in _CHECKS for fault in check(case)), Fault("", ""))


def _own_key(case: Case) -> Iterator[Fault]:
    if case.chain[0].weak_key:
        yield Fault("weak_key", case.chain[0].name)


def _way(case: Case) -> Iterator[Fault]:
    if case.path.trusted:
        return
    top = case.chain[-1]
    if case.path.too_long:
        yield Fault("chain_too_long", f"there is no root within {len(case.chain)} certificates")
    if top.self_signed:
        yield Fault("unknown_ca", f"{top.name} is not held")
    yield Fault("unknown_ca", f"the issuer of {top.name} is missing")


def _extensions(case: Case) -> Iterator[Fault]:
    """What each certificate says of itself, from the leaf upward."""
    below = 0
    for depth, each in enumerate(case.chain):
        if each.critical:
            yield Fault("critical_extension", f"{each.critical} of {each.name}")
        if depth:
            yield from _no_issuer(case, depth)
        if each.curve_spelt_out and len(case.chain) > 1:
            yield Fault("explicit_curve", each.name)
        yield from _purpose(each, case.usage, leaf=not depth)
        # The first issuer has nothing but the leaf below it, which is not counted.
        if depth > 1 and each.told.path_length is not None and below > each.told.path_length:
            yield Fault("path_length", f"{each.name} permits {each.told.path_length}, there are {below}")
        below += bool(depth) and not each.self_issued


def _no_issuer(case: Case, depth: int) -> Iterator[Fault]:
    each, last = case.chain[depth], depth == len(case.chain) - 1
    if each.why_no_ca:
        yield Fault(each.why_no_ca, each.name)
    if not last and not each.plainly_ca:
        yield Fault("not_a_ca", each.name)


def _purpose(each: Seen, usage: Usage, *, leaf: bool) -> Iterator[Fault]:
    """Extended key usages bind CAs too; what a key may be used for, its holder alone, as CAs were asked above."""
    if each.extended is not None and not each.extended & _EXTENDED[usage]:
        yield Fault(EKU_MISSING[usage], each.name)
    if leaf and each.usages is not None and not each.usages & _USAGES[usage]:
        yield Fault("key_usage", each.name)


_EXTENDED: dict[Usage, frozenset[x509.ObjectIdentifier]] = {
    "server": frozenset(
        {
            ExtendedKeyUsageOID.SERVER_AUTH,
            x509.ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),  # Microsoft's and Netscape's "server gated cryptography"
            x509.ObjectIdentifier("2.16.840.1.113730.4.1"),
        }
    ),
    "client": frozenset({ExtendedKeyUsageOID.CLIENT_AUTH}),
}
"""One of them must be there, if any is; anyExtendedKeyUsage does not stand for it."""
_USAGES: dict[Usage, frozenset[str]] = {
    "server": frozenset({"digitalSignature", "keyEncipherment", "keyAgreement"}),
    "client": frozenset({"digitalSignature", "keyAgreement"}),
}


def _strength(case: Case) -> Iterator[Fault]:
    """Security level 1: keys of issuers, and all signatures but that of the root, which nobody checks."""
    for depth, each in enumerate(case.chain):
        if depth and each.weak_key:
            yield Fault("weak_key", each.name)
        if depth < len(case.chain) - 1 and each.weak_signature:
            yield Fault("weak_signature", each.name)


def _name(case: Case) -> Iterator[Fault]:
    wanted, leaf = case.name, case.chain[0].certificate
    if wanted and not is_for(leaf, wanted):
        yield Fault("name_mismatch", f"{leaf.subject} is not for {wanted}")


def _signatures_and_dates(case: Case) -> Iterator[Fault]:
    """From the root downward, of each certificate first the signature, then the dates."""
    issuer: Seen | None = None
    for each in reversed(case.chain):
        if issuer is not None and not signed_with(each.certificate, public_key(issuer.certificate)):
            yield Fault("bad_signature", f"that of {each.name} is not of {issuer.name}")
        if case.wall is not None:
            yield from _dates(each, case.wall)
        issuer = each


def _dates(each: Seen, wall: int) -> Iterator[Fault]:
    certificate = each.certificate
    match certificate.validity(wall):
        case "expired":
            yield Fault("expired", f"{each.name}, not after {rfc3339(certificate.not_after)}")
        case "not_yet_valid":
            yield Fault("not_yet_valid", f"{each.name}, not before {rfc3339(certificate.not_before)}")
        case "valid":
            return


def _constraints(case: Case) -> Iterator[Fault]:
    """From the root downward, each certificate by the constraints of all above it, the root's own among them."""
    comparisons = 0
    for depth in range(len(case.chain) - 1, -1, -1):
        each = case.chain[depth]
        if depth and each.self_issued:
            continue
        for above in reversed(case.chain[depth + 1 :]):
            bounds = limits(above.certificate.der)
            comparisons += bounds.count and bounds.count * names_at_most(each.certificate)
            if comparisons > COMPARISONS:
                yield Fault("name_constraint", f"{above.name} has limits for more names than are compared")
            forbidden = bounds.count and why_forbidden(bounds, constrained_names(each.certificate, leaf=not depth))
            if forbidden:
                yield Fault("name_constraint", f"{above.name} {forbidden} of {each.name}")


_CHECKS: tuple[Callable[[Case], Iterator[Fault]], ...] = (
    _own_key,
    _way,
    _extensions,
    _strength,
    _name,
    _signatures_and_dates,
    _constraints,
)
