"""The certificate list of one node: what lies in its files, filtered and sorted (R-001, R-052..R-055, R-205).

As the product's list it shows files, not rows (domain.md 0.3, fact 1), and changes nothing (R-063). Where the files are
read, and how a person names one of the list, is told elsewhere; this file knows certificates only.
"""

from collections.abc import Callable, Iterable
from typing import Literal, get_args

import msgspec

from ucmlab.cluster.port import NodeView
from ucmlab.node.certificates import Certificate, parse
from ucmlab.node.errors import Refusal
from ucmlab.node.issuing import names_key_of
from ucmlab.node.rulebook import RuleBook

Usage = Literal["identity", "trust"]
KeyFamily = Literal["rsa", "ec"]
Order = Literal["unit", "usage", "cn", "expires", "key"]
USAGES: tuple[Usage, ...] = get_args(Usage)
KEY_FAMILIES: tuple[KeyFamily, ...] = get_args(KeyFamily)
ORDERS: tuple[Order, ...] = get_args(Order)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the list."""

    unit: str
    usage: Usage
    file: str
    path: str
    """The file, absolute; empty where a simulated disk has it."""
    certificate: Certificate
    description: str = ""

    @property
    def kind(self) -> str:
        """R-001. What a CA signed for its own next key has its own name as issuer, but not its own key."""
        certificate = self.certificate
        own = certificate.self_signed and names_key_of(certificate, certificate)
        return "Self-signed" if own else "CA-signed"

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
    key: KeyFamily | None = None

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


def chosen(listed: Iterable[Entry], filters: Filters, order: Order | None = None, *, rulebook: RuleBook) -> list[Entry]:
    """Those that fit, sorted; without an order as they were.

    Raises:
        Refusal: `release`, it has no usage to filter or to sort by (R-053).
    """
    if filters.usage is not None or order == "usage":
        rulebook.require("usage_filter")
    found = [entry for entry in listed if filters.fit(entry)]
    if order is None:
        return found
    key = _SORT_KEYS[order]
    return sorted(found, key=lambda entry: (key(entry), entry.unit, entry.file))


def entry_of(unit: str, usage: Usage, *, file: str, der: bytes, path: str = "", description: str = "") -> Entry | None:
    """One line of the list; None for a file that somebody spoiled by hand, which is none."""
    try:
        certificate = parse(der)
    except Refusal:
        return None
    return Entry(unit=unit, usage=usage, file=file, path=path, certificate=certificate, description=description)


def entries_of(view: NodeView) -> list[Entry]:
    """The list of a node as a lab sees it: identities first, then trust certificates, each by unit and file."""
    listed = [entry_of(unit, "identity", file=f"{unit}.pem", der=der) for unit, der in sorted(view.identities.items())]
    for file in sorted(view.files, key=lambda file: (file.unit, file.name)):
        path = view.paths.get((file.unit, file.name), "")
        made = entry_of(file.unit, "trust", file=file.name, der=file.der, path=path, description=file.description)
        listed.append(made)
    return [entry for entry in listed if entry is not None]
