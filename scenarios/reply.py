"""How an operation ended, in a story's hands."""

from collections.abc import Mapping
from typing import Literal, get_args

from ucmlab.node import commands
from ucmlab.scenarios.telling import Telling

Outcome = Literal["done", "refused", "partial", "indefinite"]


class Reply:
    """The answer to one operation."""

    def __init__(self, telling: Telling, what: str, reply: commands.Reply) -> None:
        self._telling = telling
        self._what = what
        self._reply = reply

    @property
    def outcome(self) -> str:
        """`done`, `refused`, `partial` or `indefinite`."""
        return self._reply.outcome

    @property
    def reason(self) -> str:
        """The reason word; empty when there is none."""
        return self._reply.reason

    @property
    def text(self) -> str:
        """What the operator reads."""
        return self._reply.text

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the operator is warned of."""
        return self._reply.warnings

    @property
    def nodes(self) -> Mapping[str, str]:
        """Per node, as known when the answer was given: `done`, `refused`, `unreachable`, `pending`."""
        return self._reply.nodes

    def must_be(self, outcome: Outcome, reason: str | None = None) -> None:
        """Judge the outcome, and the reason when one is named. Anything else ends the story.

        Raises:
            StoryOver: the operation ended otherwise.
            ValueError: there is no such outcome.
        """
        if outcome not in get_args(Outcome):
            raise ValueError(f"{outcome!r} is no outcome; there are {', '.join(get_args(Outcome))}")
        held = self.outcome == outcome and reason in (None, self.reason)
        expected = " ".join(filter(None, (outcome, reason)))
        seen = " ".join(filter(None, (self.outcome, self.reason)))
        more = f": {self.text}" if self.text and not held else ""
        self._telling.demand(
            f"{self._what} ends {expected}", held=held, expected=expected, seen=seen + more, evident=True
        )

    def __repr__(self) -> str:
        return f"<Reply {self._what}: {' '.join(filter(None, (self.outcome, self.reason)))}>"


class CsrReply(Reply):
    """The answer to a request for a certificate signing request."""

    def __init__(self, telling: Telling, what: str, reply: commands.Reply, pem: bytes | None) -> None:
        super().__init__(telling, what, reply)
        self._pem = pem

    @property
    def pem(self) -> bytes:
        """The request in PEM (R-027).

        Raises:
            LookupError: none was made.
        """
        if self._pem is None:
            raise LookupError(f"no request was made: {self}")
        return self._pem
