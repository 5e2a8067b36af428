"""A story's own certification authorities. Their keys never leave this module."""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key
from cryptography.x509.oid import NameOID

from ucmlab.cluster.keycache import KeyCache
from ucmlab.cluster.simkeys import CURVES, POOL, sim_ec, sim_rsa

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
KeySource = Callable[[str], PrivateKey]
"""A new key of a kind, as in `rsa-2048` or `ec-256`."""

RSA_BITS = 2048
KINDS = (f"rsa-{RSA_BITS}", *CURVES)
YEARS_VALID = 10
CLOCK_MARGIN = timedelta(days=1)
"""How long before now a CA's validity begins, so that a node with a slow clock accepts it."""


class CA:
    """A certification authority: a root, or below `parent`."""

    def __init__(
        self,
        name: str,
        key: PrivateKey,
        *,
        serial: int,
        validity: tuple[datetime, datetime],
        parent: "CA | None" = None,
    ) -> None:
        self._name = name
        self._key = key
        issuer = (parent._certificate, parent._key) if parent is not None else None  # noqa: SLF001  # its own class
        self._certificate: x509.Certificate = _certificate(name, key, serial=serial, validity=validity, parent=issuer)

    @property
    def name(self) -> str:
        """The common name."""
        return self._name

    @property
    def pem(self) -> bytes:
        """The certificate in PEM, as `upload` takes it."""
        return self._certificate.public_bytes(Encoding.PEM)

    @property
    def der(self) -> bytes:
        """The certificate in DER."""
        return self._certificate.public_bytes(Encoding.DER)

    @property
    def fingerprint(self) -> str:
        """Lower-case hex SHA-256 of the DER."""
        return hashlib.sha256(self.der).hexdigest()

    def __repr__(self) -> str:
        return f"<CA {self._name} {self.fingerprint[:12]}>"


def simulation_keys() -> KeySource:
    """Keys that are the same in every run: the simulation's pool from its end, since nodes take from its start."""
    taken = 0

    def next_key(kind: str) -> PrivateKey:
        nonlocal taken
        taken += 1
        number = POOL - taken
        return sim_ec(number, kind) if kind in CURVES else sim_rsa(number)

    return next_key


def throwaway_keys(cache: KeyCache) -> KeySource:
    """Keys that nobody else has, for real labs: from the user's cache while it lasts, else made."""

    def next_key(kind: str) -> PrivateKey:
        if kind in CURVES:
            return ec.generate_private_key(CURVES[kind]())
        for der in cache.take(1, RSA_BITS):
            # Validation would cost more than half of what making a key costs, and the file is our own.
            key = load_der_private_key(der, password=None, unsafe_skip_rsa_key_validation=True)
            if isinstance(key, rsa.RSAPrivateKey):
                return key
        return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)

    return next_key


def serial_number(seed: int, name: str, number: int) -> int:
    """A serial that depends on the run's seed and on the how-manieth CA of that name it is; 20 bytes at most."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}/{number}".encode()).digest()[:16]) | 1


def _certificate(
    name: str,
    key: PrivateKey,
    *,
    serial: int,
    validity: tuple[datetime, datetime],
    parent: tuple[x509.Certificate, PrivateKey] | None,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, signing_key = (parent[0].subject, parent[1]) if parent else (subject, key)
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(validity[0])
        .not_valid_after(validity[1])
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False)
    )
    if isinstance(signing_key, rsa.RSAPrivateKey):
        return builder.sign(signing_key, SHA256())
    return builder.sign(signing_key, SHA256(), ecdsa_deterministic=True)  # the same bytes in every run
