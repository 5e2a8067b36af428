"""Whether a certificate is for the name by which its holder was called (R-070), as OpenSSL compares them.

Alternative names decide. A common name counts where no DNS name is beside it, and for host names alone: by its IP
address a host is known by an IP address in its certificate or not at all.
"""

import ipaddress
import re
from typing import NamedTuple

from cryptography import x509

from ucmlab.node import names
from ucmlab.node.certificates import Certificate
from ucmlab.node.issuing import find_extension
from ucmlab.node.remembered import Remembered

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_LABEL = re.compile(r"[A-Za-z0-9-]+")
_PATTERN = re.compile(r"\*(\.[A-Za-z0-9]+(-+[A-Za-z0-9]+)*){2,}")
"""An asterisk is the whole first label, and at least two labels follow, none of which begins or ends with a hyphen."""


class HostNames(NamedTuple):
    """The names of a host in its certificate."""

    dns: tuple[str, ...]
    addresses: frozenset[Address]
    common: tuple[str, ...]


@Remembered
def host_names(der: bytes) -> HostNames:
    """Read the names of a host from its certificate (DER, from `parse`)."""
    alternative = find_extension(der, x509.SubjectAlternativeName) or ()
    return HostNames(
        tuple(name.value for name in alternative if isinstance(name, x509.DNSName)),
        frozenset(
            name.value for name in alternative if isinstance(name, x509.IPAddress) and isinstance(name.value, Address)
        ),
        names.values_of(names.cut(der).subject, names.COMMON_NAME),
    )


def is_for(certificate: Certificate, name: str) -> bool:
    """Whether a certificate is for a host name or an IP address."""
    own, address = host_names(certificate.der), address_of(name)
    if address is not None:
        return address in own.addresses
    return any(_matches(pattern, name) for pattern in own.dns or own.common)


def address_of(name: str) -> Address | None:
    """The IP address that a name is, or None."""
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _matches(pattern: str, name: str) -> bool:
    """Whether a name of a certificate, perhaps with an asterisk, is a host's; ASCII letters alone have no case."""
    if _PATTERN.fullmatch(pattern):
        first, dot, rest = name.partition(".")
        # An asterisk may stand for itself: whoever asks for that name means the pattern.
        return _same(dot + rest, pattern[1:]) and (first == "*" or _LABEL.fullmatch(first) is not None)
    return _same(pattern, name)


def _same(one: str, other: str) -> bool:
    return one.encode().lower() == other.encode().lower() and bool(one) and "\0" not in one
