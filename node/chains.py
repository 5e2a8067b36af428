"""Completing a chain: from a certificate over its issuers to a self-signed root (R-013, R-064, X-12, C-42).

Issuers come from what was brought along and from what a trust store holds, and each must really be one: by name and
signature, valid at the instant, a CA by its own word and within the limits of those above it. Rules of the search:

- Whatever order the certificates come in, the chain is the same: candidates are tried in an order of their own.
- What two certificates alone decide (names, keys, signature, dates) is found out first, for all that can be reached.
  What depends on the whole way (path length, name constraints) is judged afterwards, on ways that end in a root.
- Everything that others can multiply is counted: CAs that sign each other in all directions cost a refusal, no time.
- An issuer is never guessed: where the chain breaks, the name that is missing is told.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from ucmlab.node import names
from ucmlab.node.certificates import Certificate
from ucmlab.node.errors import Refusal
from ucmlab.node.instant import rfc3339
from ucmlab.node.issuing import named, names_key_of, public_key, signed_with, signs_itself, standing, why_no_issuer
from ucmlab.node.name_constraints import constrained_names, limits, names_at_most, why_forbidden

LONGEST = 10
"""Issuers above a certificate. [ASSUMED]: Java's TLS takes ten certificates of a peer; real chains have three."""
SIGNATURES = 100
"""Signatures checked for one chain, at most: Go's number, and far above what cross-signed CAs need."""
STEPS = 1000
"""Steps upward while path lengths and name constraints forbid one way after the other."""
COMPARISONS = 200_000
"""Names compared with name constraints, at most; OpenSSL has such a limit as well."""
NAMES = 20_000
"""Names made ready to be compared, at most: ten times as many as any CA puts into one certificate."""


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate with its issuers, or what its chain lacks."""

    certificate: Certificate
    issuers: tuple[Certificate, ...] = ()
    """From its issuer to the root; empty for a root, and where the chain is broken."""
    reason: str = ""
    """Empty, the chain is complete. Else `chain_incomplete`; `expired`, `not_yet_valid` or `format` of itself."""
    text: str = ""
    """What exactly is wrong, as in a `Refusal`."""
    missing: str = ""
    """The issuer that there is not, or not one that may be it (RFC 4514); empty where no certificate would help."""

    @property
    def complete(self) -> bool:
        """Whether it reaches a root."""
        return not self.reason

    def require(self) -> tuple[Certificate, ...]:
        """The issuers.

        Raises:
            Refusal: the chain is broken.
        """
        if self.reason:
            raise Refusal(self.reason, self.text)
        return self.issuers


def complete(
    certificate: Certificate,
    *,
    brought: Iterable[Certificate] = (),
    held: Iterable[Certificate] = (),
    wall: int,
    roots: Literal["any", "held"] = "any",
) -> Chain:
    """Complete the chain of a certificate.

    Args:
        certificate: where it begins.
        brought: what came along, in any order: the rest of the file, or what a peer sent.
        held: what the trust store holds.
        wall: the instant at which everything must be valid.
        roots: whether a root may be one that was brought (an upload brings trust), or must be held (a peer does not).
    """
    flaw = _own_flaw(certificate, wall)
    if flaw is not None:
        return flaw
    return _Search(certificate, brought, held, wall=wall, roots=roots).result()


class _TooMuch(Exception):
    """A limit of the search was reached."""


class _Search:
    """One search. Certificates are known by their fingerprints."""

    def __init__(
        self,
        certificate: Certificate,
        brought: Iterable[Certificate],
        held: Iterable[Certificate],
        *,
        wall: int,
        roots: Literal["any", "held"],
    ) -> None:
        self._certificate, self._wall, self._roots = certificate, wall, roots
        trusted = {each.fingerprint: each for each in held}
        self._held = trusted.keys()
        self._by_name: dict[names.Canonical, list[Certificate]] = {}
        for each in sorted(({each.fingerprint: each for each in brought} | trusted).values(), key=self._preference):
            self._by_name.setdefault(named(each.der)[0], []).append(each)
        self._issuers: dict[str, list[Certificate]] = {}
        self._flaws: dict[str, str] = {}
        self._signatures: dict[tuple[str, bytes], bool] = {}
        self._forbidden = ""
        self._steps = self._comparisons = self._names = 0

    def result(self) -> Chain:
        """The chain, or where it breaks."""
        try:
            reached = self._explore()
            alive = self._alive(reached)
            if self._certificate.fingerprint not in alive:
                return self._gap(reached)
            path = self._climb((self._certificate,), alive)
        except _TooMuch as limit:
            return self._broken(f"the certificates are entangled: {limit}")
        return self._broken(self._forbidden) if path is None else Chain(certificate=path[0], issuers=path[1:])

    def _preference(self, certificate: Certificate) -> tuple[bool, bool, int, str]:
        """What is held first, as OpenSSL has it; then roots, which are the shortest way; then what lasts longest."""
        elsewhere = certificate.fingerprint not in self._held
        return elsewhere, not certificate.self_signed, -certificate.not_after, certificate.fingerprint

    def _explore(self) -> list[Certificate]:
        """All that can be reached from below, nearest first, with the issuers of each."""
        reached = {self._certificate.fingerprint: self._certificate}
        frontier = [self._certificate]
        for _ in range(LONGEST):
            following: dict[str, Certificate] = {}
            for child in frontier:
                issuers = [] if signs_itself(child) else self._issuers_of(child)
                self._issuers[child.fingerprint] = issuers
                following |= {each.fingerprint: each for each in issuers if each.fingerprint not in reached}
            reached |= following
            frontier = list(following.values())
        return list(reached.values())

    def _alive(self, reached: list[Certificate]) -> set[str]:
        """Those from which a root can be reached."""
        alive = {each.fingerprint for each in reached if self._is_end(each)}
        for _ in range(LONGEST):
            alive |= {
                child
                for child, issuers in self._issuers.items()
                if any(issuer.fingerprint in alive for issuer in issuers)
            }
        return alive

    def _is_end(self, certificate: Certificate) -> bool:
        return (self._roots == "any" or certificate.fingerprint in self._held) and signs_itself(certificate)

    def _issuers_of(self, child: Certificate) -> list[Certificate]:
        return [issuer for issuer in self._of_its_issuers_name(child) if not self._objection(child, issuer)]

    def _of_its_issuers_name(self, child: Certificate) -> list[Certificate]:
        candidates = self._by_name.get(named(child.der)[1], ())
        return [issuer for issuer in candidates if issuer.fingerprint != child.fingerprint]

    def _objection(self, child: Certificate, issuer: Certificate) -> str:
        """Why a certificate of the right name is not the issuer; empty, it is. What costs most comes last."""
        if not names_key_of(child, issuer):
            return _OTHER_KEY
        flaw = self._flaw(issuer)
        if flaw:
            return flaw
        return "" if self._signed(child, public_key(issuer)) else _OTHER_KEY

    def _flaw(self, issuer: Certificate) -> str:
        """What keeps it from issuing anything at this instant; found once, as hundreds may ask."""
        if issuer.fingerprint not in self._flaws:
            self._flaws[issuer.fingerprint] = (
                why_no_issuer(issuer) or _why_not_now(issuer, self._wall) or _why_not_understood(issuer)
            )
        return self._flaws[issuer.fingerprint]

    def _signed(self, child: Certificate, key: bytes) -> bool:
        """Check a signature once: CAs that share a key are one CA to it."""
        pair = child.fingerprint, key
        if pair not in self._signatures:
            if len(self._signatures) == SIGNATURES:
                raise _TooMuch(f"more than {SIGNATURES} signatures had to be checked")
            self._signatures[pair] = signed_with(child, key)
        return self._signatures[pair]

    def _climb(self, path: tuple[Certificate, ...], alive: set[str]) -> tuple[Certificate, ...] | None:
        """Go on upward, the preferred way first, until a root is there; None, every way is forbidden."""
        top = path[-1]
        if self._is_end(top):
            return path
        if len(path) > LONGEST:
            self._forbidden = self._forbidden or f"there is no root within {LONGEST} issuers"
            return None
        for issuer in self._issuers[top.fingerprint]:
            if issuer.fingerprint not in alive or issuer in path:
                continue
            self._count_step()
            forbidden = self._why_forbidden(issuer, path)
            self._forbidden = self._forbidden or forbidden
            found = None if forbidden else self._climb((*path, issuer), alive)
            if found is not None:
                return found
        return None

    def _count_step(self) -> None:
        self._steps += 1
        if self._steps > STEPS:
            raise _TooMuch(f"more than {STEPS} ways had to be tried")

    def _why_forbidden(self, issuer: Certificate, path: tuple[Certificate, ...]) -> str:
        """What an issuer has against all that is below it: how many there are, and how they are called."""
        permitted = standing(issuer.der).path_length
        between = sum(not _self_issued(each) for each in path[1:])
        if permitted is not None and between > permitted:
            return f"{issuer.subject} permits {permitted} CA certificates below it, there are {between}"
        bounds = limits(issuer.der)
        # Self-issued certificates (a CA's change of keys) are left out, but for the one that the chain is for.
        for each in path if bounds.count else ():
            leaf = each is path[0]
            if not leaf and _self_issued(each):
                continue
            self._count_names(each)
            below = constrained_names(each, leaf=leaf)
            self._comparisons += bounds.count * len(below)
            if self._comparisons > COMPARISONS:
                raise _TooMuch(f"more than {COMPARISONS} names had to be compared with name constraints")
            forbidden = why_forbidden(bounds, below)
            if forbidden:
                return f"{issuer.subject} {forbidden} of {each.subject}"
        return ""

    def _count_names(self, certificate: Certificate) -> None:
        self._names += names_at_most(certificate)
        if self._names > NAMES:
            raise _TooMuch(f"more than {NAMES} names are under name constraints")

    def _gap(self, reached: list[Certificate]) -> Chain:
        """Where the way upward ends without a root: the farthest such place, as the chain is whole up to there."""
        ends = [each for each in reached if not self._issuers.get(each.fingerprint)]
        if not ends:
            return self._broken("the issuers sign each other in a circle, and none of them is a root")
        top = ends[-1]
        if top.fingerprint not in self._issuers:
            return self._broken(f"there is no root within {LONGEST} issuers")
        if signs_itself(top):
            return self._broken(f"the root {top.subject} is not in the trust-store", missing=top.subject)
        candidates = self._of_its_issuers_name(top)
        objections = [f"{each.subject} {self._objection(top, each)}" for each in candidates]
        telling = [text for text in objections if not text.endswith(_OTHER_KEY)] or objections
        problem = f"{telling[0]}; it is the issuer of" if telling else f"{top.issuer} is missing, the issuer of"
        return self._broken(f"{problem} {top.subject}", missing=top.issuer)

    def _broken(self, text: str, *, missing: str = "") -> Chain:
        return Chain(certificate=self._certificate, reason="chain_incomplete", text=text, missing=missing)


_OTHER_KEY = "has another key than the one that signed"


def _own_flaw(certificate: Certificate, wall: int) -> Chain | None:
    """What is wrong with the certificate itself, whoever issued it."""
    state = certificate.validity(wall)
    if state != "valid":
        return Chain(certificate=certificate, reason=state, text=_when(certificate, state))
    extension = standing(certificate.der).not_understood
    if extension:
        return Chain(
            certificate=certificate,
            reason="format",
            text=f"a critical extension is not understood ({extension})",
        )
    return None


def _why_not_now(issuer: Certificate, wall: int) -> str:
    state = issuer.validity(wall)
    return "" if state == "valid" else f"is {state.replace('_', ' ')} ({_when(issuer, state)})"


def _why_not_understood(issuer: Certificate) -> str:
    extension = standing(issuer.der).not_understood
    return f"has a critical extension that is not understood ({extension})" if extension else ""


def _when(certificate: Certificate, state: Literal["expired", "not_yet_valid"]) -> str:
    if state == "expired":
        return f"not after {rfc3339(certificate.not_after)}"
    return f"not before {rfc3339(certificate.not_before)}"


def _self_issued(certificate: Certificate) -> bool:
    subject, issuer = named(certificate.der)
    return subject == issuer
