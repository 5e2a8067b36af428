"""When a lab is quiet, and where time goes next: with processes that are played."""

import asyncio
from collections.abc import Callable, Iterable

import pytest
from msgspec.structs import replace

from ucmlab.broker.server import ClientCounters
from ucmlab.cluster.stepping import BrokerLife, Echoes, Evidence, Member, NeverQuiet, Stepper, agreed, is_calm
from ucmlab.node.shell import Pulse

CALM = Pulse(
    idle=True,
    turns=0,
    acted=0,
    connected=True,
    connection=1,
    sent=3,
    unanswered=0,
    received=2,
    duplicate=False,
    next_due=None,
)
AGREEING = ClientCounters(received_publishes=3, sent_publishes=2, unflushed=0, inflight=0, queued=0, dropped=0)


class PlayedNode:
    """A node that does what the test says when its timers fire."""

    def __init__(self, name: str, dues: list[int] | None = None) -> None:
        self.name = self.client_id = name
        self.asked = 0
        self.on_bus = True
        self.suffers = False
        self.held = 0
        self.dues = sorted(dues or [])
        self.fired: list[int] = []
        self.restless = False
        self.pulse: Pulse | None = None
        self.tell()

    def tell(self) -> None:
        due = self.dues[0] if self.dues else None
        self.pulse = replace(CALM, acted=self.asked, next_due=due, idle=not self.restless)


class PlayedLab:
    """Processes that answer at once."""

    def __init__(self, *nodes: PlayedNode) -> None:
        self.nodes = {node.name: node for node in nodes}
        self.changed = asyncio.Event()
        self.acts = 0
        self.broker: BrokerLife = "up"
        self.now = 0
        self.announced: list[int] = []
        self.probes = 0
        self.stillnesses: list[object] = [()]
        self.appointments: list[int] = []
        self.kept: list[tuple[int, int]] = []
        self.on_probe: Callable[[], None] = lambda: None
        self.counts: dict[str, ClientCounters] = dict.fromkeys(self.nodes, AGREEING)
        self.echoes: list[Echoes] | None = None
        """Of a broker that tells no counts: what each probe brings, the last one for ever."""

    def live(self) -> Iterable[PlayedNode]:
        return list(self.nodes.values())

    def gone(self) -> Iterable[str]:
        return ["dead"]

    def lab(self) -> int:
        return self.now

    def announce(self, lab: int) -> None:
        self.now = lab
        self.announced.append(lab)

    def fire(self, member: Member) -> None:
        node = self.nodes[member.name]
        node.asked += 1
        while node.dues and node.dues[0] <= self.now:
            node.fired.append(node.dues.pop(0))
        node.tell()
        self.changed.set()

    def next_due(self) -> int | None:
        return self.appointments[0] if self.appointments else None

    async def run_due(self) -> bool:
        due = [instant for instant in self.appointments if instant <= self.now]
        self.appointments = [instant for instant in self.appointments if instant > self.now]
        self.kept += [(instant, self.now) for instant in due]
        return bool(due)

    def stillness(self) -> object:
        return self.stillnesses.pop(0) if len(self.stillnesses) > 1 else self.stillnesses[0]

    async def probe(self) -> Evidence:
        self.probes += 1
        self.on_probe()
        if self.echoes is not None:
            return self.echoes.pop(0) if len(self.echoes) > 1 else self.echoes[0]
        return self.counts


def never() -> bool:
    return False


async def test_waiting_goes_from_timer_to_timer_and_ends_at_the_deadline() -> None:
    one, other = PlayedNode("one", [10, 30]), PlayedNode("other", [30, 99])
    lab = PlayedLab(one, other)

    assert not await Stepper(lab).until(never, 50)

    assert lab.announced == [10, 30, 50]
    assert (one.fired, other.fired) == ([10, 30], [30])


async def test_the_lab_keeps_its_own_appointments_before_timers_of_the_same_instant_fire() -> None:
    node = PlayedNode("one", [20])
    lab = PlayedLab(node)
    lab.appointments = [15, 20]
    order: list[str] = []
    lab.on_probe = lambda: order.append(f"{len(lab.kept)} kept, {len(node.fired)} fired")

    assert not await Stepper(lab).until(never, 50)

    assert lab.announced == [15, 20, 50]
    assert lab.kept == [(15, 15), (20, 20)]
    assert order.index("2 kept, 0 fired") < order.index("2 kept, 1 fired")


def test_an_exchange_is_in_flight_unless_the_lab_itself_holds_its_answer_back() -> None:
    node = PlayedNode("pub")
    node.pulse = replace(CALM, asking=1)
    assert not is_calm(node, broker="up")
    node.held = 1
    assert is_calm(node, broker="up")
    node.pulse = replace(CALM, asking=0)  # answered, and the server has not yet let go of it
    assert not is_calm(node, broker="up")


async def test_a_link_that_suffers_is_no_matter_of_counts_but_must_be_still() -> None:
    node = PlayedNode("one")
    lab = PlayedLab(node)
    node.suffers = True
    lab.counts = {}
    lab.stillnesses = [None, None, 1, 2, 2]  # bytes on their way, then some that moved during the question

    await Stepper(lab).settle()

    assert lab.probes == 4


async def test_without_counts_echoes_prove_that_nothing_is_in_flight() -> None:
    node = PlayedNode("one", [10])
    lab = PlayedLab(node)
    lab.echoes = [Echoes(noticed=True)]

    await Stepper(lab).until(never, 50)

    assert (lab.announced, node.fired) == ([10, 50], [10])


async def test_echoes_prove_nothing_before_the_broker_has_noticed_who_is_gone() -> None:
    lab = PlayedLab(PlayedNode("one"))
    lab.echoes = [Echoes(noticed=False), Echoes(noticed=False), Echoes(noticed=True)]

    await Stepper(lab).settle()

    assert lab.probes == 3


async def test_echoes_prove_nothing_when_a_node_has_done_something_meanwhile() -> None:
    node = PlayedNode("one")
    lab = PlayedLab(node)
    lab.echoes = [Echoes(noticed=True)]

    def receive() -> None:
        if lab.probes == 1:
            node.pulse = replace(CALM, received=3, turns=1)

    lab.on_probe = receive

    await Stepper(lab).settle()

    assert lab.probes == 2


async def test_a_timer_due_at_the_deadline_fires_before_waiting_ends() -> None:
    node = PlayedNode("one", [50])
    lab = PlayedLab(node)

    await Stepper(lab).until(never, 50)

    assert node.fired == [50]


async def test_time_stops_where_the_condition_holds() -> None:
    node = PlayedNode("one", [10, 20, 30])
    lab = PlayedLab(node)

    assert await Stepper(lab).until(lambda: 20 in node.fired, 1000)

    assert lab.now == 20


async def test_a_condition_that_holds_already_takes_no_time() -> None:
    lab = PlayedLab(PlayedNode("one", [10]))

    assert await Stepper(lab).until(lambda: True, 1000)

    assert lab.announced == []


async def test_two_who_wait_share_one_time_and_each_sees_every_step() -> None:
    node = PlayedNode("one", [10, 20, 30, 40])
    lab = PlayedLab(node)
    stepper = Stepper(lab)
    seen: list[int] = []

    async def early() -> None:
        await stepper.until(never, 15)
        seen.append(lab.now)
        await stepper.until(never, 25)
        seen.append(lab.now)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(early(), name="early")
        tasks.create_task(stepper.until(never, 40), name="late")

    assert seen == [15, 25]
    assert lab.announced == [10, 15, 20, 25, 30, 40]


async def test_what_others_do_between_two_steps_is_settled_before_time_moves() -> None:
    lab = PlayedLab(PlayedNode("one", [10]))
    stepper = Stepper(lab)
    when: list[int] = []

    async def acts_at_once() -> None:
        for _ in range(3):
            await stepper.settle()
            lab.acts += 1
            when.append(lab.now)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(acts_at_once(), name="acts")
        tasks.create_task(stepper.until(never, 10), name="waits")

    assert when[0] == 0


async def test_a_node_that_moves_between_push_and_answer_makes_another_round() -> None:
    node = PlayedNode("one")
    lab = PlayedLab(node)
    pulses = [replace(CALM, turns=1, sent=4), replace(CALM, turns=1, sent=4)]

    def move() -> None:
        if pulses:
            node.pulse = pulses.pop()
            lab.counts = {"one": AGREEING if pulses else replace(AGREEING, received_publishes=4)}

    lab.on_probe = move
    await Stepper(lab).settle()

    assert lab.probes == 2


async def test_timers_without_delay_that_never_end_are_told_as_a_fault() -> None:
    class Endless(PlayedNode):
        def tell(self) -> None:
            self.dues = [0]
            super().tell()

    with pytest.raises(NeverQuiet, match=r"^the lab does not become quiet; not calm: one$"):
        await Stepper(PlayedLab(Endless("one"))).settle()


async def test_watchers_look_after_every_settled_round_until_they_are_ended() -> None:
    lab = PlayedLab(PlayedNode("one", [10, 20]))
    stepper = Stepper(lab)
    seen: list[int] = []
    end = stepper.watch(lambda: seen.append(lab.now))

    await stepper.until(never, 20)
    end()
    await stepper.until(never, 30)

    assert seen == [0, 10, 20]


def member(pulse: Pulse | None, *, on_bus: bool = True, asked: int = 0) -> PlayedNode:
    node = PlayedNode("one")
    node.pulse, node.on_bus, node.asked = pulse, on_bus, asked
    return node


@pytest.mark.parametrize(
    ("node", "broker", "calm"),
    [
        (member(CALM), "up", True),
        (member(None), "up", False),
        (member(replace(CALM, idle=False)), "up", False),
        (member(CALM, asked=1), "up", False),
        (member(replace(CALM, unanswered=1)), "up", False),
        (member(replace(CALM, connected=False)), "up", False),
        (member(replace(CALM, connected=False, duplicate=True)), "up", True),
        (member(CALM), "down", False),
        (member(replace(CALM, connected=False)), "down", True),
        (member(replace(CALM, unanswered=1)), "paused", True),
        (member(CALM, on_bus=False), "down", True),
        (member(replace(CALM, connected=False), on_bus=False), "up", True),
    ],
)
def test_a_node_is_calm_when_it_waits_for_nothing_but_time(node: PlayedNode, broker: BrokerLife, calm: bool) -> None:  # noqa: FBT001  a table
    assert is_calm(node, broker=broker) is calm


@pytest.mark.parametrize(
    "counters",
    [
        replace(AGREEING, received_publishes=2),
        replace(AGREEING, sent_publishes=3),
        replace(AGREEING, inflight=1),
        replace(AGREEING, queued=1),
        replace(AGREEING, unflushed=1),
    ],
)
def test_anything_on_its_way_between_node_and_broker_is_no_agreement(counters: ClientCounters) -> None:
    assert not agreed({"one": counters}, live=[member(CALM)], gone=[])


def test_a_dead_client_that_the_broker_still_has_is_no_agreement() -> None:
    counts = {"one": AGREEING, "dead": AGREEING}

    assert not agreed(counts, live=[member(CALM)], gone=["dead"])
    assert agreed({"one": AGREEING, "observer": AGREEING}, live=[member(CALM)], gone=["dead"])


def test_a_stalled_node_has_no_say() -> None:
    assert agreed({"one": replace(AGREEING, queued=7)}, live=[member(CALM, on_bus=False)], gone=[])
