"""Long-lived links (CTI, IPsec, LDAP) whose peers' certificates are checked again while they last (R-192, R-193).

Who opens and closes links is somebody else; here they are known by an id of theirs. With Certificate Validity Check off
nothing is checked, so a peer whose certificate was revoked stays connected. On, a link ends when its peer's certificate
is outside its dates, or when its status forbids connections by B.16.
"""

from collections.abc import Callable

import msgspec

from ucmlab.node.certificates import Certificate, parse
from ucmlab.node.context import Context
from ucmlab.node.periodic import Periodic
from ucmlab.node.revocation import TIMER, Revocation, Verdict, issuer_among
from ucmlab.node.revocation_batch import Batch, Question

CHECK = f"{TIMER}links"


class Link(msgspec.Struct, frozen=True):
    """One link."""

    client: str
    """As `revocation.toml` names it: `ldap`."""
    chain: tuple[Certificate, ...]
    """What the peer showed, its own certificate first."""


class Links:
    """The links of one node."""

    def __init__(self, context: Context, revocation: Revocation) -> None:
        """None yet."""
        self._context = context
        self._revocation = revocation
        self.dropped: Callable[[str, str], None] = lambda link_id, why: None
        """Hears the id of a link that must end, and why (a stable word); it is who opens links."""
        self._links: dict[str, Link] = {}
        self._check = Periodic(context, CHECK)
        self._batch: Batch | None = None
        """The check that is under way."""

    def opened(self, link_id: str, client: str, chain: tuple[bytes, ...]) -> None:
        """A link has come about.

        Args:
            link_id: its own, among all links of this node.
            client: as `revocation.toml` names it; links of clients that are not long-lived are not kept.
            chain: the certificates that the peer showed (DER, from `parse`), its own first.
        """
        row = self._context.rulebook.revocation.clients.get(client)
        if row is not None and row.long_lived and chain:
            self._links[link_id] = Link(client, tuple(map(parse, chain)))

    def closed(self, link_id: str) -> None:
        """A link has ended by itself; one that is not known is no error."""
        self._links.pop(link_id, None)

    def parameters_changed(self) -> None:
        """Begin, end or change the checks; see `RevocationChecks.parameters_changed`."""
        self._check.run(self._revocation.settings.links_every)

    def ask_again(self) -> None:
        """See `RevocationChecks.ask_again`."""
        self._check.renew()

    def timer(self) -> None:
        """It is time for a check."""
        self._check.again()
        wall = self._context.now.wall
        for link_id, link in list(self._links.items()):
            validity = link.chain[0].validity(wall)
            if validity != "valid":
                self._drop(link_id, validity)
        if self._batch is not None:
            self._context.alarm("revocation_check_late")
        elif self._revocation.on:
            at_once = self._context.rulebook.revocation.limits.scanned_at_once
            self._batch = Batch(self._revocation, at_once=at_once, heard=self._heard, over=self._over)
            self._batch.begin(self._questions())

    def _over(self) -> None:
        self._batch = None

    def _questions(self) -> list[Question]:
        """One for each certificate and client, however many links have it."""
        links = {(link.client, link.chain[0].fingerprint): link for link in self._links.values()}
        return [
            Question(link.chain[0], self._issuer_of(link), f"link:{link.client}") for _, link in sorted(links.items())
        ]

    def _issuer_of(self, link: Link) -> bytes:
        leaf, *above = link.chain
        return issuer_among(leaf, above) or self._revocation.issuer_of(leaf)

    def _heard(self, question: Question, verdict: Verdict) -> None:
        if verdict.connects:
            return
        shown = question.certificate.fingerprint, question.reason
        for link_id, link in list(self._links.items()):
            if (link.chain[0].fingerprint, f"link:{link.client}") == shown:
                self._drop(link_id, verdict.status)

    def _drop(self, link_id: str, why: str) -> None:
        link = self._links.pop(link_id)
        fingerprint = link.chain[0].fingerprint
        self._context.record("link_dropped", link=link_id, client=link.client, fingerprint=fingerprint, reason=why)
        self.dropped(link_id, why)
