"""The way from a presented certificate to a trusted root, as OpenSSL goes it: one way, never back.

`chains` finds the good chain that an upload has, if there is any. A TLS end does not look that far: at each step it
takes the first certificate that may be the issuer, from what it trusts before what the peer sent, and what it took is
judged afterwards. So a crooked certificate can hide a good one of the same name, and here it does as well.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import msgspec

from ucmlab.node import names
from ucmlab.node.errors import Refusal
from ucmlab.node.handshake_certificates import Seen, may_have_issued, see

LONGEST = 101
"""Certificates of a chain below which OpenSSL still looks for an issuer (its depth of 100, and the leaf)."""


class Path(msgspec.Struct, frozen=True):
    """The way that was found."""

    chain: tuple[Seen, ...]
    """Leaf first."""
    trusted: bool
    """It ends in a self-signed certificate that is trusted."""

    @property
    def too_long(self) -> bool:
        """Whether its end is where OpenSSL gives up."""
        return len(self.chain) > LONGEST


Store = Mapping[names.Canonical, tuple[Seen, ...]]
"""Trusted certificates by subject, those of one name in the order in which they were loaded."""


@lru_cache(maxsize=256)
def store_of(trusted: tuple[bytes, ...]) -> Store:
    """The trust store of an end that loaded these (DER); what is no certificate is not in it."""
    store: dict[names.Canonical, list[Seen]] = {}
    for der in dict.fromkeys(trusted):
        try:
            seen = see(der)
        except Refusal:
            continue
        store.setdefault(seen.subject, []).append(seen)
    return {subject: tuple(some) for subject, some in store.items()}


def find_path(presented: Sequence[Seen], store: Store, wall: int | None) -> Path:
    """Go from the first of the presented certificates upward.

    Args:
        presented: what the peer sent, leaf first.
        store: what is trusted.
        wall: the instant whose valid certificates are preferred among those that may be an issuer; None, any will do.
    """
    chain, all_trusted = [presented[0]], False
    while True:
        top, whole = chain[-1], len(chain) > LONGEST  # CAs that are trusted and sign each other lead round and round
        issuer = None if whole else _first(store.get(top.issuer, ()), top, wall)
        if issuer is not None and (not top.self_signed or issuer.der == top.der):
            all_trusted = True
            if issuer.der != top.der:
                chain.append(issuer)
            if issuer.self_signed:
                return Path(tuple(chain), trusted=True)
            continue
        # Above a trusted certificate nothing that the peer sent is looked at; a root that only looks like a trusted
        # one ends the way as well.
        if all_trusted or top.self_signed or whole:
            return Path(tuple(chain), trusted=False)
        issuer = _first(_not_in(presented, chain), top, wall)
        if issuer is None:
            return Path(tuple(chain), trusted=False)
        chain.append(issuer)


def _first(candidates: Iterable[Seen], child: Seen, wall: int | None) -> Seen | None:
    """The first that may be the issuer and is valid; if none is, the first of those that last longest."""
    best: Seen | None = None
    for each in candidates:
        if not may_have_issued(each, child):
            continue
        if wall is None or each.certificate.validity(wall) == "valid":
            return each
        if best is None or each.certificate.not_after > best.certificate.not_after:
            best = each
    return best


def _not_in(presented: Iterable[Seen], chain: Sequence[Seen]) -> Iterable[Seen]:
    taken = {each.der for each in chain}
    return (each for each in presented if each.der not in taken)
