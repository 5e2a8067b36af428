"""One certificate in detail, in the layout and with the tags of the release (R-056..R-062; `rules/displays.toml`)."""

from collections.abc import Iterator

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ucmlab.cluster.certificate_list import Entry
from ucmlab.node.certificates import Certificate, pem
from ucmlab.node.displays import Display
from ucmlab.node.instant import rfc3339, to_datetime
from ucmlab.node.issuing import extensions_of, load, public_key
from ucmlab.node.rule_rows import KEY_USAGE

_SIGNED_WITH = {"1.2.840.113549.1.1": "RSA", "1.2.840.10045.4": "ECDSA"}
"""Arcs of signature algorithms; RFC 8017 and RFC 5758."""
_KEYS = {"1.2.840.113549.1.1.1": "RSA", "1.2.840.10045.2.1": "EC"}
"""Algorithms of keys, as Java names them; RFC 8017 and RFC 5480."""
_DECIMAL_BITS = 14_000
"""Python writes no decimals of more than 4,300 digits. RFC 5280 allows 160 bits for a serial number; some have more."""


def lines(entry: Entry, display: Display) -> Iterator[str]:
    """The certificate as a person reads it: what the list knows of it, the release's page, the PEM last."""
    certificate = entry.certificate
    yield f"File: {entry.path or entry.file}"
    if entry.description:
        yield f"Description: {entry.description}"
    yield f"Type: {entry.kind}"
    yield f"Key: {certificate.key}"
    yield f"SHA-256 Fingerprint: {certificate.fingerprint}"
    yield from page(certificate, display)
    yield from pem(certificate.der).splitlines()


def page(certificate: Certificate, display: Display) -> Iterator[str]:
    """The certificate's own lines, as the product's page and command line show them."""
    fields = _fields(certificate, display)
    yield from (line.format_map(fields) for line in display.lines)
    for extension in extensions_of(certificate.der):
        shown = {
            "name": display.named(extension.oid.dotted_string),
            "oid": extension.oid.dotted_string,
            "critical": str(extension.critical).lower(),
            "value": _value(extension.value, display),
        }
        yield from (line.format_map(shown) for line in display.extension)
    yield from display.end


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
        "file": entry.path,
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


def _fields(certificate: Certificate, display: Display) -> dict[str, str]:
    """What stands in the place of the fields of `Display.lines`."""
    loaded = load(certificate.der)
    algorithm = _algorithm(loaded)
    modulus, encoded = _numbers(certificate, loaded)
    return {
        "version": str(loaded.version.value + 1),
        "serial": _serial(certificate, display),
        "algorithm": algorithm,
        "ALGORITHM": algorithm.upper(),
        "algorithm_oid": loaded.signature_algorithm_oid.dotted_string,
        "issuer": certificate.issuer,
        "start": _java_date(certificate.not_before),
        "end": _java_date(certificate.not_after),
        "subject": certificate.subject,
        "key": _KEYS.get(loaded.public_key_algorithm_oid.dotted_string, certificate.key),
        "key_oid": loaded.public_key_algorithm_oid.dotted_string,
        "modulus": modulus,
        "key_value": encoded,
        "signature": loaded.signature.hex(),
        "count": str(len(extensions_of(certificate.der))),
    }


def _serial(certificate: Certificate, display: Display) -> str:
    number = int(certificate.serial, 16)  # asked for it, the library warns of a zero, which old roots have
    if display.serial == "decimal":
        return str(number) if number.bit_length() <= _DECIMAL_BITS else f"0x{number:X}"
    return f"{number:X}"


def _java_date(instant: int) -> str:
    """As Java's `Date` writes it, in UTC: `Fri Feb 04 15:31:39 UTC 2022`. Scripts read it (wire-interfaces 3.2)."""
    moment = to_datetime(instant)
    # `ctime` is English whatever the locale is; `%a` and `%b` are not.
    return f"{moment.ctime()[:8]}{moment:%d %H:%M:%S} UTC {moment.year}"


def _algorithm(loaded: x509.Certificate) -> str:
    """`SHA256withRSA`; dotted where it has no such name (R-039)."""
    dotted = loaded.signature_algorithm_oid.dotted_string
    family = next((name for arc, name in _SIGNED_WITH.items() if dotted.startswith(f"{arc}.")), "")
    try:
        digest = loaded.signature_hash_algorithm
    except (UnsupportedAlgorithm, ValueError):  # ValueError: parameters of RSA-PSS that are none
        return dotted
    return f"{digest.name.upper()}with{family}" if digest is not None and family else dotted


def _numbers(certificate: Certificate, loaded: x509.Certificate) -> tuple[str, str]:
    """The modulus of the key, and the key as it is encoded: of an RSA key two things, of others the same, hex."""
    try:
        key = loaded.public_key()
    except UnsupportedAlgorithm:
        key = None
    if isinstance(key, rsa.RSAPublicKey):
        return f"{key.public_numbers().n:x}", key.public_bytes(Encoding.DER, PublicFormat.PKCS1).hex()
    if isinstance(key, ec.EllipticCurvePublicKey):
        # An EC key has no modulus; the point is what identifies it. [ASSUMED] under the same tag.
        return (key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint).hex(),) * 2
    return (public_key(certificate).hex(),) * 2


def _value(value: x509.ExtensionType, display: Display) -> str:
    match value:
        case x509.KeyUsage():
            # The bits of a key usage have no identifiers of their own; [ASSUMED] they are shown as the raw bit string.
            return _hex(value) if display.shows_identifiers else ", ".join(map(display.named, _bits(value)))
        case x509.ExtendedKeyUsage():
            return ", ".join(display.named(oid.dotted_string) for oid in value)
        case x509.BasicConstraints(ca=ca, path_length=length):
            return f"CA={str(ca).upper()}" + ("" if length is None else f", path length {length}")
        case x509.SubjectAlternativeName():
            return ", ".join(str(name.value) for name in value)
        case x509.SubjectKeyIdentifier():
            return value.digest.hex()
        case _:
            return _hex(value)


def _bits(usage: x509.KeyUsage) -> list[str]:
    # `encipher_only` and `decipher_only` may be asked for with `key_agreement` only; they raise otherwise.
    readable = KEY_USAGE if usage.key_agreement else KEY_USAGE[:-2]
    return [bit for bit in readable if getattr(usage, bit)]


def _hex(value: x509.ExtensionType) -> str:
    try:
        return value.public_bytes().hex()
    except ValueError:
        return "(malformed)"  # such as a negative serial number in it, which the library reads and does not write
