"""Key usages and extended key usages by the words of RFC 5280: how they are read from a certificate or a request."""

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from ucmlab.node.rulebook import KEY_USAGE, ExtendedKeyUsage

KEY_USAGES = (
    "digitalSignature",
    "contentCommitment",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
)
"""RFC 5280, 4.2.1.3, in the order of the bits."""
ATTRIBUTES = dict(zip(KEY_USAGES, KEY_USAGE, strict=True))
"""As cryptography spells them."""
_NEEDS_AGREEMENT = ("encipherOnly", "decipherOnly")
EXTENDED = {
    "serverAuth": ExtendedKeyUsageOID.SERVER_AUTH,
    "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "ipsecEndSystem": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "codeSigning": ExtendedKeyUsageOID.CODE_SIGNING,
    "emailProtection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "timeStamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "OCSPSigning": ExtendedKeyUsageOID.OCSP_SIGNING,
    "anyExtendedKeyUsage": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
}
OF_THE_TABLES: dict[ExtendedKeyUsage, x509.ObjectIdentifier] = {
    "server": EXTENDED["serverAuth"],
    "client": EXTENDED["clientAuth"],
    "ipsec": EXTENDED["ipsecEndSystem"],
}
"""The columns of T-1 and T-2."""


def usages_of(extension: x509.KeyUsage) -> frozenset[str]:
    """Which bits are set."""
    # Asking for the two that qualify keyAgreement raises without it.
    asked = KEY_USAGES if extension.key_agreement else [name for name in KEY_USAGES if name not in _NEEDS_AGREEMENT]
    return frozenset(name for name in asked if getattr(extension, ATTRIBUTES[name]))


def extended_name(oid: x509.ObjectIdentifier) -> str:
    """The word for an extended key usage; its dotted form if there is none."""
    return next((name for name, known in EXTENDED.items() if known == oid), oid.dotted_string)
