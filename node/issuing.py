"""Who may issue certificates: what a certificate says of itself about it, and whether a signature is its issuer's.

Leaf, intermediate or root is told here, and nowhere else (R-012, R-013, R-016, R-017, X-12). Certificates come from
`certificates.parse`, so their extensions can be read.
"""

import warnings
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, TypeVar

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.x509.oid import ExtensionOID

from ucmlab.node import names
from ucmlab.node.certificates import KEY_LIMIT_BITS, Certificate
from ucmlab.node.remembered import USUAL, USUAL_LENGTH, Remembered

Kind = Literal["leaf", "intermediate", "root"]
_ISSUING_KEYS = ("rsa", "ec")
"""X-06: kinds of key that the product knows; no other is ever in a trust store."""
EXPONENT_LIMIT = 1 << 32
"""RSA: real keys have 65537. A long exponent costs a hundred times as much, and an upload may hold hundreds of keys."""
FEW = 64
"""Certificates whose extensions are remembered as the library has them: of one of 64 kB that is 2 MB and more. A chain
has eleven, and what is asked for again and again (`standing`) is small and remembered by itself."""
UNDERSTOOD = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.POLICY_CONSTRAINTS,
        ExtensionOID.POLICY_MAPPINGS,
        ExtensionOID.INHIBIT_ANY_POLICY,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
    }
)
"""Extensions that may be critical: those that OpenSSL heeds. Policies are read by it, and judged only if asked to."""


class Standing(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What a certificate says about issuing, and by which key it wants to have been issued."""

    version: int
    """1 to 3; only version 3 has extensions."""
    ca: bool | None
    """Basic constraints; None, there are none."""
    path_length: int | None
    """How many intermediates may follow below, not counting self-issued ones; None, any number."""
    signs_certificates: bool
    """Key usage: keyCertSign, or no key usage at all."""
    key_id: bytes
    """Subject key identifier, or empty."""
    issuer_key_id: bytes
    """Authority key identifier, or empty."""
    issuer_serial: int | None
    """The serial number in the authority key identifier, which few have."""
    not_understood: str
    """A critical extension that is not understood, dotted, or empty."""


@Remembered
def standing(der: bytes) -> Standing:
    """Read what a certificate (DER, from `parse`) says about issuing."""
    constraints = find_extension(der, x509.BasicConstraints)
    usage = find_extension(der, x509.KeyUsage)
    own, issuer = find_extension(der, x509.SubjectKeyIdentifier), find_extension(der, x509.AuthorityKeyIdentifier)
    critical = (each.oid for each in extensions_of(der) if each.critical)
    return Standing(
        version=load(der).version.value + 1,
        ca=None if constraints is None else constraints.ca,
        path_length=None if constraints is None else constraints.path_length,
        signs_certificates=usage is None or usage.key_cert_sign,
        key_id=b"" if own is None else own.digest,
        issuer_key_id=b"" if issuer is None else issuer.key_identifier or b"",
        issuer_serial=None if issuer is None else issuer.authority_cert_serial_number,
        not_understood=next((oid.dotted_string for oid in critical if oid not in UNDERSTOOD), ""),
    )


def kind_of(certificate: Certificate) -> Kind:
    """What a certificate is: a root issues and is signed by itself, an intermediate issues, a leaf is all others."""
    if why_no_issuer(certificate):
        return "leaf"
    return "root" if signs_itself(certificate) else "intermediate"


def only_authorities(certificates: Iterable[Certificate]) -> bool:
    """Whether a file holds CA certificates alone, so that its purpose is a trust store (R-016, R-017).

    CAPF's own identity is a CA certificate too (X-01): which one of a file is an identity, its key tells, not its kind.
    """
    return all(kind_of(certificate) != "leaf" for certificate in certificates)


def why_no_issuer(certificate: Certificate) -> str:
    """What keeps a certificate from issuing others, whoever they are; empty, nothing does."""
    told = standing(certificate.der)
    if certificate.key.partition("-")[0] not in _ISSUING_KEYS or certificate.key_bits > KEY_LIMIT_BITS:
        return f"has a key that is not supported ({certificate.key})"
    # Roots of version 1 have no extensions; that they sign themselves is all that can be asked (OpenSSL, Java).
    if told.ca is None and told.version == 1 and signs_itself(certificate):
        return ""
    # OpenSSL would take keyCertSign alone for a CA; Java, in which the product checks, does not.
    if not told.ca:
        return "is no CA certificate by its basic constraints"
    return "" if told.signs_certificates else "may not sign certificates by its key usage"


def signs_itself(certificate: Certificate) -> bool:
    """Whether it is self-signed: by name, by the key that it names, and by signature."""
    subject, issuer = named(certificate.der)
    return subject == issuer and names_key_of(certificate, certificate) and _verified(*_itself(certificate))


def names_key_of(certificate: Certificate, issuer: Certificate) -> bool:
    """Whether the key that a certificate says it was signed with may be the issuer's; most name it, none must."""
    wanted, told = standing(certificate.der), standing(issuer.der)
    if wanted.issuer_key_id and told.key_id and wanted.issuer_key_id != told.key_id:
        return False
    return wanted.issuer_serial is None or f"{wanted.issuer_serial:x}" == issuer.serial


def public_key(certificate: Certificate) -> bytes:
    """The certificate's public key (SubjectPublicKeyInfo, DER)."""
    return names.cut_signing(certificate.der).public_key


def signed_with(certificate: Certificate, key: bytes) -> bool:
    """Whether a certificate bears the signature of a public key (SubjectPublicKeyInfo, DER)."""
    return _verified(certificate.der, key)


@Remembered
def named(der: bytes) -> tuple[names.Canonical, names.Canonical]:
    """Subject and issuer of a certificate, as names are compared."""
    parts = names.cut(der)
    return names.canonical(parts.subject), names.canonical(parts.issuer)


@lru_cache(maxsize=FEW)
def load(der: bytes) -> x509.Certificate:
    """Load a certificate (DER) that `parse` has read before."""
    # Roots of the 1990s have a serial number zero: cryptography warns, we accept.
    with warnings.catch_warnings(action="ignore"):
        return x509.load_der_x509_certificate(der)


@lru_cache(maxsize=FEW)
def extensions_of(der: bytes) -> x509.Extensions:
    """The extensions of a certificate (DER) that `parse` has read before."""
    with warnings.catch_warnings(action="ignore"):
        return load(der).extensions


Found = TypeVar("Found", bound=x509.ExtensionType)


def find_extension(der: bytes, kind: type[Found]) -> Found | None:
    """The extension of that kind, if a certificate (DER) has one."""
    return next((each.value for each in extensions_of(der) if isinstance(each.value, kind)), None)


def _itself(certificate: Certificate) -> tuple[bytes, bytes]:
    return certificate.der, public_key(certificate)


def _verified(der: bytes, key: bytes) -> bool:
    """Whether the signature holds; asked again and again of those that are usual."""
    return (_verify_usual if len(der) + len(key) <= USUAL_LENGTH else _verify)(der, key)


def _verify(der: bytes, key: bytes) -> bool:
    """Whether the signature holds; what the library cannot verify does not.

    MD5 and older are among that, as in the product's Java (`jdk.certpath.disabledAlgorithms`); SHA-1 is not.
    """
    signing = names.cut_signing(der)
    if signing.algorithm != signing.outer_algorithm:
        return False
    loaded = load(der)
    try:
        public = load_der_public_key(key)
        parameters, digest = loaded.signature_algorithm_parameters, loaded.signature_hash_algorithm
        if isinstance(public, rsa.RSAPublicKey) and isinstance(parameters, padding.PKCS1v15 | padding.PSS):
            if digest is None or public.key_size > KEY_LIMIT_BITS or public.public_numbers().e > EXPONENT_LIMIT:
                return False
            public.verify(loaded.signature, loaded.tbs_certificate_bytes, parameters, digest)
        elif isinstance(public, ec.EllipticCurvePublicKey) and isinstance(parameters, ec.ECDSA):
            if not names.curve_is_named(key):
                return False
            public.verify(loaded.signature, loaded.tbs_certificate_bytes, parameters)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


_verify_usual = lru_cache(maxsize=USUAL)(_verify)
