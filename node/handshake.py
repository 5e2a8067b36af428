"""Who is trusted in a TLS handshake: the decision, as OpenSSL makes it (R-004..R-006, R-070, C-52).

A pure function over what an end presents and what the other demands. `judge` says what `ssl` says with the contexts of
`cluster.tls_contexts`, and judges the dates besides; a differential test holds the two together. Rules:

- OpenSSL judges without dates (NO_CHECK_TIME), as it knows no clock but the machine's; dates are judged here, at the
  verifier's own wall clock, in both shells by the same function, `date_verdict`.
- So there are two ways: the one that is taken whatever the dates, which must be good but for them; and the one that is
  taken at that instant, as OpenSSL prefers issuers that are valid, which must be good altogether. They differ only
  where several certificates may be an issuer: an older CA that was renewed with its key does no harm. (An OpenSSL that
  checked dates itself would forgive a crooked certificate on the first way that is expired; we do not.)
- The checks come in OpenSSL's order (`handshake_checks`), so the first reason is the same.
"""

import msgspec

from ucmlab.node.errors import Refusal
from ucmlab.node.handshake_certificates import see
from ucmlab.node.handshake_checks import Case, first_fault
from ucmlab.node.handshake_paths import find_path, store_of
from ucmlab.node.handshake_reasons import Reason, Usage, of_code, reasons, text_of


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


def is_weak(own: tuple[bytes, ...], trusted: tuple[bytes, ...]) -> bool:
    """Whether what an end presents is below the security level: OpenSSL would judge it so, and not present it either.

    The product's OpenSSL knows no such level and serves what it was given; those who connect judge for themselves.

    Args:
        own: DER of its certificate, and of issuers that it was given with it.
        trusted: DER of what it trusts; see `sent`.
    """
    try:
        chain = own if see(own[0]).self_signed else sent(own, trusted).chain
        seen = [see(der) for der in chain]
    except Refusal:
        return False  # nobody presents what he cannot read
    return any(each.weak_key or (each.weak_signature and not each.self_signed) for each in seen)


def _verdict(shown: Shown, standard: Standard, wall: int | None) -> Verdict:
    if not shown.chain:
        return Verdict(reason="no_certificate")
    try:
        presented = [see(der) for der in shown.chain]
    except Refusal as refusal:
        return Verdict(reason="malformed", detail=refusal.text)
    path = find_path(presented, store_of(standard.trusted), wall)
    fault = first_fault(Case(path, standard.usage, standard.name, wall))
    fingerprints = tuple(each.certificate.fingerprint for each in path.chain)
    return Verdict(reason=fault.reason, detail=fault.detail, path=fingerprints)
