"""Who is trusted in a TLS handshake: the decision, as OpenSSL makes it (R-004..R-006, R-070, C-52).

A pure function over what an end presents and what the other demands. `judge` says what `ssl` says with the contexts of
`cluster.tls_contexts`, and judges the dates besides; a differential test holds the two together. Rules:

- OpenSSL judges without dates (NO_CHECK_TIME), as it knows no clock but the machine's; dates are judged here, at the
  verifier's own wall clock, in both shells by the same function, `date_verdict`.
- So there are two ways: the one that is taken whatever the dates, which must be good but for them; and the one that is
  taken at that instant, as OpenSSL prefers issuers that are valid, which must be good altogether. They differ only
  where several certificates may be an issuer: an older CA that was renewed with its key does no harm. (An OpenSSL that
  checked dates itself would forgive a crooked certificate on the first way that is expired; we do not.)
- The checks come in OpenSSL's order, so the first reason is the same.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from ucmlab.node.chains import COMPARISONS
from ucmlab.node.errors import Refusal
from ucmlab.node.handshake_paths import Path, Seen, find_path, see, store_of
from ucmlab.node.handshake_reasons import EKU_MISSING, Reason, Usage, of_code, reasons, text_of
from ucmlab.node.host_names import is_for
from ucmlab.node.instant import rfc3339
from ucmlab.node.issuing import public_key, signed_with
from ucmlab.node.name_constraints import constrained_names, limits, names_at_most, why_forbidden


class Shown(msgspec.Struct, frozen=True):
    """What an end presents."""

    chain: tuple[bytes, ...] = ()
    """DER, its own certificate first; empty, it presents none."""


class Standard(msgspec.Struct, frozen=True, kw_only=True):
    """What the other end demands."""

    trusted: tuple[bytes, ...]
    """DER of what it trusts, in the order in which it was loaded: it decides among issuers that look the same."""
    usage: Usage
    """The role of the end that is verified."""
    name: str = ""
    """Host name (ASCII) or IP address for which the certificate must be; empty, any will do."""
    wall: int
    """Microseconds since 1970 UTC, by the verifier's own clock."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    reason: Reason = ""
    """Empty: trusted."""
    detail: str = ""
    """Which certificate it is about, or what is missing."""
    path: tuple[str, ...] = ()
    """Fingerprints of the chain that was found, own certificate first; as far as it goes where no root was reached."""

    @property
    def trusted(self) -> bool:
        """Whether the handshake goes on."""
        return not self.reason

    @property
    def text(self) -> str:
        """The reason for people."""
        return text_of(self.reason, self.detail)


def judge(shown: Shown, standard: Standard) -> Verdict:
    """Decide a handshake: without dates, then with them."""
    undated = undated_verdict(shown, standard)
    return date_verdict(shown, standard) if undated.trusted else undated


def undated_verdict(shown: Shown, standard: Standard) -> Verdict:
    """What OpenSSL says whose time check is off."""
    return _verdict(shown, standard, None)


def date_verdict(shown: Shown, standard: Standard) -> Verdict:
    """What must be asked besides when OpenSSL, whose time check is off, has found no fault."""
    return _verdict(shown, standard, standard.wall)


def refused_verdict(code: int, shown: Shown | None, standard: Standard) -> Verdict:
    """What to tell of a handshake that OpenSSL ended with a verify code.

    Args:
        code: OpenSSL's, from `ssl.SSLCertVerificationError`.
        shown: what the peer presented; None, nobody knows.
        standard: what OpenSSL was given as well.
    """
    if shown is not None:
        verdict = undated_verdict(shown, standard)
        if not verdict.trusted and code in reasons()[verdict.reason].openssl:
            return verdict
    # OpenSSL has the last word, were it for a reason that is not known here.
    return Verdict(reason=of_code(code, standard.usage), detail=f"OpenSSL's verify code is {code}")


def sent(own: tuple[bytes, ...], trusted: tuple[bytes, ...]) -> Shown:
    """What an end presents that was given a certificate with its issuers, and trusts these.

    To a certificate alone OpenSSL adds the issuers that it finds in the same end's trust store, up to the root.
    """
    if len(own) != 1:
        return Shown(own)
    path = find_path([see(own[0])], store_of(trusted), None)
    return Shown((own[0], *(each.certificate.der for each in path.chain[1:])))


class _Fault(NamedTuple):
    reason: Reason
    detail: str


class _Case(NamedTuple):
    """What the checks look at."""

    path: Path
    standard: Standard
    wall: int | None

    @property
    def chain(self) -> tuple[Seen, ...]:
        return self.path.chain


def _verdict(shown: Shown, standard: Standard, wall: int | None) -> Verdict:
    if not shown.chain:
        return Verdict(reason="no_certificate")
    try:
        presented = [see(der) for der in shown.chain]
    except Refusal as refusal:
        return Verdict(reason="malformed", detail=refusal.text)
    case = _Case(find_path(presented, store_of(standard.trusted), wall), standard, wall)
    fault = next((fault for check in _CHECKS for fault in check(case)), _Fault("", ""))
    fingerprints = tuple(each.certificate.fingerprint for each in case.chain)
    return Verdict(reason=fault.reason, detail=fault.detail, path=fingerprints)


def _own_key(case: _Case) -> Iterator[_Fault]:
    if case.chain[0].weak_key:
        yield _Fault("weak_key", case.chain[0].name)


def _way(case: _Case) -> Iterator[_Fault]:
    if case.path.trusted:
        return
    top = case.chain[-1]
    if case.path.too_long:
        yield _Fault("chain_too_long", f"there is no root within {len(case.chain)} certificates")
    if top.self_signed:
        yield _Fault("unknown_ca", f"{top.name} is not held")
    yield _Fault("unknown_ca", f"the issuer of {top.name} is missing")


def _extensions(case: _Case) -> Iterator[_Fault]:
    """What each certificate says of itself, from the leaf upward."""
    below = 0
    for depth, each in enumerate(case.chain):
        if each.critical:
            yield _Fault("critical_extension", f"{each.critical} of {each.name}")
        if depth:
            yield from _no_issuer(case, depth)
        if each.curve_spelt_out and len(case.chain) > 1:
            yield _Fault("explicit_curve", each.name)
        yield from _purpose(each, case.standard.usage, leaf=not depth)
        # The first issuer has nothing but the leaf below it, which is not counted.
        if depth > 1 and each.told.path_length is not None and below > each.told.path_length:
            yield _Fault("path_length", f"{each.name} permits {each.told.path_length}, there are {below}")
        below += bool(depth) and not each.self_issued


def _no_issuer(case: _Case, depth: int) -> Iterator[_Fault]:
    each, last = case.chain[depth], depth == len(case.chain) - 1
    if each.why_no_ca:
        yield _Fault(each.why_no_ca, each.name)
    if not last and not each.plainly_ca:
        yield _Fault("not_a_ca", each.name)


def _purpose(each: Seen, usage: Usage, *, leaf: bool) -> Iterator[_Fault]:
    """Extended key usages bind CAs too; what a key may be used for, its holder alone, as CAs were asked above."""
    if each.extended is not None and not each.extended & _EXTENDED[usage]:
        yield _Fault(EKU_MISSING[usage], each.name)
    if leaf and each.usages is not None and not each.usages & _USAGES[usage]:
        yield _Fault("key_usage", each.name)


_EXTENDED: dict[Usage, frozenset[x509.ObjectIdentifier]] = {
    "server": frozenset(
        {
            ExtendedKeyUsageOID.SERVER_AUTH,
            x509.ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),  # Microsoft's and Netscape's "server gated cryptography"
            x509.ObjectIdentifier("2.16.840.1.113730.4.1"),
        }
    ),
    "client": frozenset({ExtendedKeyUsageOID.CLIENT_AUTH}),
}
"""One of them must be there, if any is; anyExtendedKeyUsage does not stand for it."""
_USAGES: dict[Usage, frozenset[str]] = {
    "server": frozenset({"digitalSignature", "keyEncipherment", "keyAgreement"}),
    "client": frozenset({"digitalSignature", "keyAgreement"}),
}


def _strength(case: _Case) -> Iterator[_Fault]:
    """Security level 1: keys of issuers, and all signatures but that of the root, which nobody checks."""
    for depth, each in enumerate(case.chain):
        if depth and each.weak_key:
            yield _Fault("weak_key", each.name)
        if depth < len(case.chain) - 1 and each.weak_signature:
            yield _Fault("weak_signature", each.name)


def _name(case: _Case) -> Iterator[_Fault]:
    wanted, leaf = case.standard.name, case.chain[0].certificate
    if wanted and not is_for(leaf, wanted):
        yield _Fault("name_mismatch", f"{leaf.subject} is not for {wanted}")


def _signatures_and_dates(case: _Case) -> Iterator[_Fault]:
    """From the root downward, of each certificate first the signature, then the dates."""
    issuer: Seen | None = None
    for each in reversed(case.chain):
        if issuer is not None and not signed_with(each.certificate, public_key(issuer.certificate)):
            yield _Fault("bad_signature", f"that of {each.name} is not of {issuer.name}")
        if case.wall is not None:
            yield from _dates(each, case.wall)
        issuer = each


def _dates(each: Seen, wall: int) -> Iterator[_Fault]:
    certificate = each.certificate
    match certificate.validity(wall):
        case "expired":
            yield _Fault("expired", f"{each.name}, not after {rfc3339(certificate.not_after)}")
        case "not_yet_valid":
            yield _Fault("not_yet_valid", f"{each.name}, not before {rfc3339(certificate.not_before)}")
        case "valid":
            return


def _constraints(case: _Case) -> Iterator[_Fault]:
    """From the root downward, each certificate by the constraints of all above it, the root's own among them."""
    comparisons = 0
    for depth in range(len(case.chain) - 1, -1, -1):
        each = case.chain[depth]
        if depth and each.self_issued:
            continue
        for above in reversed(case.chain[depth + 1 :]):
            bounds = limits(above.certificate.der)
            comparisons += bounds.count and bounds.count * names_at_most(each.certificate)
            if comparisons > COMPARISONS:
                yield _Fault("name_constraint", f"{above.name} has limits for more names than are compared")
            forbidden = bounds.count and why_forbidden(bounds, constrained_names(each.certificate, leaf=not depth))
            if forbidden:
                yield _Fault("name_constraint", f"{above.name} {forbidden} of {each.name}")


_CHECKS: tuple[Callable[[_Case], Iterator[_Fault]], ...] = (
    _own_key,
    _way,
    _extensions,
    _strength,
    _name,
    _signatures_and_dates,
    _constraints,
)
