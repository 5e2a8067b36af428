"""Certificates to upload: about the size of a customer's, and quickly made."""

from datetime import UTC, datetime, timedelta

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

SINCE = datetime(2025, 1, 1, tzinfo=UTC)
"""Before simulated clusters begin, and so long that today is within."""
VALID = timedelta(days=30 * 365)


class Certificate(msgspec.Struct, frozen=True):
    """One to upload."""

    der: bytes
    pem: bytes
    fingerprint: str


def make_certificates(number: int) -> list[Certificate]:
    """Roots of one key under different names."""
    key = rsa.generate_private_key(65537, 2048)
    return [_certificate(key, f"Bench Root CA {each}") for each in range(number)]


def _certificate(key: rsa.RSAPrivateKey, name: str) -> Certificate:
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, name), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "ucmlab bench")]
    )
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(SINCE)
        .not_valid_after(SINCE + VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )
    return Certificate(
        made.public_bytes(Encoding.DER), made.public_bytes(Encoding.PEM), made.fingerprint(SHA256()).hex()
    )
