"""Signatures under certificates and CRLs, those included that libraries refuse to make.

A CA of old signs with SHA-1 or MD5, and a lab needs such certificates. `cryptography` does not make them, but its keys
sign any bytes. So the document is made with a hash that is allowed, its algorithm identifier is replaced, and the key
signs what comes out. No library does that better: asn1crypto, which would, had its last release in 2022.
"""

from collections.abc import Callable, Mapping

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from ucmlab.cluster.ca.der import BIT_STRING, sequence, value, values
from ucmlab.cluster.ca.keys import PrivateKey
from ucmlab.cluster.errors import Unusable

SigningKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
"""A key that signs a hash of one's choice."""
DEFAULT_HASH = "sha256"
ALLOWED: Mapping[str, Callable[[], hashes.SHA224 | hashes.SHA256 | hashes.SHA384 | hashes.SHA512]] = {
    "sha224": hashes.SHA224,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}
REFUSED: Mapping[str, Callable[[], hashes.SHA1 | hashes.MD5]] = {"sha1": hashes.SHA1, "md5": hashes.MD5}
"""By `cryptography`, not by us."""
HASHES = (*ALLOWED, *REFUSED)
_RSA_IDENTIFIERS = {
    "sha1": bytes.fromhex("300d06092a864886f70d0101050500"),  # sha1WithRSAEncryption, NULL (RFC 8017)
    "md5": bytes.fromhex("300d06092a864886f70d0101040500"),  # md5WithRSAEncryption, NULL
}
_EC_IDENTIFIERS = {"sha1": bytes.fromhex("300906072a8648ce3d0401")}  # ecdsa-with-SHA1; there is none with MD5


def check_hash(name: str) -> None:
    """Whether there is such a hash.

    Raises:
        Unusable: there is none.
    """
    if name not in HASHES:
        raise Unusable(f"no signatures with {name!r}; there are {', '.join(HASHES)}")


def sign_certificate(builder: x509.CertificateBuilder, key: PrivateKey, digest: str) -> x509.Certificate:
    """Sign a certificate.

    Raises:
        Unusable: no such hash, or none for this kind of key.
    """
    _check(key, digest)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return builder.sign(key, None)
    made = builder.sign(key, _allowed(digest), ecdsa_deterministic=_repeatable(key))
    if digest in ALLOWED:
        return made
    return x509.load_der_x509_certificate(resigned(made.public_bytes(Encoding.DER), key, digest))


def sign_crl(
    builder: x509.CertificateRevocationListBuilder, key: PrivateKey, digest: str
) -> x509.CertificateRevocationList:
    """Sign a CRL, as `sign_certificate` does a certificate.

    Raises:
        Unusable: no such hash, or none for this kind of key.
    """
    _check(key, digest)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return builder.sign(key, None)
    made = builder.sign(key, _allowed(digest), ecdsa_deterministic=_repeatable(key))
    if digest in ALLOWED:
        return made
    return x509.load_der_x509_crl(resigned(made.public_bytes(Encoding.DER), key, digest))


def resigned(document: bytes, key: SigningKey, digest: str) -> bytes:
    """The same document (DER of a certificate or CRL) signed with a hash of `REFUSED`.

    Raises:
        Unusable: there are no signatures with that hash and this kind of key.
    """
    identifier = (_RSA_IDENTIFIERS if isinstance(key, rsa.RSAPrivateKey) else _EC_IDENTIFIERS).get(digest)
    if identifier is None:
        raise Unusable(
            f"there is no signature algorithm with {digest} and an EC key; choose an RSA key or another hash"
        )
    to_be_signed, before, _ = values(document)
    parts = list(values(to_be_signed))
    # The identifier stands inside too (RFC 5280, 4.1.1.2); nothing before it there is a sequence.
    parts[parts.index(before)] = identifier
    changed = sequence(*parts)
    signature = _signature(key, changed, REFUSED[digest]())
    return sequence(changed, identifier, value(BIT_STRING, b"\0" + signature))


def _check(key: PrivateKey, digest: str) -> None:
    check_hash(digest)
    if isinstance(key, ed25519.Ed25519PrivateKey) and digest != DEFAULT_HASH:
        raise Unusable(f"an Ed25519 key signs in its own way, never with {digest}; leave the hash out")


def _allowed(digest: str) -> hashes.SHA224 | hashes.SHA256 | hashes.SHA384 | hashes.SHA512:
    return ALLOWED.get(digest, hashes.SHA256)()


def _repeatable(key: SigningKey) -> bool | None:
    """Whether the same document gets the same signature each time; RSA has no choice (PKCS#1 v1.5)."""
    return True if isinstance(key, ec.EllipticCurvePrivateKey) else None


def _signature(key: SigningKey, content: bytes, algorithm: hashes.SHA1 | hashes.MD5) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(content, padding.PKCS1v15(), algorithm)
    return key.sign(content, ec.ECDSA(algorithm, deterministic_signing=True))
