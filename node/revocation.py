"""Asking whether a certificate is revoked: one query at a time for each who asks, and the verdict (R-159..R-170, B.16).

What must live here: who waits for which answer, how long, and what follows from it. What this file must not know: what
is done with a verdict; handshakes, uploads, scheduled checks and long-lived links each do their own.

    ask ──> in line ──> asked ──(answer | deadline)──> verdict

- The deadline is in lab time and counts from `ask`, so that a responder that says nothing holds up nobody for longer.
- Lines are bounded: who comes on top is told `unreachable` at once.
- An answer that cannot be believed is no answer: `unreachable`, with the trouble's word as its detail.
- A node that has OCSP off asks nobody, starts no timer, and records nothing.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from ucmlab.node.certificates import Certificate, parse
from ucmlab.node.commands import AskOcsp, GiveUp
from ucmlab.node.context import Context
from ucmlab.node.crl import Crl
from ucmlab.node.events import OcspAnswered
from ucmlab.node.filing import Filing
from ucmlab.node.issuing import named, names_key_of, public_key, signed_with, signs_itself
from ucmlab.node.ocsp import Answer, Unbelievable, read_answer, request_for
from ucmlab.node.revocation_rules import Status
from ucmlab.node.revocation_settings import RevocationSettings, Source

TIMER = "revocation:"
QUERY_TIMER = f"{TIMER}ocsp:"
DESIGNATED_IN = "tomcat-trust"
"""Where a trusted responder's certificate is looked for (R-163)."""
REMEMBERED = 4096
"""Certificates of which it is remembered how new the newest answer was."""


class Said(msgspec.Struct, frozen=True):
    """How a certificate stands, whatever follows from it."""

    status: Status
    detail: str = ""
    text: str = ""
    source: Literal["", "ocsp", "crl"] = ""


class Verdict(msgspec.Struct, frozen=True):
    """What follows for whoever asked."""

    status: Status | Literal["not_asked"]
    """`not_asked`: revocation is off, or nobody could revoke it but itself."""
    connects: bool
    detail: str = ""
    """Of `revoked` the reason, of `unreachable` the trouble: both stable words."""
    text: str = ""
    """What exactly was wrong with an answer."""
    source: Literal["", "ocsp", "crl"] = ""


NOT_ASKED = Verdict("not_asked", connects=True)
Done = Callable[[Verdict], None]


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody's question."""

    token: str
    certificate: Certificate
    issuer: bytes
    url: str
    source: Source
    reason: str
    cause: str
    deadline: int
    """Lab microseconds."""
    done: Done


class Revocation:
    """The queries of one node."""

    def __init__(self, context: Context, filing: Filing) -> None:
        """Nobody asks yet. `filing` is where trusted responders and issuers are found."""
        self._context = context
        self._filing = filing
        self._limits = context.rulebook.revocation.limits
        self._open: dict[str, Query] = {}
        self._line: deque[Query] = deque()
        self._newest: dict[str, int] = {}
        """Fingerprint to `this_update` of the newest answer that was believed."""
        self._asked = 0
        self.settings = RevocationSettings(context)
        self.crl: Crl | None = None
        """The list that was fetched last, while it is believed in."""

    @property
    def on(self) -> bool:
        """Whether anything is checked at all."""
        return self.settings.ocsp or bool(self.settings.crl)

    def asks_at_handshake(self, client: str) -> bool:
        """Whether a client, as `revocation.toml` names it, asks for the server's certificate (R-166)."""
        return self.on and client in self._context.rulebook.revocation.clients

    def ask(self, certificate: bytes, issuer: bytes, *, reason: str, done: Done) -> None:
        """Find out how a certificate stands; `done` is told, here and now if nobody need be asked.

        Args:
            certificate: DER, from `parse`.
            issuer: the certificate of who issued it, DER; empty: nobody knows it.
            reason: `upload`, `schedule`, `handshake:<client>`, `link:<client>`.
            done: hears it once, unless this node dies.
        """
        read = parse(certificate)
        if not self.on or signs_itself(read):
            done(NOT_ASKED)
            return
        listed = self._listed(read)
        if not self.settings.ocsp:
            done(NOT_ASKED if listed is None else self._verdict(read, reason, listed))
            return
        self._asked += 1
        url, source = self.settings.responder(certificate), self.settings.source
        query = Query(
            token=f"ocsp:{self._asked}",
            certificate=read,
            issuer=issuer,
            url=url,
            source=source,
            reason=reason,
            cause=self._context.cause,
            deadline=self._context.now.lab + self._limits.deadline,
            done=done,
        )
        trouble = _why_not_asked(query)
        if not trouble and len(self._line) >= self._limits.waiting:
            trouble = "too_many"
        if trouble:
            self._tell(query, Said("unreachable", detail=trouble))
            return
        self._context.start_timer(TIMER + query.token, self._limits.deadline)
        self._line.append(query)
        self._next()

    def answered(self, event: OcspAnswered) -> None:
        """A responder has spoken, or could not be made to."""
        query = self._open.pop(event.token, None)
        if query is None:
            return
        self._context.cause = query.cause
        self._context.cancel_timer(TIMER + query.token)
        self._tell(query, self._judged(query, event))
        self._next()

    def timer(self, token: str) -> None:
        """A query has waited long enough."""
        query = self._open.pop(token, None)
        if query is not None:
            self._context.ask(GiveUp(token))
        else:
            query = next((each for each in self._line if each.token == token), None)
            if query is None:
                return
            self._line.remove(query)
        self._context.cause = query.cause
        self._tell(query, Said("unreachable", detail="timeout"))
        self._next()

    def issuer_of(self, certificate: Certificate, others: Iterable[Certificate] = ()) -> bytes:
        """The certificate of who issued one, among others and all trust files; empty, there is none."""
        return issuer_among(certificate, self._known(others))

    def ask_again(self) -> None:
        """Questions and timers may have been dropped with the rest of a list."""
        for query in [*self._open.values(), *self._line]:
            self._context.start_timer(TIMER + query.token, max(query.deadline - self._context.now.lab, 0))
        for query in self._open.values():
            self._context.ask(AskOcsp(query.token, query.url, request_for(query.certificate.der, query.issuer)))

    def _known(self, others: Iterable[Certificate]) -> Iterator[Certificate]:
        yield from others
        for held in self._filing.by_unit.values():
            for file in held.values():
                yield parse(file.der)

    def _next(self) -> None:
        while self._line and len(self._open) < self._limits.at_once:
            query = self._line.popleft()
            self._open[query.token] = query
            self._context.cause = query.cause
            self._context.record(
                "ocsp_query",
                reason=query.reason,
                fingerprint=query.certificate.fingerprint,
                serial=query.certificate.serial,
                url=query.url,
                source=query.source,
            )
            self._context.ask(AskOcsp(query.token, query.url, request_for(query.certificate.der, query.issuer)))

    def _judged(self, query: Query, event: OcspAnswered) -> Said:
        if event.trouble:
            return Said("unreachable", detail=event.trouble)
        fingerprint = query.certificate.fingerprint
        designated = (parse(file.der) for file in self._filing.fingerprints(DESIGNATED_IN).values())
        try:
            answer = read_answer(
                event.response,
                certificate=query.certificate.der,
                issuer=query.issuer,
                designated=designated,
                wall=self._context.now.wall,
                limits=self._limits,
            )
            self._tell_model(query, answer.dtm_failed)
            self._remember(fingerprint, answer)
        except Unbelievable as error:
            self._tell_model(query, error.dtm_failed)
            return Said("unreachable", detail=error.trouble, text=error.text)
        return Said(answer.status, detail=answer.detail, source="ocsp")

    def _tell_model(self, query: Query, dtm_failed: str) -> None:
        if dtm_failed:
            fingerprint = query.certificate.fingerprint
            self._context.record("dtm_failed", fingerprint=fingerprint, url=query.url, text=dtm_failed)

    def _remember(self, fingerprint: str, answer: Answer) -> None:
        """An older answer than one that is known may be somebody's who wants a revocation to be forgotten."""
        newest = self._newest.pop(fingerprint, answer.this_update)
        self._newest[fingerprint] = max(newest, answer.this_update)
        while len(self._newest) > REMEMBERED:
            del self._newest[next(iter(self._newest))]
        if answer.this_update < newest:
            raise Unbelievable("replayed", "a newer answer is known")

    def _listed(self, certificate: Certificate) -> Said | None:
        """What the CRL says, if it says anything about it."""
        crl = self.crl if self.settings.crl else None
        if crl is None or crl.next_update + self._limits.skew < self._context.now.wall:
            return None
        reason = crl.revoked.get(certificate.serial) if named(certificate.der)[1] == crl.name else None
        return None if reason is None else Said("revoked", detail=reason, source="crl")

    def _tell(self, query: Query, said: Said) -> None:
        """A responder that knows nothing, or says nothing, does not take back what the CRL lists."""
        listed = None if said.status in ("good", "revoked") else self._listed(query.certificate)
        verdict = self._verdict(query.certificate, query.reason, listed or said, query.url)
        query.done(verdict)

    def _verdict(self, certificate: Certificate, reason: str, said: Said, url: str = "") -> Verdict:
        """Judged by B.16; told, and raised where that says so."""
        row = self._context.rulebook.revocation.verdicts[said.status, self.settings.common_criteria]
        verdict = Verdict(said.status, row.connects, said.detail, said.text, said.source)
        told = {"reason": reason, "fingerprint": certificate.fingerprint, "detail": verdict.detail}
        self._context.record(
            "revocation_status", **told, status=verdict.status, source=verdict.source, connects=verdict.connects
        )
        # A scheduled check tells of all that it found when it is over.
        if row.alarm and reason != "schedule":
            self._context.alarm(row.alarm, **told, url=url)
        return verdict


def issuer_among(certificate: Certificate, candidates: Iterable[Certificate]) -> bytes:
    """The certificate (DER) among candidates of who issued another; empty, there is none.

    Name and signature decide; whether that issuer may issue is for those to judge who trust it.
    """
    wanted = named(certificate.der)[1]
    for each in candidates:
        fits = each.fingerprint != certificate.fingerprint and named(each.der)[0] == wanted
        if fits and names_key_of(certificate, each) and signed_with(certificate, public_key(each)):
            return each.der
    return b""


def _why_not_asked(query: Query) -> str:
    """What is missing for a question; empty, nothing is."""
    if not query.url:
        return "no_uri"
    try:
        parts = urlsplit(query.url)
        # Answers are signed, so RFC 6960 asks over plain HTTP; with TLS that connection's certificate came first.
        if parts.scheme != "http" or not parts.hostname or (parts.port or 80) < 1:
            return "uri"
    except ValueError:
        return "uri"
    return "" if query.issuer else "issuer_unknown"
