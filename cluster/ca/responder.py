"""An authority's OCSP responder: what it answers, who signs that, and how it can go wrong. No sockets.

    signer        its certificate                                            goes with the response
    ca            the CA's own                                               no
    delegated     of the CA, with id-kp-OCSPSigning (RFC 6960, 4.2.2.2)      yes
    undelegated   of the CA, without that                                    yes
    unrelated     self-signed, with id-kp-OCSPSigning                        yes

The first two are what the product calls the Delegated Trust Model (R-162); the others count only for a client that was
given the certificate itself (R-163).
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal, get_args

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ucmlab.cluster.ca.authority import self_signed
from ucmlab.cluster.ca.keys import PrivateKey
from ucmlab.cluster.ca.ocsp_messages import Asked, Malformed, Said, Signer, read_request, refusal, response
from ucmlab.cluster.ca.office import Office
from ucmlab.cluster.ca.requests import Request, common_name
from ucmlab.cluster.ca.terms import LEAF_LIFETIME, Terms, validity
from ucmlab.cluster.ca.usages import key_usage_extension
from ucmlab.cluster.errors import Unusable

SignerKind = Literal["ca", "delegated", "undelegated", "unrelated"]
SIGNERS: tuple[str, ...] = get_args(SignerKind)
LIFETIME = timedelta(hours=1)
"""How long an answer counts: as long as those of responders that know a revocation at once."""
STALE_BY = timedelta(days=7)
REFUSALS = {
    "unauthorized": ocsp.OCSPResponseStatus.UNAUTHORIZED,
    "try_later": ocsp.OCSPResponseStatus.TRY_LATER,
    "internal_error": ocsp.OCSPResponseStatus.INTERNAL_ERROR,
    "sig_required": ocsp.OCSPResponseStatus.SIG_REQUIRED,
}
_NAME_LIMIT = 64
REMEMBERED = 10_000
"""Queries that are remembered; older ones are forgotten."""


class Query(msgspec.Struct, frozen=True):
    """One certificate that somebody asked for."""

    serial: str
    """Lower-case hex without leading zeros."""
    status: Literal["good", "revoked", "unknown"]
    at: datetime
    nonce: bool


class Responder:
    """Answers for one authority, from its books as they are at that moment."""

    def __init__(self, office: Office, signer: Signer) -> None:
        """All is well with it; nobody has asked yet."""
        self._office = office
        self.signer = signer
        self.refuses = ""
        """One of `REFUSALS`: every request gets it. Empty: none does."""
        self.stale = False
        """Whether its answers counted until a week ago."""
        self.queries: list[Query] = []

    def answer(self, request: bytes) -> bytes:
        """The response to a request, whatever that is."""
        try:
            read = read_request(request)
        except Malformed:
            return refusal(ocsp.OCSPResponseStatus.MALFORMED_REQUEST)
        if self.refuses:
            return refusal(REFUSALS[self.refuses])
        now = self._office.now
        said = [self._said(asked) for asked in read.asked]
        self.queries += [_query(each, now, nonce=read.nonce is not None) for each in said]
        del self.queries[:-REMEMBERED]
        start = (now - STALE_BY if self.stale else now).replace(microsecond=0)
        return response(said, self.signer, this_update=start, next_update=start + LIFETIME, nonce=read.nonce)

    def crl(self) -> bytes:
        """The authority's CRL of now, DER."""
        return self._office.crl().public_bytes(Encoding.DER)

    def _said(self, asked: Asked) -> Said:
        # Another issuer's certificate is one that this responder does not know (RFC 6960, 2.2).
        if not asked.is_issued_by(self._office.authority.certificate):
            return Said(asked, known=False)
        serial = f"{asked.serial:x}"
        return Said(asked, serial in self._office.books.issued, self._office.books.revocations.get(serial))


def make_signer(kind: str, office: Office, make_key: Callable[[], PrivateKey], *, serial: int) -> Signer:
    """Who signs for an authority.

    Args:
        kind: one of `SIGNERS`.
        office: the authority.
        make_key: makes a new key, where one is needed.
        serial: of the certificate of `unrelated`; the CA numbers the others.

    Raises:
        Unusable: there is no such kind.
    """
    if kind not in SIGNERS:
        raise Unusable(f"no responder whose answers {kind!r} signs; there are {', '.join(SIGNERS)}")
    authority = office.authority
    if kind == "ca":
        return Signer(authority.certificate, authority.key, enclosed=False)
    key = make_key()
    request = _request(office, key, delegated=kind != "undelegated")
    if kind == "unrelated":
        counts = validity(office.now, lifetime=LEAF_LIFETIME)
        terms = Terms().extensions(request)
        return Signer(self_signed(request, terms, key=key, serial=serial, validity=counts), key, enclosed=True)
    return Signer(office.sign(request, Terms()), key, enclosed=True)


def _request(office: Office, key: PrivateKey, *, delegated: bool) -> Request:
    attributes = office.authority.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    name = f"OCSP {attributes[0].value if attributes else 'responder'!s}"
    wanted: list[tuple[x509.ExtensionType, bool]] = [(key_usage_extension(frozenset({"digitalSignature"})), True)]
    if delegated:
        wanted.append((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), False))
    # Nobody is to ask the responder about itself (RFC 6960, 4.2.2.2.1).
    wanted.append((x509.OCSPNoCheck(), False))
    extensions = tuple(x509.Extension(value.oid, critical, value) for value, critical in wanted)
    return Request(subject=common_name(name[:_NAME_LIMIT]), public_key=key.public_key(), extensions=extensions)


def _query(said: Said, at: datetime, *, nonce: bool) -> Query:
    known: Literal["good", "unknown"] = "good" if said.known else "unknown"
    return Query(f"{said.about.serial:x}", known if said.revocation is None else "revoked", at, nonce)
