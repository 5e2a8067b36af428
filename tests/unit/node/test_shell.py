"""The shell of a node: one event at a time, commands in order, and when it is idle."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import pytest

from ucmlab.broker.bus import BusCounters
from ucmlab.cluster.faults.failpoints import Point
from ucmlab.cluster.faults.hazards import Trap
from ucmlab.node import commands as c
from ucmlab.node import events as e
from ucmlab.node.clock import ClockSetting, LabClock
from ucmlab.node.commands import AnyCommand, Command, Record, Reply
from ucmlab.node.events import AnyEvent, Event
from ucmlab.node.instant import Instant
from ucmlab.node.loaded import NOTHING
from ucmlab.node.shell import NodeShell
from ucmlab.node.status import NodeStatus

STARTED = e.Started(e.DiskImage())
STEPPED = ClockSetting(stepped=True, lab=1000, machine=0, speed=1.0, wall_zero=0)


class Played:
    """Core, disk, keys, journal, bus and lab at once: says what the test says, remembers what happened in one list."""

    def __init__(self, *answers: tuple[AnyEvent, list[AnyCommand]]) -> None:
        self.answers = answers
        self.happened: list[object] = []
        self.failing: set[str] = set()
        self.unanswered = 0
        self.stalled = False
        self.before_turn: Callable[[], None] = lambda: None
        self.changes = asyncio.Event()
        self.closed = asyncio.Event()

    # Core.

    def handle(self, event: AnyEvent, now: Instant) -> list[AnyCommand]:
        self.happened.append((event, now.lab))
        return next((commands for known, commands in self.answers if known == event), [])

    def status(self) -> NodeStatus:
        raise NotImplementedError

    # Disk, keys and journal.

    def perform(self, command: Command, now: Instant | None = None) -> Event | None:
        self.happened.append(command)
        if type(command).__name__ in self.failing:
            raise OSError("disk full")
        match command:
            case c.SyncDisk(token=token):
                return e.DiskSynced(token)
            case c.MakeAuthz(generation=generation) if now is not None:
                return e.AuthzMade(generation)
        return None

    def write(self, record: Record, now: Instant) -> None:
        self.happened.append((record, now.lab))

    # Bus.

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self.happened.append(c.Publish(topic, payload, retain))

    def subscribe(self, filters: Iterable[str]) -> None:
        self.happened.append(c.Subscribe(tuple(filters)))

    def stall(self, *, stalled: bool) -> None:
        self.stalled = stalled

    def prod(self) -> None:
        self.happened.append("prod")

    def counters(self) -> BusCounters:
        return BusCounters(True, 1, 0, self.unanswered, 0, False)

    async def run(self) -> None:
        await self.closed.wait()

    async def close(self, patience: float) -> None:
        self.happened.append(f"closed after {patience}")
        self.closed.set()

    # Lab.

    def replied(self, reply: Reply) -> None:
        self.happened.append(reply)

    def changed(self) -> None:
        self.changes.set()

    def drain(self) -> None:
        self.before_turn()


class Keys:
    """The key ring, told apart from the disk."""

    def __init__(self, played: Played) -> None:
        self._played = played

    def perform(self, command: Command, now: Instant) -> Event:
        answer = self._played.perform(command, now)
        assert answer is not None
        return answer


class Others:
    """Whoever a node asks; answers when the test says so."""

    def __init__(self) -> None:
        self.asked: dict[str, Callable[[AnyEvent], None]] = {}
        self._runs = False
        self._closed = asyncio.Event()

    @property
    def open(self) -> int:
        return len(self.asked)

    async def run(self) -> None:
        self._runs = True
        await self._closed.wait()

    def begin(self, command: c.Exchange, answer: Callable[[AnyEvent], None]) -> None:
        assert self._runs, "before that nothing can be begun"
        self.asked[command.token] = answer

    def give_up(self, token: str) -> None:
        del self.asked[token]

    def close(self) -> None:
        self._closed.set()


class Doors:
    """Listeners that note what they are told."""

    def __init__(self, played: Played) -> None:
        self._played = played
        self._closed = asyncio.Event()

    async def run(self) -> None:
        await self._closed.wait()

    def take_up(self, command: c.TakeUp) -> None:
        self._played.happened.append(command)

    def lay_down(self, command: c.LayDown) -> None:
        self._played.happened.append(command)

    def admit(self, command: c.Admit) -> None:
        self._played.happened.append(command)

    def close(self) -> None:
        self._played.happened.append("doors closed")
        self._closed.set()


@asynccontextmanager
async def shell(played: Played, others: Others | None = None) -> AsyncIterator[NodeShell]:
    clock, others = LabClock(STEPPED), others or Others()
    shell = NodeShell(
        core=played,
        disk=played,
        keys=Keys(played),
        exchanges=others,
        doors=Doors(played),
        journal=played,
        clock=clock,
    )
    shell.attach(played, played)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(shell.run(STARTED), name="shell")
        yield shell
        shell.act(e.StopRequested())


async def idle(played: Played, shell: NodeShell) -> None:
    async with asyncio.timeout(10):
        while not (shell.pulse().idle and shell.pulse().turns):
            played.changes.clear()
            await played.changes.wait()


def events(played: Played) -> list[object]:
    return [what[0] for what in played.happened if isinstance(what, tuple) and isinstance(what[0], Event)]


async def test_commands_are_performed_in_order_and_answers_are_events_after_them() -> None:
    record = Record("r", "n", "", "", {})
    asked: list[AnyCommand] = [
        c.Publish("t", b"1"),
        record,
        c.SyncDisk("s", files=True),
        c.MakeAuthz(1),
        c.Publish("t", b"2"),
    ]
    played = Played((STARTED, asked))

    async with shell(played) as node:
        await idle(played, node)

    performed = [what for what in played.happened if isinstance(what, Command)]
    assert performed == [asked[0], *asked[2:]]
    assert played.happened.index((record, 1000)) == 2
    assert events(played) == [STARTED, e.DiskSynced("s"), e.AuthzMade(1), e.StopRequested()]


async def test_a_command_that_fails_is_told_and_what_followed_it_is_dropped() -> None:
    played = Played((STARTED, [c.RecordOrder("op"), c.Publish("t", b"dropped")]))
    played.failing = {"RecordOrder"}

    async with shell(played) as node:
        await idle(played, node)

    assert events(played)[1] == e.CommandFailed("RecordOrder", "op", "disk full")
    assert not [what for what in played.happened if isinstance(what, c.Publish)]


async def test_what_the_lab_said_is_taken_in_before_a_message_that_arrived_with_it() -> None:
    played = Played()
    async with shell(played) as node:
        await idle(played, node)
        played.before_turn = lambda: node.set_clock(ClockSetting(True, 5000, 0, 1.0, 0))
        node.message("t", b"caused by the lab at 5000")
        await idle(played, node)

    assert played.happened[1] == (e.MessageArrived("t", b"caused by the lab at 5000"), 5000)


async def test_timers_fire_when_the_lab_says_so_and_those_started_by_them_next_time() -> None:
    played = Played(
        (STARTED, [c.StartTimer("a", 10), c.StartTimer("b", 10), c.StartTimer("late", 500)]),
        (e.TimerFired("a"), [c.CancelTimer("b"), c.StartTimer("again", 0)]),
    )
    async with shell(played) as node:
        await idle(played, node)
        assert node.pulse().next_due == 1010
        node.set_clock(ClockSetting(True, 1010, 0, 1.0, 0))
        await idle(played, node)
        assert events(played) == [STARTED]

        node.fire()
        await idle(played, node)
        assert events(played) == [STARTED, e.TimerFired("a")]
        assert node.pulse().next_due == 1010
        node.fire()
        await idle(played, node)

    assert events(played) == [STARTED, e.TimerFired("a"), e.TimerFired("again"), e.StopRequested()]


async def test_the_pulse_counts_events_and_acts_and_knows_when_work_waits() -> None:
    played = Played((STARTED, [c.SyncDisk("s", files=True)]))
    async with shell(played) as node:
        assert not node.pulse().turns
        await idle(played, node)
        assert (node.pulse().turns, node.pulse().acted) == (2, 0)

        node.act(e.ReplicationSet(broken=True))
        assert not node.pulse().idle
        await idle(played, node)

        assert (node.pulse().turns, node.pulse().acted) == (3, 1)


async def test_a_stop_ends_the_bus_in_order_once_its_commands_are_performed() -> None:
    farewell = c.Publish("birth", b"stopped", retain=True)
    played = Played((e.StopRequested(), [farewell]))

    async with shell(played) as node:
        await idle(played, node)

    assert played.happened[-3:] == [farewell, "doors closed", "closed after 2.0"]


@pytest.fixture
def deaths(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    deaths: list[str] = []
    monkeypatch.setattr(NodeShell, "_die", lambda self: deaths.append("dead"))
    return deaths


async def test_an_armed_node_dies_after_the_command_and_before_the_next(deaths: list[str]) -> None:
    upload = e.ReplicationSet(broken=True)
    played = Played((upload, [c.RecordOrder("op"), c.Publish("t", b"never")]))
    async with shell(played) as node:
        await idle(played, node)
        node.endanger([Trap(Point(("RecordOrder",)), lambda: None)])
        node.act(upload)
        async with asyncio.timeout(10):
            while not deaths:  # noqa: ASYNC110  a process does not tell of its death
                await asyncio.sleep(0)
        assert played.happened[-1] == c.RecordOrder("op")
        assert not node.pulse().idle
        node._dying = False  # it lives on only here


async def test_a_node_armed_for_a_publish_dies_when_the_broker_has_it(deaths: list[str]) -> None:
    trigger = e.ReplicationSet(broken=True)
    played = Played((trigger, [c.Publish("t", b"last"), c.Publish("t", b"never")]))
    async with shell(played) as node:
        await idle(played, node)
        node.endanger([Trap(Point(("Publish",)), lambda: None)])
        played.unanswered = 1
        node.act(trigger)
        async with asyncio.timeout(10):
            while c.Publish("t", b"last") not in played.happened:  # noqa: ASYNC110  as above
                await asyncio.sleep(0)
        assert deaths == []

        played.unanswered = 0
        node.counted()

        assert deaths == ["dead"]
        assert c.Publish("t", b"never") not in played.happened
        node._dying = False  # it lives on only here


async def test_an_exchange_is_open_until_it_is_answered_and_the_list_goes_on_without() -> None:
    played = Played((STARTED, [c.Exchange("x"), c.Publish("t", b"after")]))
    others = Others()
    async with shell(played, others) as node:
        await idle(played, node)
        assert c.Publish("t", b"after") in played.happened
        assert node.pulse().asking == 1

        answer = others.asked.pop("x")
        answer(e.DiskSynced("x"))
        assert (node.pulse().asking, node.pulse().idle) == (0, False)
        await idle(played, node)
    assert events(played) == [STARTED, e.DiskSynced("x"), e.StopRequested()]


async def test_what_is_given_up_is_not_waited_for() -> None:
    played = Played((STARTED, [c.Exchange("x"), c.GiveUp("x")]))
    async with shell(played, Others()) as node:
        await idle(played, node)
        assert node.pulse().asking == 0


async def test_what_a_service_takes_up_and_lays_down_is_the_listeners_to_perform() -> None:
    wanted: list[AnyCommand] = [c.TakeUp("Cisco Tomcat", NOTHING), c.LayDown("Cisco Tomcat"), c.Admit("peer 1", True)]
    played = Played((STARTED, wanted))
    async with shell(played) as node:
        await idle(played, node)
    assert [each for each in played.happened if isinstance(each, Command)] == wanted
