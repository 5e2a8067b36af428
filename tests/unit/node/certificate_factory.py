"""Certificates for tests: any subject, dates, key and extension, quickly (EC keys)."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey
START = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2031, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=1)
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(0xC0FFEE, ec.SECP256R1())


def name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Lab, Inc."),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def certificate(
    common_name: str = "Corp Root CA",
    *,
    subject: x509.Name | None = None,
    key: PrivateKey | None = None,
    public: PublicKey | None = None,
    serial: int = 0x0123,
    start: datetime = START,
    end: datetime = END,
    sans: Sequence[x509.GeneralName] = (),
    ca: bool = False,
) -> bytes:
    holder = subject if subject is not None else name(common_name)
    signer = key if key is not None else ec_key()
    builder = x509.CertificateBuilder(
        subject_name=holder,
        issuer_name=holder,
        public_key=public or signer.public_key(),
        serial_number=serial,
        not_valid_before=start,
        not_valid_after=end,
    )
    if sans:
        builder = builder.add_extension(x509.SubjectAlternativeName(sans), critical=False)
    if ca:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    # The same bytes in every run: a fuzzer's choices depend on lengths, and a signature's differs with its nonce.
    repeatable = True if isinstance(signer, ec.EllipticCurvePrivateKey) else None
    return builder.sign(signer, algorithm, ecdsa_deterministic=repeatable).public_bytes(Encoding.DER)
