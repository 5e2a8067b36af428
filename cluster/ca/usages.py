"""Key usages, extended key usages and alternative names by the words that people use for them."""

from collections.abc import Iterable
from ipaddress import ip_address

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from ucmlab.cluster.errors import Unusable
from ucmlab.node.rulebook import KEY_USAGE

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
_ATTRIBUTES = dict(zip(KEY_USAGES, KEY_USAGE, strict=True))
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
_PLAIN = {name.lower(): name for name in KEY_USAGES} | {"nonrepudiation": "contentCommitment"}
_PLAIN_EXTENDED = {name.lower(): oid for name, oid in EXTENDED.items()}


def key_usages(words: Iterable[str]) -> frozenset[str]:
    """Words like `dataEncipherment`, `data_encipherment` or `data-encipherment` as names of `KEY_USAGES`.

    Raises:
        Unusable: one of them is none.
    """
    return frozenset(map(_key_usage, words))


def usages_of(extension: x509.KeyUsage) -> frozenset[str]:
    """Which bits are set."""
    # Asking for the two that qualify keyAgreement raises without it.
    asked = KEY_USAGES if extension.key_agreement else [name for name in KEY_USAGES if name not in _NEEDS_AGREEMENT]
    return frozenset(name for name in asked if getattr(extension, _ATTRIBUTES[name]))


def key_usage_extension(names: frozenset[str]) -> x509.KeyUsage:
    """The extension with these bits.

    Raises:
        Unusable: no extension can have them together.
    """
    try:
        return x509.KeyUsage(**{attribute: name in names for name, attribute in _ATTRIBUTES.items()})
    except ValueError as error:
        raise Unusable(f"no key usage has {', '.join(sorted(names))}: {error}") from error


def extended_usages(words: Iterable[str]) -> tuple[x509.ObjectIdentifier, ...]:
    """Words like `serverAuth`, or dotted object identifiers.

    Raises:
        Unusable: one of them is neither.
    """
    return tuple(map(_extended_usage, words))


def extended_name(oid: x509.ObjectIdentifier) -> str:
    """The word for an extended key usage; its dotted form if there is none."""
    return next((name for name, known in EXTENDED.items() if known == oid), oid.dotted_string)


def alternative_names(words: Iterable[str]) -> tuple[x509.GeneralName, ...]:
    """IP addresses, mail addresses (with an `@`), all else DNS names; wildcards too.

    Raises:
        Unusable: one of them is none of the three.
    """
    return tuple(map(_alternative_name, words))


def _key_usage(word: str) -> str:
    name = _PLAIN.get(word.replace("_", "").replace("-", "").lower())
    if name is None:
        raise Unusable(f"there is no key usage {word!r}; there are {', '.join(KEY_USAGES)}")
    return name


def _extended_usage(word: str) -> x509.ObjectIdentifier:
    known = _PLAIN_EXTENDED.get(word.replace("_", "").replace("-", "").lower())
    if known is not None:
        return known
    try:
        return x509.ObjectIdentifier(word)
    except ValueError as error:
        names = ", ".join(EXTENDED)
        raise Unusable(f"there is no extended key usage {word!r}; there are {names} and dotted identifiers") from error


def _alternative_name(word: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(word))
    except ValueError:
        pass
    try:
        if not word or word != "".join(word.split()):
            raise ValueError("it is empty or has blanks")  # noqa: TRY301  the library accepts both
        return x509.RFC822Name(word) if "@" in word else x509.DNSName(word)
    except ValueError as error:
        raise Unusable(f"{word!r} is no DNS name, IP address or mail address: {error}") from error
