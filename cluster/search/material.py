"""The third-party certificates that random operators upload: a few roots, made once, some of them of one name."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ucmlab.cluster.simkeys import sim_ec
from ucmlab.node.certificates import parse

START = datetime(2025, 6, 1, tzinfo=UTC)
ROOTS = 12
RENEWED = 3
"""So many of the roots exist a second time under the same name with a later start (B.10)."""


class Material(msgspec.Struct, frozen=True):
    """One certificate, ready for an upload."""

    name: str
    fingerprint: str
    pem: bytes


@lru_cache(maxsize=1)
def material() -> tuple[Material, ...]:
    """All certificates of the search, the same in every process."""
    first = [_root(number, f"Search Root {number}", START) for number in range(ROOTS)]
    later = [_root(ROOTS + number, f"Search Root {number}", START + timedelta(days=30)) for number in range(RENEWED)]
    return (*first, *later)


def _root(number: int, common_name: str, start: datetime) -> Material:
    key = sim_ec(number, "ec-256")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1000 + number)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256(), ecdsa_deterministic=True)
    )
    der = certificate.public_bytes(Encoding.DER)
    return Material(f"{common_name} #{number}", parse(der).fingerprint, certificate.public_bytes(Encoding.PEM))
