"""What an uploaded file may hold: certificates in PEM, one in DER, PKCS#7 chains in PEM (R-014, R-028, X-15).

Bytes in, certificates in the order of the file out. Whatever an operator brings ends so or as a `Refusal`, soon: sizes
and numbers are limited before anything is taken apart. What the certificates mean is judged elsewhere (`issuing`,
`chains`, `trust_rules`).
"""

import binascii
import re
from functools import lru_cache

from ucmlab.node import names, pkcs7
from ucmlab.node.certificates import Certificate, parse
from ucmlab.node.errors import Refusal

UPLOAD_LIMIT = 1 << 20
"""Bytes. [ASSUMED]: the product's limit is not public; a chain of ten 4096-bit certificates has 30 kB."""
CERTIFICATE_LIMIT = 1 << 16
"""Bytes of one certificate. [ASSUMED]: thousands of alternative names fit, and still it is read in milliseconds."""
_SMALL_UPLOAD = 1 << 14
"""Bytes of an upload that is remembered: the same roots go to many nodes."""
_LABELS = (b"CERTIFICATE", b"X509 CERTIFICATE", b"X.509 CERTIFICATE")
_PKCS7_LABELS = (b"PKCS7", b"PKCS #7 SIGNED DATA", b"CMS")
"""As OpenSSL writes and reads them."""
_BEGIN, _END, _DASHES = b"-----BEGIN ", b"-----END ", b"-----"
_PRIVATE_KEY = re.compile(rb"BEGIN [^\r\n-]{0,40}PRIVATE KEY", re.IGNORECASE)
_PKCS12_TEXT = "a PKCS#12 file (.pfx, .p12), which may hold a private key; export its certificates alone, in PEM"
_PKCS7_DER_TEXT = "a PKCS#7 chain in DER; write it in PEM (openssl pkcs7 -inform DER -in FILE -out FILE.pem)"
_OTHERS = {
    b"PKCS12": _PKCS12_TEXT,
    b"PFX": _PKCS12_TEXT,
    b"CERTIFICATE REQUEST": "a certificate request; upload the certificate that the CA made of it",
    b"NEW CERTIFICATE REQUEST": "a certificate request; upload the certificate that the CA made of it",
    b"X509 CRL": "a revocation list; upload the CA's certificate",
    b"TRUSTED CERTIFICATE": "a certificate with OpenSSL's own additions; write it anew (openssl x509 -in FILE)",
    b"PUBLIC KEY": "a public key; upload its certificate",
}
"""What people take for a certificate, by the label of its PEM block."""
_JAVA_KEY_STORE = b"\xfe\xed\xfe\xed"


def read_upload(data: bytes, *, der_pkcs7: bool = False) -> tuple[Certificate, ...]:
    """Read an uploaded file: certificates in the order of the file, each as often as it stands there.

    Args:
        data: the file.
        der_pkcs7: take a PKCS#7 chain in DER as well; the seed's two lines disagree, the ruling is no (X-15).

    Raises:
        Refusal: `empty`, `too_large`, `private_key`, `format` or `trailing_data`.
    """
    if len(data) > UPLOAD_LIMIT:
        raise Refusal("too_large", f"{len(data)} bytes, at most {UPLOAD_LIMIT} are accepted")
    return (_read_small if len(data) <= _SMALL_UPLOAD else _read)(data, der_pkcs7)


def _read(data: bytes, der_pkcs7: bool) -> tuple[Certificate, ...]:  # noqa: FBT001  # positional, for the cache
    if not data.strip():
        raise Refusal("empty", "there is nothing in it")
    if _PRIVATE_KEY.search(data):
        raise Refusal("private_key", "a PEM block is a private key")
    if _BEGIN in data:
        return tuple(certificate for block in _pem_blocks(data) for certificate in block)
    if data.startswith(_JAVA_KEY_STORE):
        raise Refusal("format", "it is a Java key store; export its certificates in PEM (keytool -exportcert -rfc)")
    if data[0] != names.SEQUENCE:
        raise Refusal("format", "it is neither PEM nor DER")
    if der_pkcs7 and pkcs7.is_pkcs7(data):
        return _chain(data)
    return (_only_certificate(data, "it is"),)


_read_small = lru_cache(maxsize=64)(_read)


def _pem_blocks(data: bytes) -> list[tuple[Certificate, ...]]:
    """Read every PEM block; one pass, as an upload may hold a hundred thousand beginnings."""
    blocks: list[tuple[Certificate, ...]] = []
    count = 0
    begin = data.find(_BEGIN)
    while begin >= 0:
        following = data.find(_BEGIN, begin + 1)
        block = _block(data[begin + len(_BEGIN) : following if following >= 0 else len(data)])
        count += len(block)
        if count > pkcs7.CERTIFICATES_LIMIT:
            raise Refusal("too_large", f"more than {pkcs7.CERTIFICATES_LIMIT} certificates in one file")
        blocks.append(block)
        begin = following
    return blocks


def _block(block: bytes) -> tuple[Certificate, ...]:
    label, _, rest = block.partition(_DASHES)
    body, _, closing = rest.partition(_END)
    if not closing.startswith(label + _DASHES):
        raise Refusal("format", "a PEM block is cut off")
    if label not in _LABELS and label not in _PKCS7_LABELS:
        known = _OTHERS.get(label)
        raise Refusal("format", f"a PEM block is {known or 'no certificate'}")
    try:
        der = binascii.a2b_base64(b"".join(body.split()), strict_mode=True)
    except binascii.Error:
        raise Refusal("format", "a PEM block is no Base64") from None
    return _chain(der) if label in _PKCS7_LABELS else (_only_certificate(der, "a PEM block called CERTIFICATE is"),)


def _chain(der: bytes) -> tuple[Certificate, ...]:
    if _is_private_key(der):
        raise Refusal("private_key", "it is a private key in DER")
    if _is_pkcs12(der):
        raise Refusal("format", f"it is {_PKCS12_TEXT}")
    return tuple(_certificate(each) for each in pkcs7.certificates_of(der))


def _only_certificate(der: bytes, what: str) -> Certificate:
    """Read bytes that should be exactly one certificate, and say in a useful word what is wrong if they are not."""
    end = names.end_of_value(der)
    if _is_private_key(der) or _is_private_key(der[end:]):
        raise Refusal("private_key", "it is a private key in DER")
    if _is_pkcs12(der):
        raise Refusal("format", f"{what} {_PKCS12_TEXT}")
    if pkcs7.is_pkcs7(der):
        # Also in a PEM block with a certificate's label, as some tools wrap it: what it is must be said, once.
        hint = _PKCS7_DER_TEXT if what == "it is" else "a PKCS#7 chain; its label must be PKCS7"
        raise Refusal("format", f"{what} {hint}")
    if end > len(der):
        raise Refusal("format", "it is cut off")
    certificate = _certificate(der[:end])
    if end < len(der):
        raise Refusal("trailing_data", f"{len(der) - end} bytes follow the certificate")
    return certificate


def _certificate(der: bytes) -> Certificate:
    if len(der) > CERTIFICATE_LIMIT:
        raise Refusal("too_large", f"a certificate of {len(der)} bytes, at most {CERTIFICATE_LIMIT} are accepted")
    return parse(der)


def _is_pkcs12(der: bytes) -> bool:
    """Whether it begins as PKCS#12 does (RFC 7292): version 3, then content that has a type."""
    inside = der[names.start_of_value(der) :]
    content = inside[3:]
    return (
        der[:1] == b"\x30"
        and inside[:3] == b"\x02\x01\x03"
        and content[:1] == b"\x30"
        and content[names.start_of_value(content) :][:1] == b"\x06"
    )


def _is_private_key(der: bytes) -> bool:
    """Whether it has the shape of a PKCS#8, PKCS#1 or SEC 1 key, without loading it."""
    inside = der[names.start_of_value(der) :]
    if der[:1] != b"\x30":
        return False
    version, then = inside[:3], inside[3:4]
    # PKCS#8: version 0 or 1, AlgorithmIdentifier. PKCS#1: version 0, modulus. SEC 1: version 1, OCTET STRING.
    if version in (b"\x02\x01\x00", b"\x02\x01\x01") and then in (b"\x30", b"\x02", b"\x04"):
        return True
    # Encrypted PKCS#8: AlgorithmIdentifier (which begins with an OID), OCTET STRING.
    algorithm = inside[names.start_of_value(inside) :]
    return inside[:1] == b"\x30" and algorithm[:1] == b"\x06" and inside[names.end_of_value(inside) :][:1] == b"\x04"
