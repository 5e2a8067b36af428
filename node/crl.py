"""A certificate revocation list as the product reads one from 14SU3 (A.19, B.16): whose it is, and what it lists."""

import warnings
from collections.abc import Iterable

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from ucmlab.node import names
from ucmlab.node.certificates import MALFORMED, Certificate
from ucmlab.node.issuing import named, public_key, why_no_issuer
from ucmlab.node.ocsp import Unbelievable, check_fresh
from ucmlab.node.revocation_rules import RevocationLimits

ENTRIES_LIMIT = 100_000
"""Certificates on one list; the largest public ones have some ten thousand."""


class Crl(msgspec.Struct, frozen=True):
    """A list that was found to be its issuer's."""

    issuer: str
    """RFC 4514."""
    signed_by: str
    """Fingerprint of the certificate whose key signed it."""
    name: names.Canonical
    """The issuer's, as names are compared."""
    revoked: dict[str, str]
    """Serial number (lower-case hex without leading zeros) to reason, `unspecified` if none is said."""
    this_update: int
    """Microseconds since 1970, UTC, as is `next_update`."""
    next_update: int


def read_crl(data: bytes, authorities: Iterable[Certificate], *, wall: int, limits: RevocationLimits) -> Crl:
    """Read a list (DER or PEM) from wherever it comes.

    Args:
        data: the list.
        authorities: certificates among which its issuer's must be.
        wall: this node's clock.
        limits: how far clocks may differ, and how old a list may be.

    Raises:
        Unbelievable: `nonsense`, `too_large`, `issuer_unknown`, `untrusted_signer`, `stale` or `not_yet`.
    """
    try:
        # As in `ucmlab.node.ocsp`.
        with warnings.catch_warnings(action="ignore"):
            return _read(data, authorities, wall=wall, limits=limits)
    except (UnsupportedAlgorithm, *MALFORMED):
        raise Unbelievable("nonsense", "it is no CRL that can be read") from None


def _read(data: bytes, authorities: Iterable[Certificate], *, wall: int, limits: RevocationLimits) -> Crl:
    loaded = x509.load_pem_x509_crl(data) if b"-----BEGIN " in data else x509.load_der_x509_crl(data)
    issuer = _issuer(loaded, authorities)
    start, end = check_fresh(loaded.last_update_utc, loaded.next_update_utc, wall=wall, limits=limits)
    return Crl(issuer.subject, issuer.fingerprint, named(issuer.der)[0], _entries(loaded), start, end)


def _issuer(loaded: x509.CertificateRevocationList, authorities: Iterable[Certificate]) -> Certificate:
    wanted = names.canonical(loaded.issuer.public_bytes())
    candidates = [each for each in authorities if named(each.der)[0] == wanted and not why_no_issuer(each)]
    if not candidates:
        raise Unbelievable("issuer_unknown", f"{loaded.issuer.rfc4514_string()} is in no trust-store")
    for each in candidates:
        public = load_der_public_key(public_key(each))
        if isinstance(public, rsa.RSAPublicKey | ec.EllipticCurvePublicKey) and loaded.is_signature_valid(public):
            return each
    raise Unbelievable("untrusted_signer", f"{candidates[0].subject} did not sign it")


def _entries(loaded: x509.CertificateRevocationList) -> dict[str, str]:
    if len(loaded) > ENTRIES_LIMIT:
        raise Unbelievable("too_large", f"it lists more than {ENTRIES_LIMIT} certificates")
    return {f"{entry.serial_number:x}": _reason(entry) for entry in loaded}


def _reason(entry: x509.RevokedCertificate) -> str:
    found = [each.value for each in entry.extensions if isinstance(each.value, x509.CRLReason)]
    return found[0].reason.value if found else "unspecified"
