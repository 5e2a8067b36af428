"""What a command of the command line has in hand: who asks, the node's desk, the terminal."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from ucmlab.cluster.admin.desk import Caller, Desk
from ucmlab.node.commands import Reply
from ucmlab.node.events import AnyOperation
from ucmlab.node.trust_rules import product_text

FAILED = "Executed command unsuccessfully"
"""Marks a command that failed; a client looks for it (W3.1)."""
_ASKED_AGAIN = 3


class Failed(Exception):
    """The command failed; `lines` say why."""

    def __init__(self, *lines: str) -> None:
        """With what is to be shown."""
        super().__init__("; ".join(lines))
        self.lines = lines


class Console(Protocol):
    """One session, as its commands see it."""

    desk: Desk
    caller: Caller

    @property
    def paged(self) -> bool:
        """Whether long output waits for a key."""
        ...

    @paged.setter
    def paged(self, paged: bool) -> None: ...

    def say(self, *lines: str) -> None:
        """Show lines."""
        ...

    async def ask(self, question: str) -> str:
        """Ask for a line."""
        ...

    async def paste(self) -> str:
        """Ask for several."""
        ...

    def leave(self) -> None:
        """End the session after this command."""
        ...


Perform = Callable[[Console, Mapping[str, str]], Awaitable[None]]
"""What a command does with what was typed; raises `Failed`."""


async def agrees(console: Console, question: str) -> bool:
    """Whether the answer to a question is yes; what is neither yes nor no is asked for again, a few times."""
    for _ in range(_ASKED_AGAIN):
        answer = (await console.ask(question)).strip().casefold()
        if answer in ("yes", "y"):
            return True
        if answer in ("no", "n"):
            break
    return False


async def operate(console: Console, operation: AnyOperation, **about: str) -> Reply:
    """Do an operation.

    Raises:
        Failed: it was not done.
    """
    return must_be_done(await console.desk.operate(operation, console.caller, **about))


def must_be_done(reply: Reply) -> Reply:
    """The reply.

    Raises:
        Failed: it tells of something that was not done.
    """
    if reply.outcome != "done":
        raise Failed(reply.text or reply.reason, *reply.warnings)
    return reply


def refused(console: Console, reason: str, unit: str = "", detail: str = "") -> Failed:
    """A refusal in the product's words, before anything was asked of the node."""
    return Failed(product_text(console.desk.rulebook, reason, unit, detail))
