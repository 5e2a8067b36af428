"""What is checked without anybody's asking: all certificates on a schedule, and the CRL (R-158, R-159, R-186..R-191).

A scheduled check asks once for each certificate that this node has an identity or a trust file of, unless it signed
itself (nobody could revoke it) or there is nobody to ask about it: it names no responder and none is configured. The
same certificate in several units is one. [ASSUMED]: which certificates the product monitors is not public.

A check begins one interval after it was enabled or the node started, never at once; one that lasts longer than the
interval is not begun again meanwhile. What it found is told, and raised, when it is over.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from ucmlab.node.certificates import Certificate, parse
from ucmlab.node.commands import FetchCrl, GiveUp
from ucmlab.node.context import Context
from ucmlab.node.crl import Crl, read_crl
from ucmlab.node.events import CrlFetched
from ucmlab.node.filing import Filing
from ucmlab.node.issuing import named, signs_itself
from ucmlab.node.names import Canonical
from ucmlab.node.ocsp import Unbelievable, signs_answers
from ucmlab.node.periodic import Periodic
from ucmlab.node.revocation import DESIGNATED_IN, TIMER, Revocation, Verdict, issuer_among
from ucmlab.node.revocation_batch import Batch, Question

SCHEDULE = "schedule"
_CHECK = f"{TIMER}check"
_FETCH = f"{TIMER}fetch"
_CRL = "crl"
_NO_SIGNER = (
    "Neither a CA certificate with the OCSP signing attribute nor a designated OCSP signing certificate is in "
    "tomcat-trust: responses are believed only if the issuing CA signed them or vouches for who did"
)


def precheck(filing: Filing) -> tuple[str, ...]:
    """What to warn of whoever enables OCSP on the node that has these files (R-186)."""
    held = filing.fingerprints(DESIGNATED_IN).values()
    return () if any(signs_answers(file.der) for file in held) else (_NO_SIGNER,)


class RevocationChecks:
    """The scheduled checks of one node."""

    def __init__(
        self, context: Context, revocation: Revocation, filing: Filing, *, identities: Mapping[str, bytes]
    ) -> None:
        """Nothing runs until `parameters_changed`. `identities` is the node's own table, read here."""
        self._context = context
        self._revocation = revocation
        self._filing = filing
        self._identities = identities
        limits = context.rulebook.revocation.limits
        self._deadline = limits.deadline
        self._crl_every = limits.crl_every
        self._at_once = limits.scanned_at_once
        self._check = Periodic(context, _CHECK)
        self._fetch = Periodic(context, _FETCH)
        self._batch: Batch | None = None
        """The check that is under way."""
        self._found: list[tuple[Question, Verdict]] = []
        self._url = ""
        self.revoked: frozenset[str] = frozenset()
        """Fingerprints that the last check found to be revoked: not to be trusted any more (X-10)."""

    def parameters_changed(self) -> None:
        """Begin, end or change the schedule. To be called at the start too; what has not changed runs on."""
        settings = self._revocation.settings
        every = settings.check_every
        self._check.run(every)
        if every is None:
            self.revoked = frozenset()
        url = settings.crl
        self._fetch.run((every or self._crl_every) if url else None)
        if url != self._url:
            self._url = url
            self._revocation.crl = None
            self._context.ask(GiveUp(_CRL))
            self._context.cancel_timer(TIMER + _CRL)
            if url:
                self._fetch_crl()

    def ask_again(self) -> None:
        """Timers or questions may have been dropped with the rest of a list."""
        self._check.renew()
        self._fetch.renew()

    def timer(self, token: str) -> None:
        """One of the timers of this file."""
        if token == _CHECK:
            self._check.again()
            self._begin()
        elif token == _FETCH:
            self._fetch.again()
            self._fetch_crl()
        elif token == TIMER + _CRL:
            self._context.ask(GiveUp(_CRL))
            self._no_crl("timeout", "")

    # -- all certificates

    def _begin(self) -> None:
        if self._batch is not None:
            self._context.alarm("revocation_check_late")
            return
        self._found = []
        self._context.record("revocation_check", phase="begun")
        self._batch = Batch(self._revocation, at_once=self._at_once, heard=self._heard, over=self._over)
        self._batch.begin(self._questions())

    def _questions(self) -> list[Question]:
        held = self._held()
        by_name: dict[Canonical, list[Certificate]] = {}
        for each in held.values():
            by_name.setdefault(named(each.der)[0], []).append(each)
        settings = self._revocation.settings
        monitored = [
            each
            for each in held.values()
            if not signs_itself(each) and (settings.responder(each.der) if settings.ocsp else settings.crl)
        ]
        return [Question(each, issuer_among(each, by_name.get(named(each.der)[1], ())), SCHEDULE) for each in monitored]

    def _held(self) -> dict[str, Certificate]:
        """All that this node has, by fingerprint, in an order of their own."""
        ders = [*self._identities.values(), *self._trusted()]
        held = {read.fingerprint: read for read in map(parse, ders)}
        return dict(sorted(held.items()))

    def _trusted(self) -> Iterator[bytes]:
        for held in self._filing.by_unit.values():
            yield from (file.der for file in held.values())

    def _heard(self, question: Question, verdict: Verdict) -> None:
        self._found.append((question, verdict))

    def _over(self) -> None:
        self._batch = None
        counts = Counter(verdict.status for _, verdict in self._found)
        self._context.record(
            "revocation_check",
            phase="ended",
            good=counts["good"],
            revoked=counts["revoked"],
            unknown=counts["unknown"],
            unreachable=counts["unreachable"],
        )
        revoked = [(question, verdict) for question, verdict in self._found if verdict.status == "revoked"]
        self.revoked = frozenset(question.certificate.fingerprint for question, _ in revoked)
        for question, verdict in revoked:
            certificate = question.certificate
            self._context.alarm(
                "certificate_revoked", reason=SCHEDULE, fingerprint=certificate.fingerprint, detail=verdict.detail
            )
        self._raise_unreachable()

    def _raise_unreachable(self) -> None:
        """One alarm for each responder and trouble: hundreds of certificates may have the same."""
        settings = self._revocation.settings
        silent = Counter(
            (settings.responder(question.certificate.der), verdict.detail)
            for question, verdict in self._found
            if verdict.status == "unreachable"
        )
        for (url, detail), count in silent.items():
            self._context.alarm(
                "revocation_status_unavailable", reason=SCHEDULE, url=url, detail=detail, certificates=count
            )

    # -- the CRL

    def _fetch_crl(self) -> None:
        self._context.record("crl_query", url=self._url)
        self._context.start_timer(TIMER + _CRL, self._deadline)
        self._context.ask(FetchCrl(_CRL, self._url))

    def crl_fetched(self, event: CrlFetched) -> None:
        """The list has come, or cannot be had."""
        if event.token != _CRL or not self._url:
            return
        self._context.cancel_timer(TIMER + _CRL)
        if event.trouble:
            self._no_crl(event.trouble, "")
            return
        limits = self._context.rulebook.revocation.limits
        authorities: Iterable[Certificate] = (parse(der) for der in self._trusted())
        before = self._revocation.crl
        try:
            crl = read_crl(event.crl, authorities, wall=self._context.now.wall, limits=limits)
        except Unbelievable as error:
            self._no_crl(error.trouble, error.text)
            return
        if before is not None and crl.this_update < before.this_update:
            self._no_crl("replayed", "a newer list is known")
            return
        self._revocation.crl = crl
        self._context.record("crl_fetched", url=self._url, issuer=crl.issuer, revoked=len(crl.revoked))
        if before is not None and before.revoked != crl.revoked:
            self._tell_changed(before, crl)

    def _tell_changed(self, before: Crl, crl: Crl) -> None:
        added, removed = crl.revoked.keys() - before.revoked.keys(), before.revoked.keys() - crl.revoked.keys()
        self._context.alarm("CRLChanged", url=self._url, issuer=crl.issuer, added=len(added), removed=len(removed))

    def _no_crl(self, trouble: str, text: str) -> None:
        """What was fetched before counts until it says that it does not."""
        self._context.alarm("crl_unavailable", url=self._url, detail=trouble, text=text)
