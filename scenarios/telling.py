"""One telling of one story in one lab: what was done, what was judged, and when.

What a story's author holds (`Lab`, `Node`, `Reply`) is a view of this. Nothing here decides how the cluster behaves;
everything that decides the verdict is here: a check that failed, an end that came early, a fault that never fired.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal, Protocol

import msgspec

from ucmlab.cluster.port import LabPort, Operation
from ucmlab.node import commands
from ucmlab.scenarios.names import Names

Verdict = Literal["held", "failed", "unknown"]


class CameUp(msgspec.Struct, frozen=True, tag=True):
    """A process of the lab has come up, before the story began."""

    name: str
    pid: int
    where: str
    at: int


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The lab is ready, and took so many seconds of machine time to be."""

    machine_seconds: float
    at: int


class Step(msgspec.Struct, frozen=True, tag=True):
    """A step began. `at` is a lab instant, as everywhere in this file."""

    title: str
    expect: str
    at: int


class Check(msgspec.Struct, frozen=True, tag=True):
    """Something was judged. `expected` and `seen` say more than the text where there is more to say."""

    text: str
    held: bool
    at: int
    expected: str = ""
    seen: str = ""
    evident: bool = False
    """Whether the line before says it already, when it held."""


class Outcome(msgspec.Struct, frozen=True, tag=True):
    """An operation ended."""

    node: str
    operation: str
    outcome: str
    reason: str
    at: int


Entry = CameUp | Ready | Step | Check | Outcome
Listener = Callable[[Entry, int], None]
"""Hears of each entry as it happens, and at which lab instant the story began."""


class StoryOver(Exception):  # no error: the story ends by a judgment
    """A judgment that ends the story failed; the failed check is recorded already."""


class Ended(StoryOver):
    """Whoever tells the story ended it before the step of this title: nothing was judged by that."""


class Stage(Protocol):
    """Where a story is told step by step to people."""

    def begin(self, port: LabPort) -> None:
        """The story begins now."""
        ...

    async def before_step(self, port: LabPort, title: str) -> None:
        """A step was announced; returns when it may begin.

        Raises:
            Ended: it is not to begin.
        """
        ...

    def after_step(self, port: LabPort, names: Names) -> None:
        """A step is over."""
        ...


@dataclass(slots=True)
class ArmedKill:
    """A death that waits for a node's next command of one name."""

    node: str
    at: str
    fired: bool | None = None
    """None while the node has neither died of it nor been ended by anything else."""


def _ignore(_entry: Entry, _began: int) -> None:
    """Listen to nothing."""


@dataclass(slots=True)
class Telling:
    """The state of one run of one story."""

    port: LabPort
    seed: int
    listener: Listener = _ignore
    stage: Stage | None = None
    entries: list[Entry] = field(default_factory=list[Entry])
    names: Names = field(default_factory=Names)
    roots: list[bytes] = field(default_factory=list[bytes])
    """The root CAs (DER) of the story: everybody outside the cluster trusts them."""
    armed: list[ArmedKill] = field(default_factory=list[ArmedKill])
    began: int = 0
    _operations: int = 0
    _outcomes: dict[int, Outcome] = field(default_factory=dict[int, Outcome])

    def __post_init__(self) -> None:
        """The story begins now, with the certificates of the installation."""
        self.began = self.port.now()
        self.observe()
        for node in self.port.names:
            self.names.installed(self.port.view(node))

    @property
    def checks(self) -> list[Check]:
        """What was judged, in that order."""
        return [entry for entry in self.entries if isinstance(entry, Check)]

    @property
    def outcomes(self) -> list[Outcome]:
        """How operations ended, in the order in which they were begun."""
        return [self._outcomes[number] for number in sorted(self._outcomes)]

    def introduce(self, processes: Iterable[CameUp], *, machine_seconds: float) -> None:
        """Tell which processes came up, if there are any."""
        came_up = [*processes]
        for each in came_up:
            self._record(each)
        if came_up:
            self._record(Ready(machine_seconds, self.port.now()))

    def observe(self) -> None:
        """Name the identity certificates that came up since the last look."""
        for node in self.port.names:
            self.names.identities(node, self.port.view(node).identities)

    async def begin_step(self, title: str, expect: str) -> None:
        """Say what comes next, and what a class should predict; on a stage, wait until it has.

        Raises:
            Ended: the story is to end here.
        """
        self._record(Step(title, expect, self.port.now()))
        if self.stage is not None:
            await self.stage.before_step(self.port, title)

    def end_step(self) -> None:
        """A step is over."""
        if self.stage is not None:
            self.observe()
            self.stage.after_step(self.port, self.names)

    def check(self, text: str, *, held: bool, expected: str = "", seen: str = "", at: int | None = None) -> None:
        """Record a judgment and go on."""
        self._record(Check(text, held, self.port.now() if at is None else at, expected, seen))

    def demand(self, text: str, *, held: bool, expected: str = "", seen: str = "", evident: bool = False) -> None:
        """Record a judgment; when it failed, the story is over.

        Raises:
            StoryOver: it failed.
        """
        self._record(Check(text, held, self.port.now(), expected, seen, evident))
        if not held:
            raise StoryOver(text)

    def operation_id(self) -> str:
        """The next operation's id; the same in every run of the same story."""
        self._operations += 1
        return f"story-{self._operations}"

    async def operate(self, node: str, operation: Operation, what: str) -> commands.Reply:
        """Do an operation and record how it ended."""
        return await self.ended(node, self.port.operate(node, operation), what)

    async def ended(self, node: str, doing: Awaitable[commands.Reply], what: str) -> commands.Reply:
        """Await what is being done under the last id, and record how it ended."""
        number = self._operations
        reply = await doing
        self.observe()
        outcome = Outcome(node, what, reply.outcome, reply.reason, self.port.now())
        self._outcomes[number] = outcome
        self._record(outcome)
        return reply

    def arm(self, node: str, at: str) -> None:
        """Remember that a death is armed."""
        self.armed.append(ArmedKill(node, at))

    def settle_deaths(self, node: str) -> None:
        """Something else is about to end or start this node: whether its armed deaths came is decided now."""
        died = self.port.view(node).state == "down"
        for kill in self.armed:
            if kill.node == node and kill.fired is None:
                kill.fired = died

    def never_fired(self) -> list[str]:
        """The faults that were declared and did not happen."""
        for node in self.port.names:
            self.settle_deaths(node)
        deaths = [f"{kill.node} was to die after its next {kill.at}" for kill in self.armed if not kill.fired]
        return deaths + self.port.unfired()

    def _record(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.listener(entry, self.began)
