"""One certificate in detail, as the product's page shows it: the tags changed with 14SU2 (R-056..R-062)."""

from collections.abc import Iterator

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ucmlab.cluster.cli.listing import Entry
from ucmlab.node.certificates import Certificate, pem
from ucmlab.node.instant import rfc3339
from ucmlab.node.issuing import extensions_of, load
from ucmlab.node.rulebook import RuleBook

BCFIPS_SINCE = "14SU2"
"""R-056."""
_WIDTH = 64
_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)


class Tags(msgspec.Struct, frozen=True):
    """What the page calls things."""

    issuer: str
    start: str
    end: str
    subject: str
    key: str
    value: str


BEFORE = Tags("Issuer Name", "Validity From", "To", "Subject Name", "Key", "Key Value")
BCFIPS = Tags("IssuerDN", "Start Date", "Final Date", "SubjectDN", "Public Key", "Modulus")


def is_bcfips(rulebook: RuleBook) -> bool:
    """Whether the release shows data as the BCFIPS provider does."""
    return rulebook.release_at_least(BCFIPS_SINCE)


def lines(entry: Entry, rulebook: RuleBook) -> Iterator[str]:
    """The certificate as a person reads it, its PEM last."""
    bcfips = is_bcfips(rulebook)
    tags = BCFIPS if bcfips else BEFORE
    certificate = entry.certificate
    extensions = extensions_of(certificate.der)
    yield f"File: {entry.path}"
    if entry.description:
        yield f"Description: {entry.description}"
    yield f"Type: {entry.kind}"
    yield f"Serial Number: {certificate.serial}"
    yield f"{tags.issuer}: {certificate.issuer}"
    yield f"{tags.start}: {rfc3339(certificate.not_before)}"
    yield f"{tags.end}: {rfc3339(certificate.not_after)}"
    yield f"{tags.subject}: {certificate.subject}"
    yield f"{tags.key}: {certificate.key}"
    yield from _key_value(load(certificate.der), tags)
    yield f"SHA-256 Fingerprint: {certificate.fingerprint}"
    yield f"Extensions: {len(extensions)} present"
    for extension in extensions:
        yield f"  {_extension(extension, bcfips=bcfips)}"
    yield pem(certificate.der).rstrip()


def as_json(entry: Entry) -> dict[str, object]:
    """The certificate as programs read it; formats as in `dump` (design 7.2)."""
    certificate = entry.certificate
    return {**summary(entry), "sans": certificate.sans, "ca": certificate.is_ca, "pem": pem(certificate.der)}


def summary(entry: Entry) -> dict[str, object]:
    """One line of the list as programs read it."""
    certificate: Certificate = entry.certificate
    return {
        "unit": entry.unit,
        "usage": entry.usage,
        "name": entry.file,
        "file": str(entry.path),
        "fingerprint": certificate.fingerprint,
        "serial": certificate.serial,
        "subject": certificate.subject,
        "common_name": certificate.common_name,
        "issuer": certificate.issuer,
        "type": entry.kind,
        "key": certificate.key,
        "not_before": rfc3339(certificate.not_before),
        "not_after": rfc3339(certificate.not_after),
        "description": entry.description,
    }


def _key_value(loaded: x509.Certificate, tags: Tags) -> Iterator[str]:
    try:
        key = loaded.public_key()
    except UnsupportedAlgorithm:
        return
    if isinstance(key, rsa.RSAPublicKey):
        yield from _wrapped(tags.value, f"{key.public_numbers().n:x}")
    elif isinstance(key, ec.EllipticCurvePublicKey):
        # An EC key has no modulus; the point is what identifies it. [ASSUMED] under the same tag.
        yield from _wrapped(tags.value, key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint).hex())


def _wrapped(tag: str, text: str) -> Iterator[str]:
    yield f"{tag}:"
    yield from (f"  {text[at : at + _WIDTH]}" for at in range(0, len(text), _WIDTH))


def _extension(extension: x509.Extension[x509.ExtensionType], *, bcfips: bool) -> str:
    """R-062: from 14SU2 object identifiers stand where names stood."""
    critical = ", critical" if extension.critical else ""
    if bcfips:
        return f"{extension.oid.dotted_string}{critical}: {_value(extension.value, names=False)}"
    return f"{_spaced(type(extension.value).__name__)}{critical}: {_value(extension.value, names=True)}"


def _value(value: x509.ExtensionType, *, names: bool) -> str:
    match value:
        case x509.KeyUsage():
            set_bits = [usage for usage in _USAGES if getattr(value, usage)]
            # The bits of a key usage have no identifiers of their own; [ASSUMED] they are shown as the raw bit string.
            return ", ".join(usage.replace("_", " ").title() for usage in set_bits) if names else _hex(value)
        case x509.ExtendedKeyUsage():
            return ", ".join(_purpose(oid) if names else oid.dotted_string for oid in value)
        case x509.BasicConstraints(ca=ca, path_length=length):
            return f"CA={str(ca).upper()}" + ("" if length is None else f", path length {length}")
        case x509.SubjectAlternativeName():
            return ", ".join(str(name.value) for name in value)
        case x509.SubjectKeyIdentifier():
            return value.digest.hex()
        case _:
            return _hex(value)


def _purpose(oid: x509.ObjectIdentifier) -> str:
    known = {"1.3.6.1.5.5.7.3.1": "Server Authentication", "1.3.6.1.5.5.7.3.2": "Client Authentication"}
    known["1.3.6.1.5.5.7.3.5"] = "IP security end system"
    return known.get(oid.dotted_string, oid.dotted_string)


def _hex(value: x509.ExtensionType) -> str:
    return value.public_bytes().hex()


def _spaced(name: str) -> str:
    return "".join(
        f" {letter}" if letter.isupper() and at and name[at - 1].islower() else letter for at, letter in enumerate(name)
    )
