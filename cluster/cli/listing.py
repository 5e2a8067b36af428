"""The certificate list of one node: what lies in its files, filtered, sorted, and found by name (R-052..R-055, R-205).

It is read from the files at that moment, as the product's list is (domain.md 0.3, fact 1): no node is asked, so a node
that is down shows what its disk holds, and nothing changes (R-063).
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, get_args

import msgspec

from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.provision import LabHome
from ucmlab.node.certificates import Certificate, parse
from ucmlab.node.errors import Refusal
from ucmlab.node.layout import HomeLayout, read_identities
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.trust_files import TrustFiles

Usage = Literal["identity", "trust"]
Order = Literal["unit", "usage", "cn", "expires", "key"]
USAGES: tuple[Usage, ...] = get_args(Usage)
ORDERS: tuple[Order, ...] = get_args(Order)
USAGE_SINCE = "14"
"""R-053: the release from which the list knows the filter."""
SHORTEST_PREFIX = 8
"""Hex digits of a fingerprint that are enough to name a certificate, if only one begins so."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the list."""

    unit: str
    usage: Usage
    file: str
    path: Path
    certificate: Certificate
    description: str = ""

    @property
    def kind(self) -> str:
        """R-001."""
        return "Self-signed" if self.certificate.self_signed else "CA-signed"

    @property
    def name(self) -> str:
        """What people call it."""
        return self.certificate.common_name or self.certificate.first_name or self.file


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What is searched for; a certificate must fit all of it (R-205). None asks for nothing."""

    unit: str | None = None
    usage: Usage | None = None
    cn: str | None = None
    expires_before: int | None = None
    """Microseconds since 1970."""
    key: str | None = None
    """`rsa` or `ec`."""

    def fit(self, entry: Entry) -> bool:
        """Whether the certificate fits all."""
        certificate = entry.certificate
        return (
            self.unit in (None, entry.unit)
            and self.usage in (None, entry.usage)
            and (self.cn is None or self.cn.casefold() in certificate.common_name.casefold())
            and (self.expires_before is None or certificate.not_after < self.expires_before)
            and (self.key is None or certificate.key.startswith(f"{self.key}-"))
        )


_SORT_KEYS: dict[Order, Callable[[Entry], tuple[object, ...]]] = {
    "unit": lambda entry: (),
    "usage": lambda entry: (entry.usage,),
    "cn": lambda entry: (entry.name.casefold(),),
    "expires": lambda entry: (entry.certificate.not_after,),
    "key": lambda entry: (entry.certificate.key.partition("-")[0], entry.certificate.key_bits),
}


def entries(home: LabHome, node: str) -> list[Entry]:
    """Everything that lies in a node's files: identities first, then trust certificates, each by unit and file.

    Raises:
        Unusable: the lab has no such node.
    """
    layout = HomeLayout(home.node_home(node), home.topology.rulebook)
    identities = sorted(read_identities(layout).items())
    listed = [_entry(unit, "identity", path=layout.identity_files[unit], der=der) for unit, der in identities]
    files = TrustFiles(layout.trust_folders)
    for image in files.read()[0]:
        path = files.path(image.unit, image.name)
        listed.append(_entry(image.unit, "trust", path=path, der=image.der, description=image.description))
    return [entry for entry in listed if entry is not None]


def chosen(listed: Iterable[Entry], filters: Filters, order: Order | None = None) -> list[Entry]:
    """Those that fit, sorted; without an order as they were."""
    found = [entry for entry in listed if filters.fit(entry)]
    if order is None:
        return found
    key = _SORT_KEYS[order]
    return sorted(found, key=lambda entry: (key(entry), entry.unit, entry.file))


def check_filters(filters: Filters, rulebook: RuleBook) -> None:
    """Refuse a filter that the release does not have (R-053).

    Raises:
        Refusal: `release`.
    """
    if filters.usage is not None and not rulebook.release_at_least(USAGE_SINCE):
        raise Refusal("release", f"the filter Usage comes with release {USAGE_SINCE}")


def check_unit(rulebook: RuleBook, unit: str | None) -> None:
    """See that the release has the unit.

    Raises:
        Unusable: it has not.
    """
    if unit is not None and unit not in rulebook.units:
        raise Unusable(f"there is no unit {unit!r}; there are {', '.join(rulebook.units)}")


def find(listed: Sequence[Entry], unit: str, name: str | None) -> Entry:
    """The certificate of a unit that a name means: fingerprint (or its beginning), file name, or common name.

    Args:
        listed: the node's certificates.
        unit: the unit.
        name: may be left out where the unit has one certificate only, as an identity has.

    Raises:
        Refusal: `not_found`.
        Unusable: several fit; the text names them.
    """
    there = [entry for entry in listed if entry.unit == unit]
    found = there if name is None else _named(there, name)
    if not found:
        raise Refusal("not_found", f"it has no {name!r}" if name else "it is empty")
    if len(found) > 1:
        several = ", ".join(f"{entry.file} ({entry.certificate.fingerprint[:16]})" for entry in found)
        raise Unusable(f"{unit} has several that fit; say which by fingerprint or file: {several}")
    return found[0]


def fingerprint_of(name: str) -> str:
    """A fingerprint as OpenSSL and browsers write it (upper case, colons), as ours; other names unchanged."""
    bare = name.replace(":", "").lower()
    return bare if len(bare) >= SHORTEST_PREFIX and set(bare) <= set("0123456789abcdef") else name


def _named(there: Sequence[Entry], name: str) -> list[Entry]:
    prefix = fingerprint_of(name)
    exact = [entry for entry in there if name in (entry.file, entry.file.removesuffix(".pem"))]
    by_name = [entry for entry in there if entry.certificate.common_name == name]
    by_fingerprint = [
        entry for entry in there if len(prefix) >= SHORTEST_PREFIX and entry.certificate.fingerprint.startswith(prefix)
    ]
    return exact or by_name or by_fingerprint


def _entry(unit: str, usage: Usage, *, path: Path, der: bytes, description: str = "") -> Entry | None:
    try:
        certificate = parse(der)
    except Refusal:
        return None  # a file that somebody spoiled by hand is no line of the list
    return Entry(unit=unit, usage=usage, file=path.name, path=path, certificate=certificate, description=description)
