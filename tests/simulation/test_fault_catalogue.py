"""Every row of the catalogue is performed in the simulation: felt, in the trace, and over when it is over."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.playbook import row as certificate
from ucmlab.broker.topics import Topics
from ucmlab.cluster.faults.bad_certificates import EXPECTED
from ucmlab.cluster.faults.catalogue import catalogue
from ucmlab.cluster.faults.failpoints import POINTS
from ucmlab.cluster.faults.ledger import Injected
from ucmlab.cluster.search.image import cluster_image
from ucmlab.cluster.sim.faults.performing import WAYS, SimFaults
from ucmlab.cluster.sim.personalities import PERSONALITIES
from ucmlab.cluster.sim.world import World
from ucmlab.node import commands as c
from ucmlab.node.events import AnyEvent, BusDisconnected, MessageArrived, OrderService, Upload
from ucmlab.node.following import ACK_AT_LEISURE
from ucmlab.node.instant import HOUR, MINUTE, SECOND

ROWS = [row for row in catalogue().values() if "sim" in row.where]
BROUGHT = [certificate(f"Root {number}") for number in range(6)]
TOMCAT = "Cisco Tomcat"
TOPICS = Topics(cluster_image(("pub", "sub1", "sub2")).configs[0].cluster)


class Trial:
    """A small cluster, at work while something is wrong with it."""

    def __init__(self) -> None:
        image = cluster_image(("pub", "sub1", "sub2"))
        self.world = World(image.configs, image.disks, seed=1, wall=image.wall, memo=dict(image.memo))
        self.faults = SimFaults(self.world)
        self.replies: dict[str, c.Reply] = {}
        self.world.on_reply = lambda node, reply: self.replies.__setitem__(reply.op_id, reply)
        self.heard: list[tuple[int, str, AnyEvent]] = []
        self.applied: dict[tuple[str, str], int] = {}
        self.world.on_step.append(lambda node, event, wanted: self.heard.append((self.world.now, node.name, event)))
        self.world.watch_performed(c.ApplyEntry, self._applied)
        self.world.broker.start()
        for name in self.world.nodes:
            self.world.start_node(name)
        self.world.run_until(MINUTE)
        self.offsets: set[int] = set()
        self.injected: Injected

    def _applied(self, node: object, command: c.ApplyEntry) -> None:
        self.applied.setdefault((getattr(node, "name", ""), command.op_id), self.world.now)

    def inject(self, name: str, target: str, given: dict[str, str]) -> None:
        self.injected = self.faults.inject(name, target, given)

    def work(self) -> None:
        """A day's work: uploads on the publisher and on sub1, and a service that is restarted."""
        self.began = self.world.now
        for number, each in enumerate(BROUGHT):
            node = self.world.nodes["sub1" if number == 5 else "pub"]
            self.world.deliver(node, Upload(f"op-{number}", "tomcat-trust", each.der))
            self.world.run_until(self.world.now + SECOND)
        self.world.deliver(self.world.nodes["sub1"], OrderService("op-service", "sub1", TOMCAT, "restart"))
        for _ in range(9):
            self.world.run_until(self.world.now + 10 * SECOND)
            self.offsets.add(self.world.nodes["sub1"].clock_offset)

    def recover(self) -> None:
        self.faults.end_all()
        for name, node in self.world.nodes.items():
            if node.life == "down":
                self.world.start_node(name)
        self.world.run_until(self.world.now + 65 * MINUTE)

    def life(self, name: str) -> str:
        return self.world.nodes[name].life

    def seq(self, name: str) -> int:
        return self.world.nodes[name].disk.replica().seq

    def has(self, name: str, number: int) -> bool:
        return BROUGHT[number].fingerprint in {each.fingerprint for each in self.world.nodes[name].disk.replica().rows}

    def files(self, name: str) -> int:
        return len(self.world.nodes[name].disk.files)

    def alarms(self, name: str) -> list[object]:
        return [
            line.record.fields["alarm"]
            for line in self.world.journal
            if self._of(name, line.node, line.record, "alarm")
        ]

    def refused(self, name: str) -> list[object]:
        lines = self.world.journal
        return [line.record.fields["reason"] for line in lines if self._of(name, line.node, line.record, "bus_refused")]

    @staticmethod
    def _of(name: str, node: str, record: c.Record, wanted: str) -> bool:
        return node == name and record.name == wanted

    def late(self, name: str) -> bool:
        """Whether a node got the first upload only after a while."""
        return self.applied[name, "op-0"] > self.began

    def topics(self, name: str) -> list[str]:
        return [event.topic for at, node, event in self.heard if node == name and isinstance(event, MessageArrived)]

    def pending(self, name: str) -> set[str]:
        """Services that hold another identity than the disk."""
        core = self.world.nodes[name].core
        assert core is not None
        found = core.services.status().items()
        return {name for name, each in found if any(not unit.endswith("-trust") for unit in each.pending)}

    def service(self) -> str:
        core = self.world.nodes["sub1"].core
        assert core is not None
        return core.services.states()[TOMCAT]


@dataclass(frozen=True)
class Felt:
    """How a row is tried on sub1 (or whom it befalls), and how its effect is seen from outside."""

    seen: Callable[[Trial], bool]
    given: dict[str, str] = field(default_factory=dict[str, str])
    target: str = "sub1"
    first: bool = False
    """Whether the work is done before the fault, which shows at once."""
    before: Callable[[Trial], None] = lambda trial: None
    """What happens between fault and work."""


def die_and_live(trial: Trial) -> None:
    trial.world.kill_node("sub1")
    trial.world.start_node("sub1")
    trial.mark = trial.world.now  # type: ignore[attr-defined]


def told_a_late_will(trial: Trial) -> bool:
    late = [
        at
        for at, node, event in trial.heard
        if node == "pub" and isinstance(event, MessageArrived) and event.topic.endswith("sub1/birth")
    ]
    core = trial.world.nodes["pub"].core
    assert core is not None
    return late[-1] >= trial.began + 29 * SECOND and core._births["sub1"].state == "up"  # type: ignore[attr-defined]


HEALTHY: list[list[str]] = []


def healthy_topics() -> list[str]:
    if not HEALTHY:
        trial = Trial()
        trial.work()
        HEALTHY.append(trial.topics("sub1"))
    return HEALTHY[0]


def lacks(number: int = 0, name: str = "sub1") -> Callable[[Trial], bool]:
    return lambda trial: not trial.has(name, number)


def is_down(name: str = "sub1") -> Callable[[Trial], bool]:
    return lambda trial: trial.life(name) == "down"


FELT: dict[str, Felt] = {
    "latency": Felt(lambda trial: trial.late("sub1") and not trial.late("sub2")),
    "stall": Felt(lacks(), {"way": "down"}),
    "drip": Felt(lambda trial: trial.late("sub1"), {"every": "1s"}),
    "reset": Felt(
        lambda trial: any(node == "sub1" and isinstance(event, BusDisconnected) for _, node, event in trial.heard)
    ),
    "half-open": Felt(lambda trial: not trial.has("sub1", 0) and not trial.has("pub", 5)),
    "lose": Felt(lacks()),
    "duplicate": Felt(lambda trial: "repeated" in trial.refused("sub1") and not trial.refused("sub2")),
    "reorder": Felt(lambda trial: trial.topics("sub1") != healthy_topics() and trial.has("sub1", 0)),
    "partition": Felt(lacks(), target="pub,sub2 / sub1"),
    "isolate": Felt(lacks()),
    "swizzle": Felt(lambda trial: trial.late("sub1"), {"every": "3s"}, target="sub1,sub2"),
    "broker-kill": Felt(lacks(), target="broker"),
    "personality": Felt(
        lambda trial: "repeated" in trial.refused("sub1") and "repeated" in trial.refused("sub2"),
        {"kind": "duplicate-qos1"},
        target="broker",
    ),
    "broker-slow": Felt(lambda trial: trial.late("sub1") and trial.late("sub2"), {"each": "20ms"}, target="broker"),
    "broker-refuses": Felt(lacks(5, "pub")),
    "queue-overflow": Felt(lambda trial: lacks()(trial) and trial.injected.uses > 3),
    "late-will": Felt(told_a_late_will, before=die_and_live),
    "kill": Felt(is_down()),
    "stop": Felt(is_down()),
    "pause": Felt(lambda trial: trial.life("sub1") == "paused" and not trial.has("sub1", 0)),
    "slow": Felt(lambda trial: trial.late("sub1")),
    "restore-backup": Felt(lambda trial: trial.seq("sub1") < trial.seq("sub2"), {"of": "installation"}, first=True),
    "empty-disk": Felt(lambda trial: trial.seq("sub1") == 0 and not trial.files("sub1"), first=True),
    "clone": Felt(lambda trial: "duplicate_node" in trial.alarms("sub1")),
    "replication": Felt(lambda trial: not trial.has("sub1", 0) and trial.has("pub", 5)),
    "power-cut": Felt(is_down()),
    "torn": Felt(is_down()),
    "disk-full": Felt(
        lambda trial: (
            trial.life("sub1") == "down" and "command_failed" in trial.alarms("sub1") and not trial.has("sub1", 0)
        )
    ),
    "permission-denied": Felt(
        lambda trial: "command_failed" in trial.alarms("sub1") and trial.replies["op-5"].outcome != "done"
    ),
    "bit-flip": Felt(lambda trial: trial.files("sub1") == trial.files("sub2") - 1, first=True),
    "file-gone": Felt(lambda trial: trial.files("sub1") == trial.files("sub2") - 1, first=True),
    "clock": Felt(lambda trial: trial.offsets == {48 * HOUR}),
    "drift": Felt(lambda trial: len(trial.offsets) > 1, {"rate": "1.5"}),
    "wander": Felt(lambda trial: len(trial.offsets) > 3, {"period": "4m"}),
    "bad-upload": Felt(lambda trial: trial.replies["fault-1"].reason == "expired"),
    "renew": Felt(
        # Of what loads it, Tomcat is restarted in the course of the work.
        lambda trial: bool(trial.pending("sub1")) and TOMCAT not in trial.pending("sub1") and not trial.pending("sub2"),
    ),
    "service-start-fails": Felt(
        lambda trial: (trial.service(), trial.replies["op-service"].reason) == ("stopped", "service_failed")
    ),
    "service-hangs": Felt(lambda trial: trial.service() == "starting" and "op-service" not in trial.replies),
    "service-slow": Felt(lambda trial: trial.service() == "starting" and "op-service" not in trial.replies),
    "service-crashes": Felt(lambda trial: trial.service() == "stopped" and "service_crashed" in trial.alarms("sub1")),
    "certcn-stopped": Felt(lambda trial: trial.files("sub1") < trial.files("sub2")),
    "delete-while-down": Felt(
        lambda trial: trial.life("sub1") == "down" and trial.replies["fault-1"].outcome == "done"
    ),
    "delete-and-reupload": Felt(lambda trial: {trial.replies[f"fault-{n}"].outcome for n in (1, 2)} == {"done"}),
    "two-operators": Felt(lambda trial: len([op_id for op_id in trial.replies if op_id.startswith("fault-")]) == 3),
    "delete-in-use": Felt(lambda trial: trial.replies["fault-1"].outcome == "done"),
    "failpoint": Felt(is_down("pub"), target="pub"),
    "restore-publisher": Felt(
        lambda trial: trial.seq("pub") < trial.seq("sub1"), {"of": "installation"}, target="pub", first=True
    ),
    "second-publisher": Felt(
        lambda trial: trial.life("pub") == "down" and "duplicate_node" in trial.alarms("pub"), target="pub"
    ),
    "forge": Felt(lambda trial: "signature" in trial.refused("sub1")),
    "usurp": Felt(lambda trial: "sender" in trial.refused("sub1")),
    "replay": Felt(lambda trial: "repeated" in trial.refused("sub1")),
    "lower-epoch": Felt(lambda trial: "epoch" in trial.refused("sub1")),
    "fork": Felt(lambda trial: "log_fork" in trial.alarms("sub1")),
    "revoked": Felt(lambda trial: "signature" in trial.refused("pub")),
}


def test_every_row_that_names_the_simulation_is_performed_by_it() -> None:
    assert set(WAYS) == {row.name for row in ROWS} == set(FELT)


def test_the_words_of_the_rows_are_those_of_the_tables_behind_them() -> None:
    assert catalogue()["failpoint"].parameters["at"].words == tuple(POINTS)
    assert catalogue()["personality"].parameters["kind"].words == tuple(PERSONALITIES)
    assert catalogue()["bad-upload"].parameters["kind"].words == tuple(EXPECTED)


@pytest.mark.rule("S17")
@pytest.mark.parametrize("name", [row.name for row in ROWS])
def test_a_fault_is_felt_is_in_the_trace_and_is_over_when_it_is_over(name: str) -> None:
    tried, trial = FELT[name], Trial()
    if tried.first:
        trial.work()
    trial.inject(name, tried.target, tried.given)
    tried.before(trial)
    if not tried.first:
        trial.work()
    assert tried.seen(trial)
    assert trial.injected.felt
    phases = [
        line.record.fields["phase"]
        for line in trial.world.journal
        if (line.node, line.record.name, line.record.fields.get("fault")) == ("lab", "fault", name)
    ]
    assert phases[0] == "injected"
    trial.recover()
    assert converged(trial) == dict.fromkeys(trial.world.nodes, ())


@pytest.mark.rule("S2")
@pytest.mark.parametrize(("what", "topic"), [("snapshot", TOPICS.answer("sub1", "catchup")), ("head", TOPICS.head())])
def test_the_oldest_snapshot_and_head_are_said_again_where_they_belong_and_change_nothing(
    what: str, topic: str
) -> None:
    trial = Trial()
    trial.work()
    seq, before = trial.seq("sub1"), len(trial.topics("sub1"))
    trial.inject("replay", "sub1", {"what": what})
    trial.world.run_until(trial.world.now + SECOND)
    assert trial.topics("sub1")[before] == topic
    assert trial.seq("sub1") == seq
    trial.recover()
    assert converged(trial) == dict.fromkeys(trial.world.nodes, ())


def converged(trial: Trial) -> dict[str, tuple[str, ...]]:
    """What still differs from the publisher, by node."""
    nodes = trial.world.nodes
    first = nodes["pub"].core
    assert first is not None
    wrong: dict[str, tuple[str, ...]] = {}
    for name, node in nodes.items():
        core = node.core
        assert core is not None, f"{name} is down"
        there = {
            "position": core.replica.position == first.replica.position,
            "rows": core.replica.digest() == first.replica.digest(),
            "files": core.change_notification.agrees() and core.change_notification.running,
            "operations": not core.open_operations(),
        }
        wrong[name] = tuple(what for what, right in there.items() if not right)
    return wrong


@pytest.mark.parametrize("kind", EXPECTED)
def test_a_bad_upload_is_refused_with_its_reason_or_taken(kind: str) -> None:
    trial = Trial()
    trial.inject("bad-upload", "sub1", {"kind": kind})
    trial.world.run_until(trial.world.now + MINUTE)
    reply = trial.replies["fault-1"]
    assert (reply.outcome, reply.reason) == (("refused", EXPECTED[kind]) if EXPECTED[kind] else ("done", ""))


@pytest.mark.parametrize("at", POINTS)
def test_a_process_dies_at_its_failpoint_and_nowhere_else(at: str) -> None:
    trial = Trial()
    performed: list[str] = []
    pub = trial.world.nodes["pub"]
    trial.inject("failpoint", "pub", {"at": at})
    trial.world.on_step.append(lambda node, event, wanted: performed.append(node.name))
    trial.work()
    trial.world.run_until(trial.world.now + ACK_AT_LEISURE)  # before, nothing need be on the disk for sure
    reached = {"before_snapshot", "after_snapshot", "after_refusal", "before_epoch", "after_epoch", "after_order"}
    assert (pub.life == "down") == (at not in reached)
    assert trial.injected.felt == (at not in reached)
    trial.recover()
    assert converged(trial) == dict.fromkeys(trial.world.nodes, ())


def test_a_fault_with_a_count_ends_after_its_last_use() -> None:
    trial = Trial()
    trial.faults.inject("lose", "sub1", {}, count=1)
    trial.work()
    assert trial.has("sub1", 0)
    assert trial.faults.ledger.facts() == ()
    assert trial.world.nodes["sub1"].wire is None


def test_a_start_fails_as_often_as_was_said() -> None:
    trial = Trial()
    trial.faults.inject("service-start-fails", "sub1", {}, count=1)
    trial.work()
    trial.world.deliver(trial.world.nodes["sub1"], OrderService("again", "sub1", TOMCAT, "start"))
    assert (trial.replies["again"].outcome, trial.service()) == ("done", "started")


def test_a_healthy_link_has_no_wire() -> None:
    trial = Trial()
    trial.inject("latency", "sub1", {})
    trial.work()
    trial.faults.end("latency", "sub1")
    trial.world.run_until(trial.world.now + SECOND)
    bus = trial.world.nodes["sub1"].bus
    assert bus is not None
    assert (bus.hears, bus.sends) == (bus.gets, bus.send)
