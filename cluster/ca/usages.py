"""Extensions made of the words that people use: key usages, extended key usages and alternative names."""

from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from cryptography import x509

from ucmlab.cluster.errors import Unusable
from ucmlab.node.usages import ATTRIBUTES, EXTENDED, KEY_USAGES

_PLAIN = {name.lower(): name for name in KEY_USAGES} | {"nonrepudiation": "contentCommitment"}
_PLAIN_EXTENDED = {name.lower(): oid for name, oid in EXTENDED.items()}


def key_usages(words: Iterable[str]) -> frozenset[str]:
    """Words like `dataEncipherment`, `data_encipherment` or `data-encipherment` as names of `KEY_USAGES`.

    Raises:
        Unusable: one of them is none.
    """
    return frozenset(map(_key_usage, words))


def key_usage_extension(names: frozenset[str]) -> x509.KeyUsage:
    """The extension with these bits.

    Raises:
        Unusable: no extension can have them together.
    """
    try:
        return x509.KeyUsage(**{attribute: name in names for name, attribute in ATTRIBUTES.items()})
    except ValueError as error:
        raise Unusable(f"no key usage has {', '.join(sorted(names))}: {error}") from error


def extended_usages(words: Iterable[str]) -> tuple[x509.ObjectIdentifier, ...]:
    """Words like `serverAuth`, or dotted object identifiers.

    Raises:
        Unusable: one of them is neither.
    """
    return tuple(map(_extended_usage, words))


def alternative_names(words: Iterable[str]) -> tuple[x509.GeneralName, ...]:
    """IP addresses, mail addresses (with an `@`), all else DNS names; wildcards too.

    Raises:
        Unusable: one of them is none of the three.
    """
    return tuple(map(_alternative_name, words))


def responder_uri(word: str) -> str:
    """Where an OCSP responder is to be asked, as certificates name it.

    Raises:
        Unusable: it is no http address.
    """
    try:
        parts = urlsplit(word)
        fits = parts.scheme == "http" and bool(parts.hostname) and (parts.port or 80) > 0
    except ValueError:
        fits = False
    if not (fits and word.isascii() and word.isprintable() and " " not in word):
        raise Unusable(f"{word!r} is no address of an OCSP responder; write it like http://127.0.0.1:2560")
    return word


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
