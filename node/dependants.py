"""Which certificates of a node depend on one in a trust store, and whose chain breaks without it (R-075, R-076, C-48).

A certificate depends on another by the rules of chains: what issued it, by name, key and signature, and what issued
that. Issuers are sought in one trust store, as verification does (`verified_by` in `units.toml`); what depends on them
lies in the store itself or is an identity that is verified by it. Dates play no part in who depends on whom; whether a
chain is whole is judged at an instant, by `chains`, and another way to a root keeps it so.
"""

from collections.abc import Iterable, Sequence

import msgspec

from ucmlab.node import chains
from ucmlab.node.certificates import Certificate
from ucmlab.node.issuing import named, names_key_of, public_key, signed_with, why_no_issuer
from ucmlab.node.rulebook import RuleBook


class Held(msgspec.Struct, frozen=True):
    """A certificate in a unit of a node."""

    unit: str
    certificate: Certificate

    @property
    def name(self) -> str:
        """What people call it."""
        return self.certificate.common_name or self.certificate.first_name or self.certificate.subject


def concerned(rulebook: RuleBook, store: str, held: Iterable[Held]) -> tuple[Held, ...]:
    """Of what a node holds: the store's own certificates, and the identities whose issuers must be in it."""
    units = rulebook.units
    return tuple(each for each in held if each.unit == store or units[each.unit].verified_by == store)


def dependants(gone: Sequence[Certificate], store: str, held: Iterable[Held]) -> tuple[Held, ...]:
    """What depends on certificates of a store: directly first, then further down; each place once.

    Args:
        gone: certificates that are, or were, in the store.
        store: the trust unit.
        held: what `concerned` gave; whether `gone` is among it makes no difference.
    """
    issuers, known = list(gone), {each.fingerprint for each in gone}
    by_issuer: dict[object, list[Held]] = {}
    for each in held:
        if each.certificate.fingerprint not in known:
            by_issuer.setdefault(named(each.certificate.der)[1], []).append(each)
    found: dict[tuple[str, str], Held] = {}
    for issuer in issuers:  # it grows by what was found, as long as that lies where issuers are sought
        for child in by_issuer.get(named(issuer.der)[0], ()):
            place = child.unit, child.certificate.fingerprint
            if place in found or not _issued(child.certificate, issuer):
                continue
            found[place] = child
            if child.unit == store:
                issuers.append(child.certificate)
    return tuple(found.values())


def broken_without(gone: Sequence[Certificate], store: str, held: Iterable[Held], *, wall: int) -> tuple[Held, ...]:
    """Those dependants whose chain was whole with certificates of a store, and is not without them.

    Args:
        gone: certificates that were in the store.
        store: the trust unit.
        held: what is left, as `concerned` gives it; `gone` may still be among it.
        wall: the instant at which chains are judged.
    """
    known = {each.fingerprint for each in gone}
    left = [each for each in held if each.certificate.fingerprint not in known]
    issuers = [each.certificate for each in left if each.unit == store]

    def whole(certificate: Certificate, trusted: Sequence[Certificate]) -> bool:
        return chains.complete(certificate, held=trusted, wall=wall).complete

    return tuple(
        each
        for each in dependants(gone, store, left)
        if not whole(each.certificate, issuers) and whole(each.certificate, [*issuers, *gone])
    )


def _issued(child: Certificate, issuer: Certificate) -> bool:
    """Whether one is the other's issuer; their names fit already. What costs most comes last."""
    return names_key_of(child, issuer) and not why_no_issuer(issuer) and signed_with(child, public_key(issuer))
