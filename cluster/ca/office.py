"""An authority at work: it has a clock, serial numbers to give, and books of what it issued and revoked."""

from collections.abc import Callable
from datetime import datetime

import msgspec
from cryptography import x509

from ucmlab.cluster.ca.authority import Authority, der_of, root_authority
from ucmlab.cluster.ca.keys import PrivateKey
from ucmlab.cluster.ca.requests import Request
from ucmlab.cluster.ca.revocations import Revocation, check_on_hold, revoked
from ucmlab.cluster.ca.signatures import DEFAULT_HASH
from ucmlab.cluster.ca.terms import CA_LIFETIME, LEAF_LIFETIME, Terms, Validity, validity
from ucmlab.cluster.errors import Unusable
from ucmlab.node.certificates import parse
from ucmlab.node.instant import from_datetime

Clock = Callable[[], datetime]
Serials = Callable[[int], int]
"""The serial number of the how-manieth certificate it is, from 1; no two alike."""


class Issued(msgspec.Struct, frozen=True):
    """One certificate that an authority issued."""

    serial: str
    """Lower-case hex without leading zeros."""
    fingerprint: str
    common_name: str
    """The last CN of the subject, or empty."""
    not_after: int
    """Microseconds since 1970, UTC."""


class Books(msgspec.Struct):
    """Of one key: an authority that was cross-signed keeps one set for all its certificates."""

    issued: dict[str, Issued] = {}
    """By serial."""
    revocations: dict[str, Revocation] = {}
    """By serial, in the order of the first revocation."""
    changes: int = 0
    """How often something was revoked or put back."""


class Office:
    """An authority, its books and its clock."""

    def __init__(
        self, authority: Authority, books: Books, *, now: Clock, serials: Serials, honours_request: bool = True
    ) -> None:
        """Take over an authority.

        Args:
            authority: who signs.
            books: what it issued so far.
            now: its clock.
            serials: where its serial numbers come from.
            honours_request: whether it gives what a request asks for (R-032).
        """
        self.authority = authority
        self.books = books
        self.honours_request = honours_request
        self._now = now
        self._serials = serials

    @property
    def now(self) -> datetime:
        """Its clock."""
        return self._now()

    def sign(
        self, request: Request, terms: Terms, *, not_before: datetime | None = None, not_after: datetime | None = None
    ) -> x509.Certificate:
        """Issue what was asked for, on these terms.

        Raises:
            Unusable: the terms or the dates cannot be.
        """
        counts = validity(
            self._now(),
            lifetime=LEAF_LIFETIME,
            not_before=not_before,
            not_after=not_after,
            issuer=self.authority.certificate,
        )
        made = self.authority.sign(request, terms, serial=self._next_serial(), validity=counts)
        self._enter(made)
        return made

    def subordinate(
        self,
        name: str,
        key: PrivateKey,
        *,
        digest: str = DEFAULT_HASH,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> Authority:
        """Found an authority below this one.

        Raises:
            Unusable: name, hash or dates cannot be.
        """
        counts = _ca_validity(self._now(), not_before, not_after, issuer=self.authority)
        made = self.authority.subordinate(name, key, serial=self._next_serial(), validity=counts, digest=digest)
        self._enter(made.certificate)
        return made

    def cross_sign(
        self,
        other: Authority,
        *,
        digest: str = DEFAULT_HASH,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> Authority:
        """Vouch for another authority.

        Raises:
            Unusable: it is this one, or hash or dates cannot be.
        """
        counts = _ca_validity(self._now(), not_before, not_after, issuer=self.authority)
        made = self.authority.cross_sign(other, serial=self._next_serial(), validity=counts, digest=digest)
        self._enter(made.certificate)
        return made

    def moved(self, authority: Authority) -> "Office":
        """The same books below another certificate of the same key, as `cross_sign` makes one."""
        return Office(authority, self.books, now=self._now, serials=self._serials, honours_request=self.honours_request)

    def revoke(self, serial: str, reason: str) -> Revocation:
        """Revoke what was issued under that serial.

        Raises:
            Unusable: nothing was, it is revoked already, or there is no such reason.
        """
        self._check_issued(serial)
        made = self.books.revocations[serial] = revoked(self.books.revocations, serial, reason=reason, at=self._now())
        self.books.changes += 1
        return made

    def unhold(self, serial: str) -> None:
        """Lift a hold.

        Raises:
            Unusable: nothing was issued under that serial, or it is not on hold.
        """
        self._check_issued(serial)
        check_on_hold(self.books.revocations, serial)
        del self.books.revocations[serial]
        self.books.changes += 1

    def crl(self, *, digest: str = DEFAULT_HASH) -> x509.CertificateRevocationList:
        """The list of what is revoked now.

        Raises:
            Unusable: the hash cannot be.
        """
        now = self._now()
        # Grows with time and with every change, so that no two different lists have one number.
        number = from_datetime(now) + self.books.changes
        return self.authority.crl(self.books.revocations.values(), at=now, number=number, digest=digest)

    def _next_serial(self) -> int:
        return self._serials(len(self.books.issued) + 1)

    def _enter(self, certificate: x509.Certificate) -> None:
        read = parse(der_of(certificate))
        self.books.issued[read.serial] = Issued(read.serial, read.fingerprint, read.common_name, read.not_after)

    def _check_issued(self, serial: str) -> None:
        if serial not in self.books.issued:
            name = parse(der_of(self.authority.certificate)).common_name
            raise Unusable(f"{name} issued no certificate {serial}, so it cannot revoke or release it")


def open_root(
    name: str,
    key: PrivateKey,
    books: Books,
    *,
    now: Clock,
    serials: Serials,
    honours_request: bool = True,
    digest: str = DEFAULT_HASH,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
) -> Office:
    """Found an authority that signs itself. Its own certificate stands in its books.

    Raises:
        Unusable: name, hash or dates cannot be.
    """
    counts = _ca_validity(now(), not_before, not_after)
    authority = root_authority(name, key, serial=serials(1), validity=counts, digest=digest)
    office = Office(authority, books, now=now, serials=serials, honours_request=honours_request)
    office._enter(authority.certificate)  # noqa: SLF001  of the same module
    return office


def _ca_validity(
    now: datetime, not_before: datetime | None, not_after: datetime | None, *, issuer: Authority | None = None
) -> Validity:
    """The dates of an authority's certificate; see `validity`."""
    return validity(
        now,
        lifetime=CA_LIFETIME,
        not_before=not_before,
        not_after=not_after,
        issuer=None if issuer is None else issuer.certificate,
    )
