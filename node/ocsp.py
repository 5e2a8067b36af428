"""OCSP as a client speaks it (RFC 6960): the question about one certificate, and whether an answer can be believed.

The order is the product's (R-162, R-163): first the Delegated Trust Model, in which the CA that issued the certificate
signs the answer or has delegated that (id-kp-OCSPSigning); then the Trusted Responder Model, in which the responder's
own certificate was put into tomcat-trust. Requests have no nonce: whether the product sends one is not public, and the
core has no randomness. So an older answer that still counts cannot be told from a new one here; `Revocation` remembers
the newest.

What an answer does not say is whether the certificate exists, or is within its dates (R-167).
"""

import warnings
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Literal

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from ucmlab.node.certificates import KEY_LIMIT_BITS, MALFORMED, Certificate, parse
from ucmlab.node.errors import Refusal
from ucmlab.node.instant import from_datetime, rfc3339
from ucmlab.node.issuing import EXPONENT_LIMIT, find_extension, load, named, public_key, signed_with
from ucmlab.node.revocation_rules import RevocationLimits

ENCLOSED_LIMIT = 10
"""Certificates that come with an answer and are looked at; one is enough."""
_REFUSED_HASHES = (hashes.MD5,)
_STATUSES: dict[ocsp.OCSPCertStatus, Literal["good", "revoked", "unknown"]] = {
    ocsp.OCSPCertStatus.GOOD: "good",
    ocsp.OCSPCertStatus.REVOKED: "revoked",
    ocsp.OCSPCertStatus.UNKNOWN: "unknown",
}


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a responder says, and can be believed in."""

    status: Literal["good", "revoked", "unknown"]
    detail: str
    """Why it is revoked: as CRLs spell it; `unspecified` if it is not said."""
    model: Literal["dtm", "trp"]
    """Delegated trust, or the trusted responder."""
    dtm_failed: str
    """Why not delegated trust; empty, it is."""
    this_update: int
    """When it was known to be right: microseconds since 1970, UTC."""


class Unbelievable(Exception):
    """An answer from which nothing follows."""

    def __init__(self, trouble: str, text: str = "", *, dtm_failed: str = "") -> None:
        """`trouble` is a stable word, `dtm_failed` as in `Answer`."""
        super().__init__(trouble)
        self.trouble = trouble
        self.text = text
        self.dtm_failed = dtm_failed


def responder_of(certificate: bytes) -> str:
    """The OCSP URI that a certificate (DER, from `parse`) names in its authority information access, or empty."""
    access = find_extension(certificate, x509.AuthorityInformationAccess)
    for description in access or ():
        location = description.access_location
        if description.access_method == AuthorityInformationAccessOID.OCSP:
            return location.value if isinstance(location, x509.UniformResourceIdentifier) else ""
    return ""


def signs_answers(certificate: bytes) -> bool:
    """Whether a certificate (DER, from `parse`) has the attribute for signing OCSP answers (id-kp-OCSPSigning)."""
    usage = find_extension(certificate, x509.ExtendedKeyUsage)
    return usage is not None and ExtendedKeyUsageOID.OCSP_SIGNING in usage


def request_for(certificate: bytes, issuer: bytes) -> bytes:
    """Ask for one certificate of an issuer; both are DER, from `parse`."""
    # SHA-1 names the issuer, as in Java and RFC 5019: nothing is signed with it.
    builder = ocsp.OCSPRequestBuilder().add_certificate(load(certificate), load(issuer), hashes.SHA1())  # noqa: S303
    return builder.build().public_bytes(Encoding.DER)


def read_answer(
    response: bytes,
    *,
    certificate: bytes,
    issuer: bytes,
    designated: Iterable[Certificate],
    wall: int,
    limits: RevocationLimits,
) -> Answer:
    """What a response says about a certificate.

    Args:
        response: DER, from wherever it comes.
        certificate: whose status was asked for.
        issuer: who issued it; both DER, from `parse`.
        designated: certificates among which the trusted responder's may be.
        wall: this node's clock.
        limits: how far clocks may differ, and how old an answer may be.

    Raises:
        Unbelievable: `nonsense`, `other_certificate`, `untrusted_signer`, `stale`, `not_yet`, or as the responder
            refused: `unauthorized`, `try_later`, …
    """
    try:
        # Names of old CAs, with country codes of twelve letters: cryptography warns, we accept.
        with warnings.catch_warnings(action="ignore"):
            return _read(response, parse(certificate), parse(issuer), designated, wall=wall, limits=limits)
    except (UnsupportedAlgorithm, Refusal, *MALFORMED):
        raise Unbelievable("nonsense", "it is no OCSP response that can be read") from None


def _read(
    response: bytes,
    certificate: Certificate,
    issuer: Certificate,
    designated: Iterable[Certificate],
    *,
    wall: int,
    limits: RevocationLimits,
) -> Answer:
    loaded = ocsp.load_der_ocsp_response(response)
    if loaded.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise Unbelievable(loaded.response_status.name.lower())
    single = _about(loaded, certificate.der, issuer.der)
    dtm_failed = _why_not_delegated(loaded, issuer, wall)
    # Nobody vouches for himself: a key that was stolen would say that its certificate is good.
    others = (each for each in designated if each.der != certificate.der and _counts(each, wall))
    if dtm_failed and not any(_has_signed(each, loaded) for each in others):
        raise Unbelievable("untrusted_signer", "no certificate in tomcat-trust signed it", dtm_failed=dtm_failed)
    this_update, _ = check_fresh(single.this_update_utc, single.next_update_utc, wall=wall, limits=limits)
    return Answer(
        status=_STATUSES[single.certificate_status],
        detail=_detail(single),
        model="trp" if dtm_failed else "dtm",
        dtm_failed=dtm_failed,
        this_update=this_update,
    )


def _about(loaded: ocsp.OCSPResponse, certificate: bytes, issuer: bytes) -> ocsp.OCSPSingleResponse:
    """What is said about the certificate, among what may be said about others."""
    for single in loaded.responses:
        wanted = (
            ocsp.OCSPRequestBuilder().add_certificate(load(certificate), load(issuer), single.hash_algorithm).build()
        )
        named_so = (wanted.issuer_name_hash, wanted.issuer_key_hash, wanted.serial_number)
        if named_so == (single.issuer_name_hash, single.issuer_key_hash, single.serial_number):
            return single
    raise Unbelievable("other_certificate", "it is about another certificate")


def _why_not_delegated(loaded: ocsp.OCSPResponse, issuer: Certificate, wall: int) -> str:
    """Why nobody signed it whom the issuer stands for; empty, somebody did."""
    if _has_signed(issuer, loaded):
        return ""
    objections = [_why_no_delegate(each, issuer, wall) for each in _enclosed(loaded) if _has_signed(each, loaded)]
    if "" in objections:
        return ""
    return objections[0] if objections else f"{issuer.subject} did not sign it, and no other certificate came along"


def _why_no_delegate(responder: Certificate, issuer: Certificate, wall: int) -> str:
    if named(responder.der)[1] != named(issuer.der)[0] or not signed_with(responder, public_key(issuer)):
        return f"{responder.subject}, which signed it, was not issued by {issuer.subject}"
    if not signs_answers(responder.der):
        return f"{responder.subject}, which signed it, has no attribute for signing OCSP answers"
    return "" if _counts(responder, wall) else f"{responder.subject}, which signed it, is not within its dates"


def _enclosed(loaded: ocsp.OCSPResponse) -> Iterator[Certificate]:
    for each in loaded.certificates[:ENCLOSED_LIMIT]:
        yield parse(each.public_bytes(Encoding.DER))


def _counts(certificate: Certificate, wall: int) -> bool:
    return certificate.validity(wall) == "valid"


def _has_signed(certificate: Certificate, loaded: ocsp.OCSPResponse) -> bool:
    """Whether a certificate is the responder's by name or key, and the signature is its."""
    name, key_hash = loaded.responder_name, loaded.responder_key_hash
    if name is not None and name != load(certificate.der).subject:
        return False
    if certificate.key.partition("-")[0] not in ("rsa", "ec") or certificate.key_bits > KEY_LIMIT_BITS:
        return False
    public = load_der_public_key(public_key(certificate))
    if not isinstance(public, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        return False
    if key_hash is not None and key_hash != x509.SubjectKeyIdentifier.from_public_key(public).digest:
        return False
    return _verifies(public, loaded)


def _verifies(public: rsa.RSAPublicKey | ec.EllipticCurvePublicKey, loaded: ocsp.OCSPResponse) -> bool:
    digest = loaded.signature_hash_algorithm
    if digest is None or isinstance(digest, _REFUSED_HASHES):
        return False
    try:
        if isinstance(public, ec.EllipticCurvePublicKey):
            public.verify(loaded.signature, loaded.tbs_response_bytes, ec.ECDSA(digest))
        elif public.public_numbers().e > EXPONENT_LIMIT:
            return False
        else:
            public.verify(loaded.signature, loaded.tbs_response_bytes, padding.PKCS1v15(), digest)
    except InvalidSignature:
        return False
    return True


def check_fresh(begins: datetime, ends: datetime | None, *, wall: int, limits: RevocationLimits) -> tuple[int, int]:
    """From when until when an answer or a list counts, microseconds; what says no end counts so long.

    Raises:
        Unbelievable: `not_yet` or `stale` by a clock that shows `wall`.
    """
    start = from_datetime(begins)
    end = start + limits.longest if ends is None else from_datetime(ends)
    if start > wall + limits.skew:
        raise Unbelievable("not_yet", f"it counts from {rfc3339(start)}")
    if end < wall - limits.skew:
        raise Unbelievable("stale", f"it counted until {rfc3339(end)}")
    return start, end


def _detail(single: ocsp.OCSPSingleResponse) -> str:
    if single.certificate_status is not ocsp.OCSPCertStatus.REVOKED:
        return ""
    reason = single.revocation_reason
    return "unspecified" if reason is None else reason.value
