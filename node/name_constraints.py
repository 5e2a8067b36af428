"""Name constraints: which names a CA's certificate lets those below it have (RFC 5280, 4.2.1.10, as OpenSSL reads it).

The root's constraints count too: OpenSSL heeds them, Java does not; a chain that one of the two refuses is no use to a
cluster that has both.
"""

import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import msgspec
from cryptography import x509

from ucmlab.node import names
from ucmlab.node.certificates import Certificate
from ucmlab.node.issuing import FEW, find_extension

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Named(NamedTuple):
    """A name, or a constraint on names, ready to be compared."""

    kind: str
    """`dns`, `mail`, `uri`, `address`, `directory`, or a kind that has no order (`other 1.2.3`)."""
    value: str | names.Canonical | Address | Network
    text: str


class Limits(msgspec.Struct, frozen=True):
    """What a CA's certificate permits (of each kind of name that it speaks of) and what it excludes."""

    permitted: tuple[Named, ...]
    excluded: tuple[Named, ...]

    @property
    def count(self) -> int:
        """How many there are: each is compared with each name below."""
        return len(self.permitted) + len(self.excluded)


@lru_cache(maxsize=FEW)
def limits(der: bytes) -> Limits:
    """The name constraints of a CA's certificate (DER, from `parse`)."""
    constraints = find_extension(der, x509.NameConstraints)
    if constraints is None:
        return Limits((), ())
    permitted, excluded = constraints.permitted_subtrees or (), constraints.excluded_subtrees or ()
    return Limits(tuple(map(_named, permitted)), tuple(map(_named, excluded)))


@lru_cache(maxsize=FEW)
def constrained_names(certificate: Certificate, *, leaf: bool) -> tuple[Named, ...]:
    """All names of a certificate that constraints apply to: its subject, e-mail addresses in it, alternative names.

    A leaf's common name counts as a host name where no DNS name is beside it: so clients of old look for it.
    """
    subject = names.cut(certificate.der).subject
    directory = names.canonical(subject)
    found = [Named("directory", directory, certificate.subject)] if directory else []
    found += [_mail(mail) for mail in names.values_of(subject, names.EMAIL_ADDRESS)]
    alternative = find_extension(certificate.der, x509.SubjectAlternativeName)
    beside = [_named(name) for name in alternative or ()]
    if leaf and not any(name.kind == "dns" for name in beside):
        found += [_dns(name) for name in names.values_of(subject, names.COMMON_NAME) if _is_host(name)]
    return (*found, *beside)


def names_at_most(certificate: Certificate) -> int:
    """How many `constrained_names` there can be, found before any of them is read."""
    alternative = find_extension(certificate.der, x509.SubjectAlternativeName)
    attributes = sum(map(len, names.canonical(names.cut(certificate.der).subject)))
    return 1 + attributes + len(alternative or ())


def why_forbidden(limits: Limits, those_below: tuple[Named, ...]) -> str:
    """Which of the names is not allowed, and how; empty, all are."""
    for name in those_below:
        if _is_malformed(name) and any(limit.kind == name.kind for limit in limits.permitted + limits.excluded):
            return f"has limits for names such as {name.text}, which cannot be compared,"
        permitted = [limit for limit in limits.permitted if limit.kind == name.kind]
        if permitted and not any(_within(name, limit) for limit in permitted):
            return f"does not permit the name {name.text}"
        if any(_within(name, limit, unordered=True) for limit in limits.excluded if limit.kind == name.kind):
            return f"excludes the name {name.text}"
    return ""


def _named(general: x509.GeneralName) -> Named:
    match general:
        case x509.DNSName():
            named = _dns(general.value)
        case x509.RFC822Name():
            named = _mail(general.value)
        case x509.UniformResourceIdentifier():
            named = Named("uri", general.value.lower(), general.value)
        case x509.IPAddress():
            named = Named("address", general.value, str(general.value))
        case x509.DirectoryName():
            named = Named("directory", names.canonical(general.value.public_bytes()), general.value.rfc4514_string())
        case x509.OtherName():
            named = Named(f"other {general.type_id.dotted_string}", "", general.type_id.dotted_string)
        case _:
            named = Named(type(general).__name__, "", str(general.value))
    return named


def _dns(name: str) -> Named:
    return Named("dns", name.lower(), name)


def _mail(mail: str) -> Named:
    """The part before the @ heeds case, the host does not."""
    mailbox, at, host = mail.rpartition("@")
    return Named("mail", f"{mailbox}{at}{host.lower()}", mail)


def _within(name: Named, limit: Named, *, unordered: bool = False) -> bool:
    """Whether a name lies below a constraint of its kind; `unordered` is the answer for kinds without an order."""
    value, bound = name.value, limit.value
    if isinstance(bound, Network):
        return isinstance(value, Address) and value in bound
    if isinstance(value, tuple) and isinstance(bound, tuple):
        return value[: len(bound)] == bound
    compared = _COMPARED.get(name.kind)
    if compared is None or not isinstance(value, str) or not isinstance(bound, str):
        return unordered
    return compared(value, bound)


def _is_malformed(name: Named) -> bool:
    """Whether OpenSSL cannot tell where the host of a name is; it lets none through, whatever the limit."""
    if name.kind == "mail":
        return "@" not in name.text
    return name.kind == "uri" and not _host_of(name.text)


def _host_within(host: str, limit: str) -> bool:
    """`.example.com` is what is below, `example.com` that host alone."""
    return host.endswith(limit) if limit.startswith(".") else host == limit


def _host_or_below(host: str, limit: str) -> bool:
    """Of DNS names `example.com` is what is below as well, and nothing is all."""
    return not limit or _host_within(host, limit) or host.endswith(f".{limit}")


def _mail_within(mail: str, limit: str) -> bool:
    return mail == limit if "@" in limit[1:] else _host_within(mail.rpartition("@")[2], limit.lstrip("@"))


def _uri_within(address: str, limit: str) -> bool:
    return _host_within(_host_of(address), limit)


_COMPARED: dict[str, Callable[[str, str], bool]] = {"dns": _host_or_below, "mail": _mail_within, "uri": _uri_within}


def _host_of(address: str) -> str:
    """The host of a URI, without user and port; empty, it has none."""
    scheme, slashes, rest = address.partition("://")
    if ":" in scheme or not slashes:
        return ""
    return rest.partition("/")[0].rpartition("@")[2].partition(":")[0]


_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?"
_HOST = re.compile(rf"(?:{_LABEL}\.)+{_LABEL}")
"""Two labels at least; with underscores, which hosts have though they must not."""


def _is_host(name: str) -> bool:
    return _HOST.fullmatch(name) is not None
