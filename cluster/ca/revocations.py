"""What an authority has revoked: the transitions that RFC 5280 allows, and entries of a CRL."""

from collections.abc import Mapping
from datetime import datetime

import msgspec
from cryptography import x509

from ucmlab.cluster.errors import Unusable
from ucmlab.node.instant import from_datetime, to_datetime

HOLD = "certificateHold"
UNSPECIFIED = "unspecified"
REASONS = (
    UNSPECIFIED,
    "keyCompromise",
    "cACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    HOLD,
    "privilegeWithdrawn",
    "aACompromise",
)
"""RFC 5280, 5.3.1, but for removeFromCRL, which only delta CRLs have."""
_PLAIN = {reason.lower(): reason for reason in REASONS}


class Revocation(msgspec.Struct, frozen=True):
    """One certificate that does not count any more, or not now."""

    serial: str
    """Lower-case hex without leading zeros."""
    at: int
    """Since when: microseconds since 1970, UTC."""
    reason: str
    """One of `REASONS`."""


def reason_named(word: str) -> str:
    """A word like `keyCompromise`, `key_compromise` or `key-compromise` as one of `REASONS`.

    Raises:
        Unusable: it is none.
    """
    found = _PLAIN.get(word.replace("_", "").replace("-", "").lower())
    if found is None:
        raise Unusable(f"there is no reason {word!r} to revoke for; there are {', '.join(REASONS)}")
    return found


def revoked(known: Mapping[str, Revocation], serial: str, *, reason: str, at: datetime) -> Revocation:
    """Revoke a certificate. One on hold may be revoked for good, and counts as revoked since it was put on hold.

    Raises:
        Unusable: there is no such reason, or it is revoked already.
    """
    reason = reason_named(reason)
    before = known.get(serial)
    if before is None:
        return Revocation(serial, from_datetime(at), reason)
    if before.reason != HOLD or reason == HOLD:
        raise Unusable(f"{serial} is revoked already, for {before.reason}")
    return Revocation(serial, before.at, reason)


def check_on_hold(known: Mapping[str, Revocation], serial: str) -> None:
    """Whether a hold can be lifted: nothing else can be taken back.

    Raises:
        Unusable: it is not revoked, or for good.
    """
    before = known.get(serial)
    if before is None:
        raise Unusable(f"{serial} is not revoked, so no hold can be lifted")
    if before.reason != HOLD:
        raise Unusable(f"{serial} is revoked for {before.reason}; only {HOLD} can be lifted")


def entry(revocation: Revocation) -> x509.RevokedCertificate:
    """As it stands in a CRL."""
    builder = (
        x509.RevokedCertificateBuilder()
        .serial_number(int(revocation.serial, 16))
        .revocation_date(to_datetime(revocation.at))
    )
    # RFC 5280: the reason is left out rather than unspecified.
    if revocation.reason != UNSPECIFIED:
        builder = builder.add_extension(x509.CRLReason(x509.ReasonFlags(revocation.reason)), critical=False)
    return builder.build()
