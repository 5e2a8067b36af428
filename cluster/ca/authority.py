"""A certification authority: a key, its certificate, and those above. It knows no time and keeps no books.

Serial numbers and dates come from whoever uses it: a story from its seed and lab time, the command at random and by
the clock. What was issued and revoked is theirs too (`revocations`).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from ucmlab.cluster.ca.keys import PrivateKey
from ucmlab.cluster.ca.requests import Request, common_name
from ucmlab.cluster.ca.revocations import Revocation, entry
from ucmlab.cluster.ca.signatures import DEFAULT_HASH, sign_certificate, sign_crl
from ucmlab.cluster.ca.terms import Terms, Validity, Wanted
from ucmlab.cluster.ca.usages import key_usage_extension
from ucmlab.cluster.errors import Unusable

CRL_LIFETIME = timedelta(days=7)
ENCODINGS = {"pem": Encoding.PEM, "der": Encoding.DER}
_CA_EXTENSIONS: tuple[Wanted, ...] = (
    (x509.BasicConstraints(ca=True, path_length=None), True),
    (key_usage_extension(frozenset({"keyCertSign", "cRLSign"})), True),
)


class Authority:
    """One that signs. Its key never leaves it but for `folder`, which keeps it."""

    def __init__(
        self, certificate: x509.Certificate, key: PrivateKey, *, above: Sequence[x509.Certificate] = ()
    ) -> None:
        """Take a key and its certificate; `above` are those of the authorities above, the nearest first."""
        self.certificate = certificate
        self.key = key
        self._above = tuple(above)

    def __repr__(self) -> str:
        return f"<Authority {self.certificate.subject.rfc4514_string()}>"

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """Its certificate and those above, up to the root."""
        return (self.certificate, *self._above)

    def sign(self, request: Request, terms: Terms, *, serial: int, validity: Validity) -> x509.Certificate:
        """Issue what was asked for, on these terms.

        Raises:
            Unusable: the terms cannot be kept.
        """
        return _signed(
            request,
            terms.extensions(request),
            issuer=self.certificate.subject,
            key=self.key,
            serial=serial,
            validity=validity,
            digest=terms.digest,
        )

    def subordinate(
        self, name: str, key: PrivateKey, *, serial: int, validity: Validity, digest: str = DEFAULT_HASH
    ) -> "Authority":
        """Found an authority below this one.

        Raises:
            Unusable: the name or the hash cannot be.
        """
        return self._vouch(common_name(name), key, serial=serial, validity=validity, digest=digest)

    def cross_sign(
        self, other: "Authority", *, serial: int, validity: Validity, digest: str = DEFAULT_HASH
    ) -> "Authority":
        """The other authority as this one vouches for it: same subject and key, another issuer, another way up.

        Raises:
            Unusable: the hash cannot be, or both are one.
        """
        if other.certificate.public_key() == self.certificate.public_key():
            raise Unusable("an authority cannot cross-sign itself; name another one")
        return self._vouch(other.certificate.subject, other.key, serial=serial, validity=validity, digest=digest)

    def crl(
        self, revocations: Iterable[Revocation], *, at: datetime, number: int, digest: str = DEFAULT_HASH
    ) -> x509.CertificateRevocationList:
        """The list of what is revoked now.

        Args:
            revocations: all of them, in the order that the list is to have.
            at: from when it counts, for `CRL_LIFETIME`.
            number: larger than that of each list before (RFC 5280, 5.2.3).
            digest: the hash of its signature.

        Raises:
            Unusable: the hash cannot be.
        """
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        start = at.replace(microsecond=0)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(start)
            .next_update(start + CRL_LIFETIME)
            .add_extension(identifier, critical=False)
            .add_extension(x509.CRLNumber(number), critical=False)
        )
        for revocation in revocations:
            builder = builder.add_revoked_certificate(entry(revocation))
        return sign_crl(builder, self.key, digest)

    def _vouch(
        self, subject: x509.Name, key: PrivateKey, *, serial: int, validity: Validity, digest: str
    ) -> "Authority":
        certificate = _signed(
            Request(subject=subject, public_key=key.public_key()),
            _CA_EXTENSIONS,
            issuer=self.certificate.subject,
            key=self.key,
            serial=serial,
            validity=validity,
            digest=digest,
        )
        return Authority(certificate, key, above=self.chain)


def root_authority(
    name: str, key: PrivateKey, *, serial: int, validity: Validity, digest: str = DEFAULT_HASH
) -> Authority:
    """Found an authority that signs itself.

    Raises:
        Unusable: the name or the hash cannot be.
    """
    request = Request(subject=common_name(name), public_key=key.public_key())
    certificate = _signed(
        request, _CA_EXTENSIONS, issuer=request.subject, key=key, serial=serial, validity=validity, digest=digest
    )
    return Authority(certificate, key)


def self_signed(
    request: Request,
    extensions: Iterable[Wanted],
    *,
    key: PrivateKey,
    serial: int,
    validity: Validity,
    digest: str = DEFAULT_HASH,
) -> x509.Certificate:
    """A certificate for which nobody else vouches.

    Raises:
        Unusable: the hash cannot be.
    """
    return _signed(
        request, extensions, issuer=request.subject, key=key, serial=serial, validity=validity, digest=digest
    )


def der_of(certificate: x509.Certificate) -> bytes:
    """A certificate in DER."""
    return certificate.public_bytes(Encoding.DER)


def pem_of(certificates: Iterable[x509.Certificate]) -> bytes:
    """Certificates one after the other in PEM."""
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


def pkcs7_of(certificates: Sequence[x509.Certificate], encoding: str = "pem") -> bytes:
    """Certificates as PKCS#7 (a degenerate SignedData), in `pem` or `der`. It is a set: its order means nothing.

    Raises:
        Unusable: there is no such encoding.
    """
    return pkcs7.serialize_certificates(list(certificates), encoding_of(encoding))


def encoding_of(word: str) -> Encoding:
    """`pem` or `der` as the library has it.

    Raises:
        Unusable: there is no such encoding.
    """
    if word not in ENCODINGS:
        raise Unusable(f"there is no encoding {word!r}; there are {', '.join(ENCODINGS)}")
    return ENCODINGS[word]


def _signed(
    request: Request,
    extensions: Iterable[Wanted],
    *,
    issuer: x509.Name,
    key: PrivateKey,
    serial: int,
    validity: Validity,
    digest: str,
) -> x509.Certificate:
    """A certificate with these extensions and the two key identifiers."""
    builder = x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=request.subject,
        public_key=request.public_key,
        serial_number=serial,
        not_valid_before=validity.start,
        not_valid_after=validity.end,
    )
    identifiers: tuple[Wanted, ...] = (
        (x509.SubjectKeyIdentifier.from_public_key(request.public_key), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False),
    )
    for value, critical in (*extensions, *identifiers):
        builder = builder.add_extension(value, critical=critical)
    return sign_certificate(builder, key, digest)
