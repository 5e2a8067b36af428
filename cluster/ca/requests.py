"""What a customer asks a certification authority for: a PKCS#10 request, read and found to be its own."""

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtensionOID, NameOID

from ucmlab.cluster.ca.keys import PublicKey
from ucmlab.cluster.ca.usages import alternative_names, extended_usages, key_usage_extension, key_usages
from ucmlab.cluster.errors import Unusable
from ucmlab.node import names
from ucmlab.node.certificates import MALFORMED
from ucmlab.node.errors import Refusal

REQUEST_LIMIT = 1 << 20
"""Bytes: as much as an upload may have. A request with a hundred names has 5 kB."""
SERVER_KEY_USAGE = ("digitalSignature", "keyEncipherment")
SERVER_EXTENDED_KEY_USAGE = ("serverAuth", "clientAuth")
"""What CAs give to a server whose operator asks for nothing in particular."""
_LOGGED = ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS
"""RFC 6962. The library reads it in certificates alone: in a request it passes, and nobody reads what is made of it."""
_PRIVATE_KEY = re.compile(rb"BEGIN [^\r\n-]{0,40}PRIVATE KEY", re.IGNORECASE)
_CERTIFICATE = re.compile(rb"BEGIN (X\.?509 )?CERTIFICATE-----")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A subject and its key, and the extensions that it wants (the ExtensionRequest of PKCS#10)."""

    subject: x509.Name
    public_key: CertificatePublicKeyTypes
    extensions: tuple[x509.Extension[x509.ExtensionType], ...] = ()


def read_request(data: bytes) -> Request:
    """Read a request in PEM or DER, from wherever it comes.

    Raises:
        Refusal: `empty`, `too_large`, `private_key`, `format`, `key_type`, or `signature`: its own key did not sign it.
    """
    # Countries of three letters and the like: cryptography warns, we accept, as with certificates.
    with warnings.catch_warnings(action="ignore"):
        csr = _load(data)
        public_key = _own_key(csr)
        return Request(subject=_subject(csr), public_key=public_key, extensions=_extensions(csr))


def server_request(
    name: str,
    public_key: PublicKey,
    *,
    key_usage: Iterable[str] = SERVER_KEY_USAGE,
    eku: Iterable[str] = SERVER_EXTENDED_KEY_USAGE,
    san: Iterable[str] | None = None,
) -> Request:
    """What a server asks for that makes no request of its own.

    Args:
        name: its common name; without `san` its only DNS name as well, if it can be one.
        public_key: its key.
        key_usage: words of `KEY_USAGES`.
        eku: words of `EXTENDED`, or object identifiers.
        san: DNS names and addresses.

    Raises:
        Unusable: a word or a name is none.
    """
    alternatives = alternative_names(([] if " " in name else [name]) if san is None else san)
    wanted: list[x509.Extension[x509.ExtensionType]] = []
    if bits := key_usages(key_usage):
        wanted.append(_wanted(key_usage_extension(bits), critical=True))
    if usages := extended_usages(eku):
        wanted.append(_wanted(x509.ExtendedKeyUsage(usages)))
    if alternatives:
        wanted.append(_wanted(x509.SubjectAlternativeName(alternatives)))
    return Request(subject=common_name(name), public_key=public_key, extensions=tuple(wanted))


def common_name(name: str) -> x509.Name:
    """A subject of a common name alone.

    Raises:
        Unusable: it is longer than X.509 allows, or empty.
    """
    try:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    except ValueError as error:
        raise Unusable(f"{name!r} can be no common name; one has from 1 to 64 characters") from error


def _load(data: bytes) -> x509.CertificateSigningRequest:
    if len(data) > REQUEST_LIMIT:
        raise Refusal("too_large", f"more than {REQUEST_LIMIT} bytes; a request has some thousand")
    if not data.strip():
        raise Refusal("empty", "there is nothing in it")
    if _PRIVATE_KEY.search(data):
        raise Refusal("private_key", "it holds a private key, which no CA may see; send the request alone")
    if _CERTIFICATE.search(data):
        raise Refusal("format", "it is a certificate; a CA signs certificate signing requests (PKCS#10)")
    try:
        return x509.load_pem_x509_csr(data) if b"-----BEGIN " in data else x509.load_der_x509_csr(data)
    except MALFORMED:
        raise Refusal("format", "it is no certificate signing request (PKCS#10) in PEM or DER") from None


def _own_key(csr: x509.CertificateSigningRequest) -> CertificatePublicKeyTypes:
    try:
        public_key = csr.public_key()
        valid = _is_its_own(csr, public_key)
    except (UnsupportedAlgorithm, *MALFORMED):
        raise Refusal("key_type", "the request has a key or a signature of a kind that is not supported") from None
    if not valid:
        raise Refusal("signature", "the request is not signed with the key that it holds; make it anew")
    return public_key


def _subject(csr: x509.CertificateSigningRequest) -> x509.Name:
    try:
        subject = csr.subject
        # What nobody here could read in a certificate is not put into one.
        names.read(subject.public_bytes())
    except MALFORMED:
        raise Refusal("format", "the subject that the request names is malformed") from None
    return subject


def _is_its_own(csr: x509.CertificateSigningRequest, key: CertificatePublicKeyTypes) -> bool:
    algorithm = csr.signature_hash_algorithm
    if not isinstance(algorithm, (hashes.SHA1, hashes.MD5)):
        return csr.is_signature_valid
    # Old servers sign so. The library calls every such request invalid, but its keys verify any bytes.
    signature, content = csr.signature, csr.tbs_certrequest_bytes
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, content, padding.PKCS1v15(), algorithm)
            return True
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, content, ec.ECDSA(algorithm))
            return True
    except InvalidSignature:
        pass
    return False


def _extensions(csr: x509.CertificateSigningRequest) -> tuple[x509.Extension[x509.ExtensionType], ...]:
    try:
        extensions = tuple(csr.extensions)
    except MALFORMED:
        raise Refusal("format", "the extensions that the request asks for are malformed, or one comes twice") from None
    if any(each.oid == _LOGGED for each in extensions):
        raise Refusal("format", "the request asks for timestamps of certificate logs, which a CA gets from them itself")
    return extensions


def _wanted(value: x509.ExtensionType, *, critical: bool = False) -> x509.Extension[x509.ExtensionType]:
    return x509.Extension(value.oid, critical, value)
