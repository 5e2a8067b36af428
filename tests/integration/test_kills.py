"""`kill -9` of any process during a load of uploads and deletes: what was answered `done` is there, no file is torn."""

import asyncio
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.integration.real_lab import (
    LISTED,
    Item,
    converge,
    disk_of,
    item,
    leftovers,
    make_home,
    opened,
    torn_certificates,
)
from tests.soak_sizes import KILLS
from ucmlab.cluster.local import BROKER, LocalLab
from ucmlab.cluster.provision import LabHome
from ucmlab.node.config import Policy
from ucmlab.node.disk import NodeDisk
from ucmlab.node.events import Delete, Upload
from ucmlab.node.instant import MINUTE, SECOND

WORKERS = 6
SPEED = 5
"""Lab seconds in one of the machine's: an operation that hangs on the dead is given up after 60 of them."""
RETRIES = 5
POINTS = (
    "AppendLog",
    "ApplyEntry",
    "WriteFile",
    "SettleFile",
    "RemoveFile",
    "Publish",
    "Reply",
    "Record",
    "SyncDisk",
    "RaiseFloor",
)
"""Commands after which a node is killed: each leaves another prefix of a list performed."""
STORED = 300
"""Certificates from which on more are deleted than uploaded."""
LEGIBLE = frozenset({"done", "partial", "refused", "indefinite"})


class Load:
    """Operators who upload and delete as fast as they are answered, and note every answer."""

    def __init__(self, lab: LocalLab, random: Random) -> None:
        self.over = False
        self.done: dict[str, Item] = {}
        """Operation id to what it uploaded, answered `done`."""
        self.deletes: dict[str, Item] = {}
        self.deletes_begun: set[tuple[str, str]] = set()
        self._held: dict[tuple[str, str], Item] = {}
        """Whatever was uploaded, by unit and fingerprint."""
        self.outcomes: Counter[str] = Counter()
        self._lab = lab
        self._random = random
        self._number = 0

    @property
    def answers(self) -> int:
        return self.outcomes.total()

    def kept(self) -> set[tuple[str, str]]:
        """What nobody ever asked to be deleted."""
        return self._held.keys() - self.deletes_begun

    async def work(self) -> None:
        while not self.over:
            node = self._random.choice(self._lab.names)
            deletable = sorted(self.kept())
            self._number += 1
            op_id = f"load-{self._number}"
            # Stores grow to some hundreds and stay there, as an operator's do, however long this goes on.
            share = 0.2 if len(deletable) < STORED else 0.6
            if len(deletable) > 5 and self._random.random() < share:
                await self._delete(node, op_id, self._random.choice(deletable))
            else:
                await self._upload(node, op_id, item(self._number, self._random.choice(LISTED)))

    async def _upload(self, node: str, op_id: str, wanted: Item) -> None:
        if await self._asked(node, Upload(op_id, wanted.unit, wanted.pem, "load")) == "done":
            self.done[op_id] = self._held[wanted.key] = wanted

    async def _delete(self, node: str, op_id: str, key: tuple[str, str]) -> None:
        wanted = self._held[key]
        self.deletes_begun.add(key)
        if await self._asked(node, Delete(op_id, *key)) == "done":
            self.deletes[op_id] = wanted

    async def _asked(self, node: str, operation: Upload | Delete) -> str:
        outcome = ""
        for _ in range(RETRIES):
            reply = await self._lab.operate(node, operation)
            outcome = reply.outcome
            assert outcome in LEGIBLE
            self.outcomes[outcome] += 1
            # The operator's part: asked again under the same id, once somebody is there to be asked.
            if outcome != "indefinite" or not await self._lab.wait_until(lambda: self._up(node), MINUTE):
                break
        return outcome

    def _up(self, node: str) -> bool:
        return self._lab.roster.nodes[node].alive


class Killer:
    """Kills one process after the other, at any moment or after a command of a name, and starts it again."""

    def __init__(self, lab: LocalLab, load: Load, random: Random) -> None:
        self._lab = lab
        self._load = load
        self._random = random
        self._next: list[str] = []
        self.killed: Counter[str] = Counter()

    async def kill_and_start(self) -> None:
        lab, random = self._lab, self._random
        # Everybody's turn comes, in an order of the seed's.
        self._next = self._next or random.sample([*lab.names, BROKER], k=len(lab.names) + 1)
        victim = self._next.pop()
        await self._answers(random.randrange(1, 12))
        for _ in range(random.randrange(200)):
            await asyncio.sleep(0)
        if victim == BROKER:
            await lab.kill_broker()
        elif random.random() < 0.5:
            await lab.kill_node(victim)
        else:
            await self._kill_at_a_point(victim)
        self.killed[victim] += 1
        check_disks(lab.home, self._load)
        # With this process dead it may be that nobody is answered before it is back: then all operators hang on it.
        await self._answered(random.randrange(8), SECOND)
        if victim == BROKER:
            await lab.start_broker()
        else:
            await lab.start_node(victim)
        await self._answers(1)
        check_disks(lab.home, self._load)

    async def _kill_at_a_point(self, victim: str) -> None:
        node = self._lab.roster.nodes[victim]
        await self._lab.kill_node(victim, at=self._random.choice(POINTS))
        begun = self._load.answers
        # Some commands are only ever the publisher's; a node that never performs its point dies all the same.
        await self._lab.wait_until(lambda: not node.alive or self._load.answers > begun + 40, MINUTE)
        await self._lab.kill_node(victim)

    async def _answers(self, number: int) -> None:
        assert await self._answered(number, 10 * MINUTE), "nobody is answered"

    async def _answered(self, number: int, within: int) -> bool:
        wanted = self._load.answers + number
        return await self._lab.wait_until(lambda: self._load.answers >= wanted, within)


def check_disks(home: LabHome, load: Load) -> None:
    """At every moment, with processes dead or at work: no certificate is torn, and the publisher's disk has all."""
    kept = load.kept()
    assert torn_certificates(home) == []
    rows = {row.key for row in disk_of(home, home.topology.publisher).rows}
    assert kept - rows - load.deletes_begun == set()


async def play(folder: Path, *, kills: int, seed: int, replication: Policy) -> dict[str, Counter[str]]:
    """Tell who was killed how often, and how operations ended."""
    random = Random(seed)
    home = make_home(folder, replication=replication)
    async with opened(home, stepped=False, speed=SPEED) as lab:
        load = Load(lab, random)
        killer = Killer(lab, load, random)
        async with asyncio.TaskGroup() as tasks:
            for number in range(WORKERS):
                tasks.create_task(load.work(), name=f"operator[{number}]")
            for _ in range(kills):
                await killer.kill_and_start()
            load.over = True
        await converge(lab)
        check_everybody(lab, load, replication)
    check_log(folder, home, load)
    return {"kills": killer.killed, "answers": load.outcomes}


def check_everybody(lab: LocalLab, load: Load, replication: Policy) -> None:
    assert load.done, "nothing was uploaded, so nothing was proved"
    kept = load.kept()
    gone = {deleted.key for deleted in load.deletes.values()} if replication == "modern" else set()
    for view in map(lab.view, lab.names):
        rows = {row.key for row in view.rows}
        files = {(file.unit, Item(file.unit, file.der).fingerprint) for file in view.files}
        assert (kept - rows, kept - files) == (set(), set()), view.name
        assert (gone & rows, gone & files) == (set(), set()), view.name
        assert disk_of(lab.home, view.name).unreadable == (), view.name
    assert torn_certificates(lab.home) == []
    assert leftovers(lab.home) == []
    assert lab.events("alarm") == []


def check_log(folder: Path, home: LabHome, load: Load) -> None:
    """Every operation that was answered `done` is known to the publisher's log as done, after all its restarts."""
    copy = folder / "copy"
    shutil.copytree(home.node_home("pub"), copy, symlinks=True)
    disk = NodeDisk(copy, home.topology.rulebook, publisher=True)
    image = disk.load().log
    disk.close()
    assert image.payloads or image.answers
    known = {op_id for op_id, outcome, _, _ in image.answers if outcome == "done"}
    missing = {op_id for op_id in (*load.done, *load.deletes) if op_id not in known}
    assert [op_id for op_id in missing if not any(op_id.encode() in payload for payload in image.payloads)] == []


@pytest.mark.slow
@pytest.mark.rule("S6", "S2", "L1")
@pytest.mark.parametrize("replication", [pytest.param("faithful", marks=pytest.mark.library), "modern"])
async def test_what_was_answered_done_survives_kills_of_any_process(tmp_path: Path, replication: Policy) -> None:
    await play(tmp_path, kills=4, seed=4, replication=replication)


@pytest.mark.library
@pytest.mark.slow
@pytest.mark.rule("L1")
async def test_nobody_falls_silent_however_often_the_broker_dies_under_load(tmp_path: Path) -> None:
    random = Random(7)
    async with opened(make_home(tmp_path), stepped=False, speed=SPEED) as lab:
        load = Load(lab, random)
        async with asyncio.TaskGroup() as tasks:
            for number in range(WORKERS):
                tasks.create_task(load.work(), name=f"operator[{number}]")
            for _ in range(6):
                before = len(load.done)
                # Well before an operation would be given up: a connection that died is made again, and used.
                assert await lab.wait_until(lambda known=before: len(load.done) > known + 3, 30 * SECOND)  # type: ignore[misc]
                for _ in range(random.randrange(200)):
                    await asyncio.sleep(0)
                await lab.kill_broker()
                await lab.start_broker()
            load.over = True
        await converge(lab)
        check_everybody(lab, load, "faithful")


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.rule("S6", "S2", "L1")
@pytest.mark.parametrize("replication", ["faithful", "modern"])
async def test_what_was_answered_done_survives_many_kills(
    tmp_path: Path, replication: Policy, record_property: Callable[[str, object], None]
) -> None:
    for name, counts in (await play(tmp_path, kills=KILLS, seed=50, replication=replication)).items():
        record_property(name, f"{counts.total():,} ({', '.join(f'{key} {count:,}' for key, count in counts.items())})")
