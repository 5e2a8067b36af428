"""The asyncio shell of one node: gives the core its events one at a time and performs what it asks for.

What must live here: the order of performing (the contract at the head of `ucmlab.node.commands`), and when the node is
idle. What this file must not know: what any event means. An `if` about trust, replication or services found here is in
the wrong place. Where frames, sockets and processes come from is the lab's business (`ucmlab.cluster`).
"""

import asyncio
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol, cast

import msgspec

from ucmlab.broker.bus import Bus
from ucmlab.node.clock import ClockSetting, LabClock
from ucmlab.node.commands import (
    FILE_COMMANDS,
    Admit,
    AnyCommand,
    CancelTimer,
    Command,
    DropCsr,
    Exchange,
    GiveUp,
    Halt,
    InstallIdentity,
    LayDown,
    MakeAuthz,
    MakeCsr,
    MakeIdentity,
    OpenKeys,
    OpenShared,
    Publish,
    Record,
    Reply,
    ReuseIdentity,
    SealKeys,
    SealShared,
    StartTimer,
    Subscribe,
    TakeUp,
)
from ucmlab.node.events import (
    AnyEvent,
    BusConnected,
    BusDisconnected,
    CommandFailed,
    Event,
    MessageArrived,
    StopRequested,
    TakenOver,
    TimerFired,
)
from ucmlab.node.instant import Instant
from ucmlab.node.status import NodeStatus
from ucmlab.node.timers import Timers

STOP_PATIENCE_S = 2.0
"""Machine time for the broker to acknowledge the last words of a node that stops or dies."""
EVENTS_A_TURN = 32
"""Events handled before the loop looks at its sockets again."""


class Core(Protocol):
    """The state machine: `NodeCore` or `PublisherCore`."""

    def handle(self, event: AnyEvent, now: Instant) -> list[AnyCommand]:
        """Take one event, say what is to be done."""
        ...

    def status(self) -> NodeStatus:
        """Tell how things are."""
        ...


class Disk(Protocol):
    """Performs disk commands; see `ucmlab.node.disk.NodeDisk`."""

    def perform(self, command: Command) -> Event | None:
        """Perform one command, completely; OSError when it cannot be."""
        ...


class Keys(Protocol):
    """Performs the commands that concern private keys."""

    def perform(self, command: Command, now: Instant) -> Event:
        """Perform one command, completely; OSError when it cannot be."""
        ...


class Exchanges(Protocol):
    """Performs what takes others' time; see `Exchange`."""

    @property
    def open(self) -> int:
        """Exchanges that were begun and neither answered nor given up."""
        ...

    async def run(self) -> None:
        """Serve until `close`."""
        ...

    def begin(self, command: Exchange, answer: Callable[[AnyEvent], None]) -> None:
        """Begin one; `answer` is called once, later, unless it is given up."""
        ...

    def give_up(self, token: str) -> None:
        """Forget one; nothing happens if it was answered already."""
        ...

    def close(self) -> None:
        """Give all up; nothing can be begun any more."""
        ...


class Doors(Protocol):
    """The listeners of the node's services; see `TakeUp`."""

    async def run(self) -> None:
        """Serve until `close`."""
        ...

    def take_up(self, command: TakeUp) -> None:
        """A service started, or renewed what it had loaded."""
        ...

    def lay_down(self, command: LayDown) -> None:
        """A service stops."""
        ...

    def admit(self, command: Admit) -> None:
        """Let a client in, or not."""
        ...

    def close(self) -> None:
        """Close everything."""
        ...


class Journal(Protocol):
    """Keeps facts."""

    def write(self, record: Record, now: Instant) -> None:
        """Keep one."""
        ...


class Hazard(Protocol):
    """A fault that lies in wait among the node's commands."""

    def before(self, command: AnyCommand) -> bool:
        """A command is about to be performed: True kills the process first; OSError has the command fail."""
        ...

    def after(self, command: AnyCommand) -> bool:
        """A command was performed: True kills the process."""
        ...


class Pulse(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Counts that tell whether anything of this node is in flight; all of them only grow on one connection."""

    idle: bool
    """No event waits and no command is being performed."""
    turns: int
    """Events handled."""
    acted: int
    """Acts of the lab taken in (`NodeShell.act`)."""
    connected: bool
    connection: int
    sent: int
    unanswered: int
    received: int
    duplicate: bool
    next_due: int | None
    asking: int = 0
    """Exchanges with others that were begun and not answered."""


class Observer(Protocol):
    """Who watches the node: the lab's control channel."""

    def replied(self, reply: Reply) -> None:
        """The core answered an operation."""
        ...

    def changed(self) -> None:
        """The pulse may have changed."""
        ...

    def drain(self) -> None:
        """Take in what the lab has said by now: it counts before any message that was caused by it."""
        ...


class NodeShell:
    """Runs one core. Also the listener of its bus."""

    def __init__(
        self,
        *,
        core: Core,
        disk: Disk,
        keys: Keys,
        exchanges: Exchanges,
        doors: Doors,
        journal: Journal,
        clock: LabClock,
    ) -> None:
        """`attach` must follow before `run`."""
        self._core = core
        self._disk = disk
        self._keys = keys
        self._exchanges = exchanges
        self._doors = doors
        self._journal = journal
        self._clock = clock
        self._timers = Timers()
        self._inbox: deque[AnyEvent] = deque()
        self._wake = asyncio.Event()
        self._stopped = asyncio.Event()
        self._ticker: asyncio.TimerHandle | None = None
        self._fire_mark: int | None = None
        self._performing = False
        self._perform: Callable[[AnyCommand, Instant], Event | None] = self._do
        self._hazards: tuple[Hazard, ...] = ()
        self._asides: dict[str, Callable[[], None]] = {}
        self._dying = False
        self._turns = 0
        self._acted = 0
        self._bus: Bus
        self._observer: Observer

    def attach(self, bus: Bus, observer: Observer) -> None:
        """Connect the shell with what hands it events and hears of its doings."""
        self._bus = bus
        self._observer = observer

    # What the lab does to the node.

    def act(self, event: AnyEvent | None = None) -> None:
        """An act of the lab: an event for the core, or (None) something already done to shell or bus."""
        self._acted += 1
        if event is not None:
            self._inbox.append(event)
        self._wake.set()

    def fire(self) -> None:
        """Stepped time: let every timer fire that is due now and runs already."""
        self._fire_mark = self._timers.mark
        self.act()

    def endanger(self, hazards: Iterable[Hazard]) -> None:
        """These lie in wait from now on, and no others; without any, nothing asks for them."""
        self._hazards = tuple(hazards)
        self._perform = self._do_in_danger if self._hazards else self._do

    def at(self, due: int, action: Callable[[], None]) -> None:
        """Have something that is not the core's done at a lab instant, as a timer that fires."""
        token = f"aside {len(self._asides)} {due} {self._timers.mark}"
        self._asides[token] = action
        self._timers.start(token, due)
        self._wake.set()

    def set_clock(self, setting: ClockSetting) -> None:
        """Run time differently."""
        self._clock.set(setting)
        self._wind()

    def pulse(self) -> Pulse:
        """The counts of now."""
        counters = self._bus.counters()
        return Pulse(
            idle=not (self._inbox or self._performing or self._fire_mark is not None or self._dying),
            turns=self._turns,
            acted=self._acted,
            connected=counters.connected,
            connection=counters.connection,
            sent=counters.sent,
            unanswered=counters.unanswered,
            received=counters.received,
            duplicate=counters.duplicate,
            next_due=self._timers.next_due(),
            asking=self._exchanges.open,
        )

    def status(self) -> NodeStatus:
        """How the core is."""
        return self._core.status()

    # What the bus tells the node.

    def connected(self) -> None:
        """See `BusListener`."""
        self._offer(BusConnected())

    def disconnected(self) -> None:
        """See `BusListener`."""
        self._offer(BusDisconnected())
        self.counted()

    def message(self, topic: str, payload: bytes) -> None:
        """See `BusListener`."""
        self._offer(MessageArrived(topic, payload))

    def duplicate(self) -> None:
        """See `BusListener`."""
        self._offer(TakenOver())
        self._observer.changed()

    def counted(self) -> None:
        """See `BusListener`."""
        if self._dying and self._bus.counters().unanswered == 0:
            self._die()
        self._observer.changed()

    # The turn.

    async def run(self, *first: AnyEvent) -> None:
        """Handle `first` and everything after it, until the core was told to stop; then end the bus in order."""
        async with asyncio.TaskGroup() as tasks:
            for event in first:
                self._offer(event)
            bus = tasks.create_task(self._bus.run(), name="node.bus")
            tasks.create_task(self._exchanges.run(), name="node.exchanges")
            tasks.create_task(self._doors.run(), name="node.doors")
            await asyncio.sleep(0)  # they have begun: the very first event may ask for an exchange
            await self._work()
            self._exchanges.close()
            self._doors.close()
            if self._bus.stalled:
                # Not even a farewell gets through a cut link: that the process ends is all that the bus may notice.
                os._exit(0)
            await self._bus.close(STOP_PATIENCE_S)
            await bus

    async def _work(self) -> None:
        while not self._stopped.is_set():
            await self._wake.wait()
            self._wake.clear()
            self._observer.drain()
            for _ in range(EVENTS_A_TURN):
                event = self._next()
                if event is None or self._dying:
                    break
                self._handle(event)
            else:
                self._wake.set()
                await asyncio.sleep(0)
            self._wind()
            self._observer.changed()

    def _next(self) -> AnyEvent | None:
        if self._inbox:
            return self._inbox.popleft()
        if self._clock.stepped and self._fire_mark is None:
            return None
        token = self._timers.pop_due(self._clock.lab(), self._fire_mark)
        if token is None:
            self._fire_mark = None
            return None
        aside = self._asides.pop(token, None) if self._asides else None
        if aside is None:
            return TimerFired(token)
        aside()
        return self._next()

    def _handle(self, event: AnyEvent) -> None:
        self._turns += 1
        self._performing = True
        now = self._clock.now()
        answers: list[AnyEvent] = []
        for command in self._core.handle(event, now):
            if not self._performed(command, now, answers):
                break
        if self._dying:
            return
        # What the disk said is true now: an upload handled in between would make a reading of the files stale.
        self._inbox.extendleft(reversed(answers))
        self._performing = False
        if isinstance(event, StopRequested):
            self._stopped.set()

    def _performed(self, command: AnyCommand, now: Instant, answers: list[AnyEvent]) -> bool:
        try:
            answer = self._perform(command, now)
        except OSError as error:
            name, op_id = type(command).__name__, getattr(command, "op_id", "")
            answers.append(CommandFailed(name, op_id, str(error)))
            return isinstance(command, FILE_COMMANDS) and not op_id
        if answer is not None:
            # Disk and keys say `Event`; what they answer with is always of the union.
            answers.append(cast("AnyEvent", answer))
        return True

    def _do_in_danger(self, command: AnyCommand, now: Instant) -> Event | None:
        answer: Event | None = None
        if self._dying:
            return None  # the rest of the list
        dies = any(hazard.before(command) for hazard in self._hazards)
        if not dies:
            answer = self._do(command, now)
            dies = any(hazard.after(command) for hazard in self._hazards)
        if dies:
            self._fall()
        return answer

    def _do(self, command: AnyCommand, now: Instant) -> Event | None:  # noqa: C901, PLR0912  one case a kind
        match command:
            case Publish(topic=topic, payload=payload, retain=retain):
                self._bus.publish(topic, payload, retain=retain)
            case StartTimer(token=token, delay=delay):
                self._timers.start(token, now.lab + delay)
            case CancelTimer(token=token):
                self._timers.cancel(token)
            case Record():
                self._journal.write(command, now)
            case Reply():
                self._observer.replied(command)
            case Halt():
                self._die()
            case Subscribe(filters=filters):
                self._bus.subscribe(filters)
            case MakeIdentity() | InstallIdentity() | ReuseIdentity() | MakeCsr() | DropCsr():
                return self._keys.perform(command, now)
            case SealShared() | OpenShared():
                return self._keys.perform(command, now)
            case MakeAuthz() | SealKeys() | OpenKeys():
                return self._keys.perform(command, now)
            case TakeUp():
                self._doors.take_up(command)
            case LayDown():
                self._doors.lay_down(command)
            case Admit():
                self._doors.admit(command)
            case Exchange():
                self._exchanges.begin(command, self.offer)
            case GiveUp(token=token):
                self._exchanges.give_up(token)
            case _:
                return self._disk.perform(command)
        return None

    def offer(self, event: AnyEvent) -> None:
        """Something happened outside of the node: an answer to an exchange, a client at a listener."""
        self._offer(event)
        self._observer.changed()

    def _offer(self, event: AnyEvent) -> None:
        self._inbox.append(event)
        self._wake.set()

    def _wind(self) -> None:
        # Flowing time: one timer of the loop, for the node's next due instant.
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None
        due = self._timers.next_due()
        if due is not None and not self._clock.stepped:
            delay = self._clock.machine_seconds(due)
            self._ticker = asyncio.get_running_loop().call_later(delay, self._wake.set)

    def _fall(self) -> None:
        # A publish counts as performed when the broker has it: only then is a death after it the same in every run.
        # What a suffering link holds is as good as lost.
        self._dying = True
        if self._bus.counters().unanswered == 0:
            self._die()
        else:
            asyncio.get_running_loop().call_later(STOP_PATIENCE_S, self._die)

    def _die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)
