"""Stepped lab time: it stands still while anything is in flight, and waiting moves it to the next due timer.

What must live here: when a lab is quiet, and where time goes next. What this file must not know: processes, sockets.

Why the look is exact and no guess. Nodes act only on what they are told: by the lab, the broker, or a timer that the
lab lets fire. A node pushes its pulse whenever it has become idle; when all pushed pulses look calm, every live node
and the broker is asked once more. If the answers equal the pushes, nothing happened at any node in between, so at the
moment of asking all were idle with these counts; and if the broker's counts agree with theirs (taken = sent, given =
received, nothing unacknowledged, queued or unflushed, no connection of somebody who is dead), nothing was on the way to
or from it either. Then nothing can happen any more until a timer fires.

A link that suffers (`ucmlab.cluster.chaos_proxy`) is left out of that: its two ends cannot agree. In place of their
counts `stillness` must be the same before and after the question.

An exchange with a server outside is in flight until it is answered, unless the lab's own server holds it back: then the
answer comes at an instant of lab time, like a timer of the lab.

A broker that is not ours tells no counts. There every node is asked for an echo in place of them, and the lab's own
observer as well; `ucmlab.cluster.carriers.observer` says why that proves the same.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, Protocol

import msgspec

from ucmlab.broker.server import ClientCounters
from ucmlab.node.shell import Pulse

POLL_S = 0.001
"""Machine time between looks while a message is on its way, or the broker has not yet seen a client die."""
PATIENCE_S = 60.0
"""Machine time after which a lab that does not become quiet is declared broken; making RSA keys takes a few."""
ROUNDS_AN_INSTANT = 1000
"""Times that timers may fire at one instant: more is a timer that starts itself again without delay."""
OTHERS_TURNS = 3
"""Turns of the loop that other tasks of a story get to act before time moves under them."""
Counts = Mapping[str, ClientCounters]


class Echoes(msgspec.Struct, frozen=True):
    """Every live node and the lab's observer have heard their echo; `noticed`: the broker knew before who is gone."""

    noticed: bool


Evidence = Counts | Echoes | None
"""What a probe brought of the broker; None: it is not up."""
BrokerLife = Literal["up", "paused", "down"]


class Member(Protocol):
    """A node as stepping sees it."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def client_id(self) -> str:
        """Its name at the broker."""
        ...

    @property
    def pulse(self) -> Pulse | None:
        """What it told last."""
        ...

    @property
    def asked(self) -> int:
        """How many acts it was given."""
        ...

    @property
    def on_bus(self) -> bool:
        """Whether it reaches the broker."""
        ...

    @property
    def suffers(self) -> bool:
        """Whether its link holds up what passes: that moves when it is due or a fault ends, and is not in flight."""
        ...

    @property
    def held(self) -> int:
        """How many of its exchanges somebody of the lab holds back until an instant that is on the lab's agenda."""
        ...


class Steppable(Protocol):
    """A lab whose time can be stepped."""

    @property
    def changed(self) -> asyncio.Event:
        """Set whenever something was heard of a process."""
        ...

    @property
    def acts(self) -> int:
        """How many acts the lab has done, of any kind."""
        ...

    @property
    def broker(self) -> BrokerLife:
        """How the broker is."""
        ...

    def live(self) -> Iterable[Member]:
        """The nodes that run and are not paused."""
        ...

    def gone(self) -> Iterable[str]:
        """Client ids of the nodes that do not run."""
        ...

    def stillness(self) -> object:
        """Something that is the same as long as nothing moves on links that suffer; None while something does."""
        ...

    async def probe(self) -> Evidence:
        """Ask every live node for its pulse, and the broker for its counts or everybody for an echo."""
        ...

    def lab(self) -> int:
        """Lab time."""
        ...

    def announce(self, lab: int) -> None:
        """Tell all live nodes what time it is, before any is told to act on it."""
        ...

    def fire(self, member: Member) -> None:
        """Let a node's due timers fire."""
        ...

    def next_due(self) -> int | None:
        """When the lab itself has something to do: a fault ends, bytes go on that a link holds."""
        ...

    async def run_due(self) -> bool:
        """Do what of that is due by now; whether there was anything."""
        ...


class NeverQuiet(Exception):
    """Something stays in flight, or happens again and again while time stands still: a bug, or a process that hangs."""

    def __init__(self, who: Iterable[str]) -> None:
        """Name who is not quiet."""
        super().__init__(f"the lab does not become quiet; not calm: {', '.join(who) or 'the broker'}")


class _Waiter:
    def __init__(self, deadline: int) -> None:
        self.deadline = deadline
        self.looked = -1
        """The step after which it last looked at its condition."""


class Stepper:
    """Moves the time of one lab on behalf of everybody who waits."""

    def __init__(self, lab: Steppable) -> None:
        """Nobody waits yet."""
        self._lab = lab
        self._turn = asyncio.Lock()
        self._waiters: list[_Waiter] = []
        self._steps = 0
        self._watchers: list[Callable[[], None]] = []

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call `watcher` after every settled round; returns what ends it."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    async def settle(self) -> None:
        """Wait until nothing is in flight.

        Raises:
            NeverQuiet: that does not come about.
        """
        async with self._turn:
            await self._settle()

    async def until(self, condition: Callable[[], bool], deadline: int) -> bool:
        """Let time pass until the condition holds, at most up to and including the instant `deadline`.

        Several tasks may wait at once: each looks at its own condition between any two steps.

        Returns:
            Whether it held, at a settled moment.

        Raises:
            NeverQuiet: the lab does not settle.
        """
        waiter = _Waiter(deadline)
        self._waiters.append(waiter)
        try:
            while True:
                async with self._turn:
                    await self._settle()
                    if condition():
                        return True
                    if self._lab.lab() >= deadline:
                        return False
                    waiter.looked = self._steps
                    self._step()
        finally:
            self._waiters.remove(waiter)

    def _step(self) -> None:
        if any(waiter.looked < self._steps for waiter in self._waiters):
            return  # somebody has not looked at this moment yet, and may want to act in it
        now = self._lab.lab()
        self._steps += 1
        dues = [due for member in self._lab.live() if (due := due_of(member)) is not None]
        own = self._lab.next_due()
        if own is not None:
            dues.append(own)
        deadlines = [waiter.deadline for waiter in self._waiters]
        self._lab.announce(min(instant for instant in (*deadlines, *dues) if instant > now))

    async def _settle(self) -> None:
        rounds = 0
        while True:
            await self._quiet()
            due = [member for member in self._lab.live() if self._is_due(member)]
            # What the lab does comes first: a fault that ends now is over for the timers of now.
            ran = await self._lab.run_due()
            for member in [] if ran else due:
                self._lab.fire(member)
            if due or ran:
                rounds += 1
                if rounds > ROUNDS_AN_INSTANT:
                    raise NeverQuiet(member.name for member in due)
                continue
            for watcher in list(self._watchers):
                watcher()
            acts = self._lab.acts
            for _ in range(OTHERS_TURNS):
                await asyncio.sleep(0)
            if self._lab.acts == acts:
                return

    async def _quiet(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await become_quiet(self._lab)
        except TimeoutError:
            lab = self._lab
            restless = [member.name for member in lab.live() if not is_calm(member, broker=lab.broker)]
            raise NeverQuiet(restless) from None

    def _is_due(self, member: Member) -> bool:
        due = due_of(member)
        return due is not None and due <= self._lab.lab()


async def become_quiet(lab: Steppable) -> None:
    """Return when nothing is in flight; see the head of this file."""
    while True:
        lab.changed.clear()
        # A node with something unanswered does not push its pulse; one whose link suffers may have that for hours.
        if all(member.suffers or is_calm(member, broker=lab.broker) for member in lab.live()):
            before = {member.name: member.pulse for member in lab.live()}
            stillness = lab.stillness()
            evidence = await lab.probe()
            after = {member.name: member.pulse for member in lab.live()}
            still = stillness is not None and stillness == lab.stillness()
            if still and before == after and _all_calm(lab) and _agreed(lab, evidence):
                return
            lab.changed.clear()
        try:
            async with asyncio.timeout(POLL_S):
                await lab.changed.wait()
        except TimeoutError:
            pass


def _all_calm(lab: Steppable) -> bool:
    return all(is_calm(member, broker=lab.broker) for member in lab.live())


def _agreed(lab: Steppable, evidence: Evidence) -> bool:
    if lab.broker != "up":
        return True
    if isinstance(evidence, Echoes):
        return evidence.noticed
    return evidence is not None and agreed(evidence, live=lab.live(), gone=lab.gone())


def due_of(member: Member) -> int | None:
    """When a node's next timer is due."""
    return member.pulse.next_due if member.pulse else None


def is_calm(member: Member, *, broker: BrokerLife) -> bool:
    """Whether a node, by its own account, has nothing to do and waits for nothing but time."""
    pulse = member.pulse
    if pulse is None or not pulse.idle or pulse.acted != member.asked or pulse.asking != member.held:
        return False
    if not member.on_bus or member.suffers or broker == "paused":
        return True  # what is held up moves only when the network heals, the broker goes on, or it is due
    if broker == "down":
        return not pulse.connected
    return pulse.duplicate or (pulse.connected and pulse.unanswered == 0)


def agreed(counts: Counts, *, live: Iterable[Member], gone: Iterable[str]) -> bool:
    """Whether the broker's counts say the same as the nodes', and it has noticed who is gone (client ids)."""
    return not any(client_id in counts for client_id in gone) and all(
        _same(counts.get(member.client_id), member.pulse) for member in live if member.on_bus and not member.suffers
    )


def _same(counters: ClientCounters | None, pulse: Pulse | None) -> bool:
    if pulse is None:
        return False
    if pulse.duplicate:
        return True
    return (
        counters is not None
        and counters.received_publishes == pulse.sent
        and counters.sent_publishes == pulse.received
        and not (counters.inflight or counters.queued or counters.unflushed)
    )
