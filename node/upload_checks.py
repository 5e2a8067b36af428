"""Uploads that wait until it is known how their certificates stand (R-159): the last check before the files (B.10).

An identity's upload asks about the leaf, one to a trust store about each certificate that is not there yet; whoever
signed itself is asked about by nobody. The verdict table of connections judges uploads too [ASSUMED].
"""

from collections.abc import Callable, Iterable
from functools import partial

import msgspec

from ucmlab.node.certificates import Certificate
from ucmlab.node.errors import Refusal
from ucmlab.node.events import Upload
from ucmlab.node.revocation import Revocation, Verdict

UPLOAD = "upload"
_REASONS = {"revoked": "revoked", "unknown": "revocation_unknown", "unreachable": "revocation_unavailable"}
"""Why an upload is refused, by status."""

Concluded = Callable[[Upload, Refusal | None, tuple[str, ...]], None]


class _Check:
    """One upload under way."""

    def __init__(self, request: Upload, waiting: int, concluded: Concluded) -> None:
        self.request = request
        self.concluded = concluded
        self.waiting = waiting
        self.refusal: Refusal | None = None
        self.warnings: list[str] = []


class ToBeChecked(msgspec.Struct, frozen=True):
    """What an upload brings: whom to ask about, and everything in it, among which their issuers may be."""

    certificates: tuple[Certificate, ...]
    brought: tuple[Certificate, ...]


class UploadChecks:
    """The uploads of one node that wait."""

    def __init__(self, revocation: Revocation) -> None:
        """None waits."""
        self._revocation = revocation
        self._open: dict[str, _Check] = {}

    @property
    def on(self) -> bool:
        """Whether uploads are checked at all."""
        return self._revocation.on

    def __contains__(self, op_id: str) -> bool:
        return op_id in self._open

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, request: Upload, wanted: ToBeChecked, concluded: Concluded) -> None:
        """Ask about all of them; each answer has its deadline, so the upload has.

        `concluded` is told: refused, or not and with which warnings; the upload's id is not open any more.
        """
        check = _Check(request, len(wanted.certificates), concluded)
        self._open[request.op_id] = check
        for certificate in wanted.certificates:
            issuer = self._revocation.issuer_of(certificate, wanted.brought)
            self._revocation.ask(
                certificate.der,
                issuer,
                reason=UPLOAD,
                done=partial(self._told, check, certificate),
            )

    def _told(self, check: _Check, certificate: Certificate, verdict: Verdict) -> None:
        check.waiting -= 1
        if not verdict.connects and check.refusal is None:
            check.refusal = Refusal(_REASONS[verdict.status], _detail(certificate, verdict))
        elif verdict.status == "unreachable":
            check.warnings.append(f"The revocation status could not be checked: {_detail(certificate, verdict)}")
        if not check.waiting:
            del self._open[check.request.op_id]
            check.concluded(check.request, check.refusal, tuple(check.warnings))


def _detail(certificate: Certificate, verdict: Verdict) -> str:
    parts: Iterable[str] = (certificate.subject, verdict.detail, verdict.text)
    return ", ".join(part for part in parts if part)
