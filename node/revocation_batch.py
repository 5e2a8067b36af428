"""Many questions, a few at a time: what a check of all certificates or links asks, without filling the line."""

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial

import msgspec

from ucmlab.node.certificates import Certificate
from ucmlab.node.revocation import Revocation, Verdict


class Question(msgspec.Struct, frozen=True):
    """One of them; `issuer` is empty where nobody knows it."""

    certificate: Certificate
    issuer: bytes
    reason: str


class Batch:
    """Questions that are asked one behind the other."""

    def __init__(
        self,
        revocation: Revocation,
        *,
        at_once: int,
        heard: Callable[[Question, Verdict], None],
        over: Callable[[], None],
    ) -> None:
        """`heard` is told of each answer, `over` when there is none to come."""
        self._revocation = revocation
        self._at_once = at_once
        self._heard = heard
        self._over = over
        self._left: deque[Question] = deque()
        self._asking = 0
        self._feeding = False

    def begin(self, questions: Iterable[Question]) -> None:
        """Ask them all. To be called once."""
        self._left.extend(questions)
        self._feed()

    def _feed(self) -> None:
        if self._feeding:
            return  # answered on the spot: the loop below goes on
        self._feeding = True
        while self._left and self._asking < self._at_once:
            question = self._left.popleft()
            self._asking += 1
            self._revocation.ask(
                question.certificate.der,
                question.issuer,
                reason=question.reason,
                done=partial(self._answered, question),
            )
        self._feeding = False
        if not (self._left or self._asking):
            self._over()

    def _answered(self, question: Question, verdict: Verdict) -> None:
        self._asking -= 1
        self._heard(question, verdict)
        self._feed()
