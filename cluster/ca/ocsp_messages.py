"""OCSP requests and responses (RFC 6960) as bytes: what the library does for one certificate, here for several.

`cryptography` reads and signs messages about one certificate. A request about several is cut into such ones, and what
is said about each is put together again and signed once. The same key and content give the same bytes.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from ucmlab.cluster.ca.der import BIT_STRING, OCTET_STRING, contents, sequence, value, values
from ucmlab.cluster.ca.keys import PrivateKey
from ucmlab.cluster.ca.revocations import UNSPECIFIED, Revocation
from ucmlab.node.certificates import MALFORMED
from ucmlab.node.instant import to_datetime
from ucmlab.node.names import SEQUENCE

CERTIFICATES_LIMIT = 32
"""Of one request. RFC 6960 has no limit; OpenSSL's command line asks for as many as it is given."""
_RESPONSE_BYTES = 0xA0
_DIGEST = hashes.SHA256
_NAMING_HASHES = (hashes.SHA1, hashes.SHA224, hashes.SHA256, hashes.SHA384, hashes.SHA512)


class Malformed(Exception):
    """It is no OCSP request that can be answered."""


class Asked(msgspec.Struct, frozen=True):
    """Whose status is wanted, as a request names it (CertID)."""

    issuer_name_hash: bytes
    issuer_key_hash: bytes
    serial: int
    algorithm: hashes.HashAlgorithm

    def is_issued_by(self, issuer: x509.Certificate) -> bool:
        """Whether the certificate named is that authority's: by the hashes of its name and key."""
        return (self.issuer_name_hash, self.issuer_key_hash) == issuer_hashes(issuer, self.algorithm)


class Request(msgspec.Struct, frozen=True):
    """A request, read."""

    asked: tuple[Asked, ...]
    nonce: bytes | None


class Signer(msgspec.Struct, frozen=True):
    """Who signs responses."""

    certificate: x509.Certificate
    key: PrivateKey
    enclosed: bool
    """Whether its certificate goes with the response; clients have that of the CA itself."""


class Said(msgspec.Struct, frozen=True):
    """What is said about one certificate."""

    about: Asked
    known: bool
    revocation: Revocation | None = None


def read_request(data: bytes) -> Request:
    """Read what a client asks.

    Raises:
        Malformed: it is no request, or about too many certificates.
    """
    try:
        try:
            singles = [ocsp.load_der_ocsp_request(data)]
        except NotImplementedError:  # well-formed, but not about one certificate
            singles = [ocsp.load_der_ocsp_request(each) for each in _divided(data)]
        asked = tuple(
            Asked(each.issuer_name_hash, each.issuer_key_hash, each.serial_number, each.hash_algorithm)
            for each in singles
        )
        extensions = singles[0].extensions if singles else ()
        nonce = next((each.value.nonce for each in extensions if isinstance(each.value, x509.OCSPNonce)), None)
    except (UnsupportedAlgorithm, *MALFORMED) as error:
        raise Malformed from error
    if not asked or not all(map(_can_be_answered, asked)):
        raise Malformed
    return Request(asked, nonce)


def _can_be_answered(asked: Asked) -> bool:
    """Whether a response can name it so: the library makes none with negative numbers or hashes of a wrong length."""
    if asked.serial < 0:
        return False
    lengths = {len(asked.issuer_name_hash), len(asked.issuer_key_hash)}
    return isinstance(asked.algorithm, _NAMING_HASHES) and lengths == {asked.algorithm.digest_size}


def issuer_hashes(issuer: x509.Certificate, algorithm: hashes.HashAlgorithm) -> tuple[bytes, bytes]:
    """How requests name an issuer: hashes of its name and of its public key (the bits, without what key it is)."""
    made = ocsp.OCSPRequestBuilder().add_certificate(issuer, issuer, algorithm).build()
    return made.issuer_name_hash, made.issuer_key_hash


def response(
    said: Sequence[Said], signer: Signer, *, this_update: datetime, next_update: datetime | None, nonce: bytes | None
) -> bytes:
    """Sign what is said about one or several certificates.

    Args:
        said: in the order of the request.
        signer: who signs.
        this_update: when that was known to be right.
        next_update: until when it counts; None: something newer can be had at any time.
        nonce: of the request, given back.
    """
    made = [_single(each, signer, this_update, next_update, nonce) for each in said]
    key = signer.key
    if len(made) == 1 and not isinstance(key, ec.EllipticCurvePrivateKey):
        return made[0].public_bytes(Encoding.DER)
    together = _together([each.tbs_response_bytes for each in made])
    return _resealed(made[0].public_bytes(Encoding.DER), together, _signature(key, together))


def refusal(status: ocsp.OCSPResponseStatus) -> bytes:
    """A response without any status: `MALFORMED_REQUEST`, `UNAUTHORIZED`, …; nobody signs such ones."""
    return ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)


def _single(
    said: Said, signer: Signer, this_update: datetime, next_update: datetime | None, nonce: bytes | None
) -> ocsp.OCSPResponse:
    about, revocation = said.about, said.revocation
    good = ocsp.OCSPCertStatus.GOOD if said.known else ocsp.OCSPCertStatus.UNKNOWN
    builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
        about.issuer_name_hash,
        about.issuer_key_hash,
        about.serial,
        about.algorithm,
        good if revocation is None else ocsp.OCSPCertStatus.REVOKED,
        this_update,
        next_update,
        None if revocation is None else to_datetime(revocation.at),
        None if revocation is None else _reason(revocation),
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
    if signer.enclosed:
        builder = builder.certificates([signer.certificate])
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.sign(signer.key, None if isinstance(signer.key, ed25519.Ed25519PrivateKey) else _DIGEST())


def _reason(revocation: Revocation) -> x509.ReasonFlags | None:
    """As in a CRL: left out rather than unspecified."""
    return None if revocation.reason == UNSPECIFIED else x509.ReasonFlags(revocation.reason)


def _divided(data: bytes) -> Iterable[bytes]:
    """A request about several certificates as requests about one each; their extensions go with all of them."""
    (to_be_signed, *_) = values(data)
    parts = list(values(to_be_signed))
    at = next(at for at, part in enumerate(parts) if part[0] == SEQUENCE)
    singles = list(values(parts[at]))
    if len(singles) > CERTIFICATES_LIMIT:
        raise Malformed
    return [sequence(sequence(*parts[:at], sequence(single), *parts[at + 1 :])) for single in singles]


def _together(responses: Sequence[bytes]) -> bytes:
    """ResponseData about several certificates, of that about one each; all else is as in the first."""
    parts = list(values(responses[0]))
    at = next(at for at, part in enumerate(parts) if part[0] == SEQUENCE)
    lists = [next(part for part in values(each) if part[0] == SEQUENCE) for each in responses]
    parts[at] = sequence(*(single for each in lists for single in values(each)))
    return sequence(*parts)


def _resealed(made: bytes, content: bytes, signature: bytes) -> bytes:
    """The response with other content, signed."""
    status, wrapped = values(made)
    (response_bytes,) = values(wrapped)
    kind, octets = values(response_bytes)
    _, algorithm, _, *certificates = values(contents(octets))
    basic = sequence(content, algorithm, value(BIT_STRING, b"\0" + signature), *certificates)
    return sequence(status, value(_RESPONSE_BYTES, sequence(kind, value(OCTET_STRING, basic))))


def _signature(key: PrivateKey, content: bytes) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(content)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(content, ec.ECDSA(_DIGEST(), deterministic_signing=True))
    return key.sign(content, padding.PKCS1v15(), _DIGEST())
