"""Certificate signing requests (PKCS#10): how one looks (R-027, R-031, R-040..R-050, R-144).

Shell side: it takes a private key. The same key and form give the same bytes.
"""

import ipaddress

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from ucmlab.node.commands import CsrForm
from ucmlab.node.identity import HASHES, Organization, subject_name
from ucmlab.node.keyring import IdentityKey
from ucmlab.node.rulebook import KEY_USAGE, CsrProfile
from ucmlab.node.usages import OF_THE_TABLES


def make_csr(form: CsrForm, profile: CsrProfile, key: IdentityKey, organization: Organization | None = None) -> bytes:
    """Make a request by the row of T-1 or T-2; return its DER.

    Raises:
        ValueError: a name is longer than X.509 allows (common name: 64 characters).
    """
    owner = organization or Organization()
    subject = subject_name(form.common_name, owner if form.ou else msgspec.structs.replace(owner, unit=""))
    usages = [OF_THE_TABLES[usage] for usage in profile.extended_key_usage]
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.KeyUsage(**{usage: usage in profile.key_usage for usage in KEY_USAGE}), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in form.names]), critical=False)
    )
    if form.ca:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=False)
    repeatable = True if isinstance(key, ec.EllipticCurvePrivateKey) else None
    return builder.sign(key, HASHES[form.digest], ecdsa_deterministic=repeatable).public_bytes(Encoding.DER)


def csr_pem(der: bytes) -> str:
    """A request as PEM (R-027), with the header that clients look for."""
    return x509.load_der_x509_csr(der).public_bytes(Encoding.PEM).decode()


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
