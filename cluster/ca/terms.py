"""On what terms a certificate is issued: the request honoured, ignored or distorted; hash and dates."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeVar

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from ucmlab.cluster.ca.requests import Request
from ucmlab.cluster.ca.signatures import DEFAULT_HASH, check_hash
from ucmlab.cluster.ca.usages import alternative_names, extended_usages, key_usage_extension, key_usages, responder_uri
from ucmlab.cluster.errors import Unusable
from ucmlab.node.usages import usages_of

CLOCK_MARGIN = timedelta(days=1)
"""How long before now a validity begins, so that a node with a slow clock accepts it."""
CA_LIFETIME = timedelta(days=3650)
LEAF_LIFETIME = timedelta(days=730)
_EARLIEST = datetime(1950, 1, 1, tzinfo=UTC)
"""The first instant that a certificate can name."""

Asked = x509.Extension[x509.ExtensionType]
Wanted = tuple[x509.ExtensionType, bool]
"""An extension, and whether it is critical."""
Part = TypeVar("Part")
Made = TypeVar("Made", bound=x509.ExtensionType)
_NO_CA = (x509.BasicConstraints(ca=False, path_length=None), True)
_JUDGED = frozenset(
    {
        x509.BasicConstraints.oid,
        x509.KeyUsage.oid,
        x509.ExtendedKeyUsage.oid,
        x509.SubjectAlternativeName.oid,
        # Of these an authority computes its own, whatever is asked for.
        x509.SubjectKeyIdentifier.oid,
        x509.AuthorityKeyIdentifier.oid,
    }
)
"""What is not copied from a request as it stands."""


class Validity(NamedTuple):
    """Both instants are inside."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the authority makes otherwise than it is asked to. The default is to do as asked."""

    honours_request: bool = True
    """Whether the extensions of the request count (R-032); without, there are only those named here."""
    drop_key_usage: frozenset[str] = frozenset()
    add_key_usage: frozenset[str] = frozenset()
    eku: tuple[x509.ObjectIdentifier, ...] | None = None
    """These and no others; empty: no such extension."""
    san: tuple[x509.GeneralName, ...] | None = None
    """As with `eku`."""
    ocsp: str = ""
    """URI of the responder that the certificate names (authority information access); empty: as asked."""
    digest: str = DEFAULT_HASH

    @classmethod
    def of(
        cls,
        *,
        honours_request: bool = True,
        drop_key_usage: Iterable[str] = (),
        add_key_usage: Iterable[str] = (),
        eku: Iterable[str] | None = None,
        san: Iterable[str] | None = None,
        ocsp: str = "",
        digest: str = DEFAULT_HASH,
    ) -> "Terms":
        """From the words that people use.

        Raises:
            Unusable: one of the words is none.
        """
        check_hash(digest)
        return cls(
            honours_request=honours_request,
            drop_key_usage=key_usages(drop_key_usage),
            add_key_usage=key_usages(add_key_usage),
            eku=None if eku is None else extended_usages(eku),
            san=None if san is None else alternative_names(san),
            ocsp=responder_uri(ocsp) if ocsp else "",
            digest=digest,
        )

    def extensions(self, request: Request) -> list[Wanted]:
        """What the certificate gets, in a fixed order, but for the two key identifiers.

        Raises:
            Unusable: the key usages that are left cannot stand together.
        """
        asked = {each.oid: each for each in request.extensions} if self.honours_request else {}
        granted = _as_asked(asked.get(x509.BasicConstraints.oid)) or [_NO_CA]
        granted += self._key_usage(asked.get(x509.KeyUsage.oid))
        granted += _unless_given(asked.get(x509.ExtendedKeyUsage.oid), self.eku, x509.ExtendedKeyUsage)
        granted += _unless_given(asked.get(x509.SubjectAlternativeName.oid), self.san, x509.SubjectAlternativeName)
        own = [] if not self.ocsp else [(_names_responder(self.ocsp), False)]
        judged = _JUDGED | {value.oid for value, _ in own}
        return granted + own + [(each.value, each.critical) for oid, each in asked.items() if oid not in judged]

    def _key_usage(self, asked: Asked | None) -> list[Wanted]:
        before = usages_of(asked.value) if asked is not None and isinstance(asked.value, x509.KeyUsage) else frozenset()
        left = before - self.drop_key_usage | self.add_key_usage
        # An extension without any bit is not allowed (RFC 5280, 4.2.1.3).
        return [(key_usage_extension(left), asked is None or asked.critical)] if left else []


def validity(
    now: datetime,
    *,
    lifetime: timedelta,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    issuer: x509.Certificate | None = None,
) -> Validity:
    """From when to when a certificate counts. What is not given follows from now, and does not outlive the issuer.

    Args:
        now: the authority's clock.
        lifetime: how long certificates of this kind last.
        not_before: given, even if the end follows from it; without a zone it is UTC, as is `not_after`.
        not_after: given, even beyond the issuer's end, or in the past.
        issuer: None for a root.

    Raises:
        Unusable: the end comes before the start, or a certificate cannot name it.
    """
    end = _utc(not_after)
    start = _utc(not_before)
    if start is None:
        # Who asks for a certificate that has expired need not say since when it was valid.
        start = now - CLOCK_MARGIN if end is None or end > now - CLOCK_MARGIN else end - lifetime
    if end is None:
        end = (start if not_before is not None else now) + lifetime
        # An issuer that has expired limits nothing: its certificates are wrong already.
        if issuer is not None and start < issuer.not_valid_after_utc < end:
            end = issuer.not_valid_after_utc
    if end < start:
        raise Unusable(
            f"a certificate cannot end ({end:%Y-%m-%d %H:%M:%S}) before it begins ({start:%Y-%m-%d %H:%M:%S})"
        )
    if start < _EARLIEST:
        raise Unusable(f"a certificate cannot begin before {_EARLIEST:%Y}")
    return Validity(start.replace(microsecond=0), end.replace(microsecond=0))


def _names_responder(uri: str) -> x509.AuthorityInformationAccess:
    where = x509.UniformResourceIdentifier(uri)
    return x509.AuthorityInformationAccess([x509.AccessDescription(AuthorityInformationAccessOID.OCSP, where)])


def _as_asked(asked: Asked | None) -> list[Wanted]:
    return [] if asked is None else [(asked.value, asked.critical)]


def _unless_given(
    asked: Asked | None, given: tuple[Part, ...] | None, make: Callable[[tuple[Part, ...]], Made]
) -> list[Wanted]:
    if given is None:
        return _as_asked(asked)
    return [(make(given), asked is not None and asked.critical)] if given else []


def _utc(moment: datetime | None) -> datetime | None:
    return moment if moment is None or moment.tzinfo is not None else moment.replace(tzinfo=UTC)
