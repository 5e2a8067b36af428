"""What a leaf must have in common with the request that it answers, and with its purpose.

R-016..R-018, R-026, R-031, R-038, R-039, R-051, X-06, and B.10 in its order of checks. The request is one that this
node made; the leaf is whatever a CA made of it, so the extensions that it lost are told and not mended.
"""

import warnings
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.x509.oid import ExtensionOID

from ucmlab.node.certificates import Certificate
from ucmlab.node.errors import Refusal
from ucmlab.node.instant import DAY, rfc3339
from ucmlab.node.issuing import Found, extensions_of, find_extension, kind_of, load, public_key
from ucmlab.node.usages import KEY_USAGES, extended_name, usages_of

EXPIRES_SOON = 30 * DAY
"""[ASSUMED]: what the expiry monitor begins to tell of by itself is not public (R-176)."""
_HARMLESS = (ExtensionOID.KEY_USAGE, ExtensionOID.BASIC_CONSTRAINTS)


def pick_leaf(certificates: Sequence[Certificate], csr: bytes | None, *, may_issue: bool) -> Certificate:
    """The certificate of a file that is to be the identity: the one with the request's key, else the one leaf.

    Args:
        certificates: the file's.
        csr: the request that waits (DER), if one does.
        may_issue: whether the identity is a CA certificate itself (CAPF, X-01), so that its kind tells nothing.

    Raises:
        Refusal: `wrong_purpose`, the file holds CA certificates alone, or several leaves.
    """
    of_request = [each for each in certificates if csr is not None and has_key_of(each, csr)]
    if of_request:
        return of_request[0]
    leaves = [each for each in certificates if kind_of(each) == "leaf"]
    leaves = leaves or [each for each in certificates if may_issue and not each.self_signed]
    if not leaves:
        raise Refusal("wrong_purpose", "CA certificates alone go to a trust store (R-016)")
    if len({each.fingerprint for each in leaves}) > 1:
        raise Refusal("wrong_purpose", "the file holds several application certificates")
    return leaves[0]


def has_key_of(certificate: Certificate, csr: bytes) -> bool:
    """Whether a certificate has the public key of a request (DER)."""
    try:
        return load_der_public_key(public_key(certificate)) == x509.load_der_x509_csr(csr).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return False


def check_key_family(certificate: Certificate, family: str) -> None:
    """An RSA purpose takes RSA keys, an EC purpose EC keys (R-018, X-06).

    Raises:
        Refusal: `key_type`.
    """
    if certificate.key.partition("-")[0] != family:
        raise Refusal("key_type", f"{certificate.key}, and the purpose takes {family} keys")


def check_signature(certificate: Certificate, family: str) -> None:
    """An RSA purpose takes RSA signatures alone, whatever hash is in them (R-026, R-039, X-06).

    Raises:
        Refusal: `signature_algorithm`.
    """
    if family == "rsa" and not _is_signed_with_rsa(certificate.der):
        raise Refusal("signature_algorithm", "it was signed with another kind of key")


def check_names(certificate: Certificate, csr: bytes) -> None:
    """The alternative names must be those of the request, all of them and no others, in any order (B.10).

    Raises:
        Refusal: `san_mismatch`; its text names what differs.
    """
    asked = _names(_of_request(csr, x509.SubjectAlternativeName))
    given = _names(find_extension(certificate.der, x509.SubjectAlternativeName))
    if asked != given:
        lost, added = sorted(asked - given), sorted(given - asked)
        differences = [f"{what} {', '.join(names)}" for what, names in (("without", lost), ("with", added)) if names]
        raise Refusal("san_mismatch", "; ".join(differences))


def lost_extensions(certificate: Certificate, csr: bytes) -> tuple[str, ...]:
    """What the request asked for and the CA left out (R-031): words such as `clientAuth` or `keyCertSign`."""
    asked, given = _of_request(csr, x509.ExtendedKeyUsage), find_extension(certificate.der, x509.ExtendedKeyUsage)
    lost = [extended_name(oid) for oid in asked or () if oid not in (given or ())]
    wanted, usage = _of_request(csr, x509.KeyUsage), find_extension(certificate.der, x509.KeyUsage)
    bits = _bits(wanted) - _bits(usage)
    lost += [word for word in KEY_USAGES if word in bits]
    issues, may = _of_request(csr, x509.BasicConstraints), find_extension(certificate.der, x509.BasicConstraints)
    return (*lost, *(["basicConstraints"] if issues is not None and issues.ca and not (may and may.ca) else []))


def told_of(certificate: Certificate, wall: int) -> tuple[str, ...]:
    """What people should know of an accepted certificate; each begins with a stable word and a colon."""
    told = []
    if certificate.not_after - wall < EXPIRES_SOON:
        told.append(f"near_expiry: it is valid until {rfc3339(certificate.not_after)} only")
    # B.10: Contact Center Express refuses such certificates later, when it is too late to ask the CA.
    critical = [each.oid for each in extensions_of(certificate.der) if each.critical and each.oid not in _HARMLESS]
    told += [f"critical_extension: {oid.dotted_string}; some peers refuse it" for oid in critical]
    return (*told, *(f"parser: {text}" for text in _grumbles(certificate.der)))


def _grumbles(der: bytes) -> tuple[str, ...]:
    """What the library has against a certificate that it reads nevertheless."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        x509.load_der_x509_certificate(der).serial_number  # noqa: B018  reading it is what it warns of
    return tuple(dict.fromkeys(str(each.message).split(". ")[0] for each in caught))


def _is_signed_with_rsa(der: bytes) -> bool:
    try:
        return isinstance(load(der).signature_algorithm_parameters, padding.PKCS1v15 | padding.PSS)
    except (UnsupportedAlgorithm, ValueError):
        return False


def _of_request(csr: bytes, kind: type[Found]) -> Found | None:
    extensions = x509.load_der_x509_csr(csr).extensions
    return next((each.value for each in extensions if isinstance(each.value, kind)), None)


def _names(extension: x509.SubjectAlternativeName | None) -> set[str]:
    """Alternative names as they are compared: kinds apart, DNS names without regard to case."""
    return {
        name.value.lower() if isinstance(name, x509.DNSName) else f"{type(name).__name__}:{name.value}"
        for name in extension or ()
    }


def _bits(usage: x509.KeyUsage | None) -> frozenset[str]:
    return frozenset() if usage is None else usages_of(usage)
