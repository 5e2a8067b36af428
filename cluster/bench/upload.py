"""Figure `upload`: from an answered upload to its file on all other nodes, as a multiple of moving the same bytes bare.

The lab is one of real processes in flowing time. Batches of uploads alternate with batches of the floor: the entries
that the lab has just published, the very bytes, go through the same broker process to as many bare clients, which write
and sync them. While one side works the other is idle.

Nobody watches while it is measured: 20 nodes take milliseconds, and whoever polled their folders meanwhile would take
the processor from them. Every node writes its journal line right after the command that puts the file in place, and
stamps it with CLOCK_MONOTONIC, which is one clock for the machine; lines and files are read afterwards.
(The files' own times would not do: the kernel stamps them with the last tick, up to 4 ms old.)
"""

import asyncio
import secrets
import subprocess
import sys
from collections import deque
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from itertools import cycle, islice
from pathlib import Path
from typing import TypeVar

import msgspec

from ucmlab.broker.access import AccessRule, make_account
from ucmlab.broker.topics import Topics
from ucmlab.cluster.bench.bare import Batch, Place
from ucmlab.cluster.bench.clusters import KeyStore, cluster_of
from ucmlab.cluster.bench.material import Certificate, make_certificates
from ucmlab.cluster.bench.measuring import (
    Aim,
    Figure,
    Say,
    bench_folder,
    cores,
    percentile,
    python_environment,
    spread,
)
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.keycache import users_keys
from ucmlab.cluster.labfile import write_json
from ucmlab.cluster.local import LocalLab
from ucmlab.cluster.provision import LabHome, provision
from ucmlab.cluster.spawning import ForkServerProcess
from ucmlab.cluster.stocking import stock_keys
from ucmlab.node.clock import machine_wall
from ucmlab.node.events import Upload
from ucmlab.node.instant import MINUTE

AIM_P50 = 1.5
AIM_P99 = 3.0
AIM_BULK = 0.5
UNIT = "tomcat-trust"
SIZE = 21
BATCH = 25
PACE_S = 0.35
"""Between two uploads: longer than acknowledgements (200 ms after an entry) and heads wait, so that each is alone."""
WARMING = 5
USER = "bench"
TOPIC = "bench/bytes"
CLIENT_TIMEOUT_S = 60.0
BULK_TIMEOUT_S = 120.0
_Answer = TypeVar("_Answer")


class Timings(msgspec.Struct):
    """Milliseconds of each upload, and of each round of the floor."""

    asked: list[float] = []
    """From the operator's act to the answer."""
    filed: list[float] = []
    """From the answer to the last file."""
    bare: list[float] = []


class _Line(msgspec.Struct, frozen=True):
    """What is read of a journal's line."""

    event: str
    machine_us: int
    operation_id: str = ""
    phase: str = ""
    unit: str = ""
    fingerprint: str = ""


def measure_upload(
    say: Say, *, uploads: int = 200, size: int = SIZE, batch: int = BATCH, pace: float = PACE_S
) -> Figure:
    """Upload so many certificates, one after the other, to a cluster of that size.

    Raises:
        Unusable: the lab did not start, or lost something.
    """
    with opened(say, "upload", size) as (lab, bench):
        return asyncio.run(_measure(lab, bench, uploads=uploads, batch=batch, pace=pace))


@contextmanager
def opened(say: Say, figure: str, size: int) -> Generator[tuple[LocalLab, "_Bench"]]:
    """A lab that is to be opened, whose broker also knows the bare clients; who opens it closes it."""
    with bench_folder() as folder, ExitStack() as until_opened:
        say(f"{figure}: starting {size} nodes")
        cluster = cluster_of(size)
        fork_server = ForkServerProcess(lab="bench", release=cluster.release, profile=cluster.profile)
        until_opened.callback(fork_server.close)
        cache = {"UCMLAB_CACHE": str(folder / "keys")}
        KeyStore(folder / "keys", cluster, cores())
        home = provision(folder / "lab", cluster, wall_start=machine_wall(), name="bench", keys=users_keys(cache))
        stock_keys(home, cache)
        password = _let_in(home)
        lab = LocalLab(home, fork_server, stepped=False)
        until_opened.pop_all()
        yield lab, _Bench(folder, lab, password, say)


def measure_bulk(say: Say, *, uploads: int = 500, size: int = SIZE, at_once: int = 20) -> Figure:
    """Upload so many certificates, `at_once` at a time, and let bare clients carry the same bytes.

    Raises:
        Unusable: the lab did not start, or lost something.
    """
    with opened(say, "bulk", size) as (lab, bench):
        return asyncio.run(_measure_bulk(lab, bench, uploads=uploads, at_once=at_once))


async def _measure(lab: LocalLab, bench: "_Bench", *, uploads: int, batch: int, pace: float) -> Figure:
    try:
        await lab.open()
        certificates = make_certificates(uploads + WARMING)
        await bench.upload(certificates[:WARMING], pace)
        timings = await bench.alternate(certificates[WARMING:], batch, pace)
        bench.check_files(certificates)
    finally:
        await lab.close()
    return _figure(timings, bench.sizes, nodes=len(lab.names))


async def _measure_bulk(lab: LocalLab, bench: "_Bench", *, uploads: int, at_once: int) -> Figure:
    try:
        await lab.open()
        certificates = make_certificates(uploads)
        seconds = await bench.upload_all(certificates, at_once)
        bench.check_files(certificates)
        floor, payload = await bench.carry_bare(uploads)
    finally:
        await lab.close()
    ratio = floor / seconds
    measured: dict[str, object] = {
        "nodes": len(lab.names),
        "uploads": uploads,
        "payload_bytes": payload,
        "seconds": round(seconds, 3),
        "bare_seconds": round(floor, 3),
        "uploads_a_second": round(uploads / seconds, 1),
        "times_bare": round(ratio, 2),
    }
    what = f"{uploads} uploads to {len(lab.names) - 1} nodes, throughput"
    return Figure("bulk", measured, (Aim(what, ratio, AIM_BULK, "times bare", at_most=False),))


class _Bench:
    """A lab and as many bare clients as it has nodes besides the publisher."""

    def __init__(self, folder: Path, lab: LocalLab, password: str, say: Say) -> None:
        self._folder = folder
        self._lab = lab
        self._password = password
        self._say = say
        self.sizes: list[int] = []

    async def alternate(self, certificates: Sequence[Certificate], batch: int, pace: float) -> Timings:
        """Uploads and floor by turns; times are gathered at the end."""
        timings = Timings()
        sent: list[int] = []
        async with self._bare_clients() as (sender, receivers):
            for first in range(0, len(certificates), batch):
                self._say(f"upload: {first} of {len(certificates)}")
                part = certificates[first : first + batch]
                await self.upload(part, pace)
                payloads = self._published()[-len(part) :]
                self.sizes += map(len, payloads)
                sent += await sender.ask(Batch(tuple(payloads), pace), list[int])
            filed = [await receiver.times(len(sent)) for receiver in receivers]
        last = [max(times) for times in zip(*filed, strict=True)]
        timings.bare = [(end - begin) / 1e6 for begin, end in zip(sent, last, strict=True)]
        self._read_journals(certificates, timings)
        return timings

    async def upload(self, certificates: Sequence[Certificate], pace: float) -> None:
        """Upload one after the other on the publisher."""
        for certificate in certificates:
            reply = await self._lab.operate(self._lab.names[0], Upload(certificate.fingerprint, UNIT, certificate.pem))
            if reply.outcome != "done":
                raise Unusable(f"an upload was {reply.outcome}: {reply.text}")
            await asyncio.sleep(pace)

    async def upload_all(self, certificates: Sequence[Certificate], at_once: int) -> float:
        """Upload all on the publisher; seconds from the first act to the last file of all nodes."""
        waiting = deque(certificates)

        async def operator() -> None:
            while waiting:
                await self.upload([waiting.popleft()], 0)

        self._say(f"bulk: {len(certificates)} uploads")
        async with asyncio.TaskGroup() as operators:
            for _ in range(at_once):
                operators.create_task(operator())
        async with asyncio.timeout(BULK_TIMEOUT_S):
            while not await self._lab.wait_until(self._lab.ready, MINUTE):
                pass
        lines = [_read(self._lab.home.logs / f"{name}.jsonl") for name in self._lab.names]
        wanted = {certificate.fingerprint for certificate in certificates}
        begun = min(line.machine_us for line in lines[0] if line.phase == "begun" and line.operation_id in wanted)
        filed = max(line.machine_us for each in lines for line in each if line.fingerprint in wanted)
        return (filed - begun) / 1e6

    async def carry_bare(self, number: int) -> tuple[float, int]:
        """Send what was published last to the bare clients; seconds from the first to the last file, bytes of each."""
        self._say("bulk: the same bytes, bare")
        async with self._bare_clients() as (sender, receivers):
            # A lab in flowing time keeps a thousand messages of all kinds: fewer entries than these are sent again.
            payloads = tuple(islice(cycle(self._published()[-number:]), number))
            sent = await sender.ask(Batch(payloads, 0), list[int])
            filed = [await receiver.times(number) for receiver in receivers]
        return (max(map(max, filed)) - min(sent)) / 1e9, sum(map(len, payloads)) // number

    def check_files(self, certificates: Sequence[Certificate]) -> None:
        """Every node must hold every file, byte for byte what was uploaded."""
        wanted = {certificate.der for certificate in certificates}
        for name in self._lab.names:
            missing = wanted - {file.der for file in self._lab.view(name).files if file.unit == UNIT}
            if missing:
                raise Unusable(f"{name} lacks {len(missing)} of {len(wanted)} files")

    def _read_journals(self, certificates: Sequence[Certificate], timings: Timings) -> None:
        publisher, *others = (_read(self._lab.home.logs / f"{name}.jsonl") for name in self._lab.names)
        begun = {line.operation_id: line.machine_us for line in publisher if line.phase == "begun"}
        ended = {line.operation_id: line.machine_us for line in publisher if line.phase == "ended"}
        filed = [
            {line.fingerprint: line.machine_us for line in lines if line.event == "file_written" and line.unit == UNIT}
            for lines in others
        ]
        for certificate in certificates:
            own = certificate.fingerprint
            timings.asked.append((ended[own] - begun[own]) / 1e3)
            timings.filed.append((max(each[own] for each in filed) - ended[own]) / 1e3)

    def _published(self) -> list[bytes]:
        topic = Topics(self._lab.home.lab.cluster).log(UNIT)
        return [payload for _, payload in self._lab.messages(topic)]

    @asynccontextmanager
    async def _bare_clients(self) -> AsyncGenerator[tuple["_Bare", list["_Bare"]]]:
        receivers: list[_Bare] = []
        sender: _Bare | None = None
        try:
            for number in range(1, len(self._lab.names)):
                folder = self._folder / f"bare{number}"
                folder.mkdir()
                receivers.append(_Bare(self._place(f"bare{number}", folder), self._folder))
            sender = _Bare(self._place("bare", None), self._folder)
            for client in (*receivers, sender):
                await client.ready()
            yield sender, receivers
        finally:
            for client in receivers:
                client.close()
            if sender is not None:
                sender.close()

    def _place(self, client_id: str, folder: Path | None) -> Place:
        place = self._lab.roster.place
        return Place(place.host, place.port, client_id, USER, self._password, TOPIC, str(folder) if folder else None)


class _Bare:
    """One bare client's process."""

    def __init__(self, place: Place, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ucmlab.cluster.bench.bare"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=python_environment(folder),
        )
        self._say(place)

    async def ready(self) -> None:
        await self._hear(str)

    async def ask(self, batch: Batch, kind: type[_Answer]) -> _Answer:
        self._say(batch)
        return await self._hear(kind)

    async def times(self, number: int) -> list[int]:
        """When each of so many files was synced."""
        self._say(number)
        return await self._hear(list[int])

    def close(self) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):  # what it was not told any more
                assert pipe is not None  # noqa: S101  both are pipes
                pipe.close()
        self._process.wait()

    def _say(self, value: object) -> None:
        assert self._process.stdin is not None  # noqa: S101  it is a pipe
        self._process.stdin.write(msgspec.json.encode(value) + b"\n")
        self._process.stdin.flush()

    async def _hear(self, kind: type[_Answer]) -> _Answer:
        assert self._process.stdout is not None  # noqa: S101  it is a pipe
        # In a thread: the lab lives on this loop, and its nodes are not to wait for it.
        async with asyncio.timeout(CLIENT_TIMEOUT_S):
            line = await asyncio.to_thread(self._process.stdout.readline)
        if not line:
            raise Unusable("a bare client ended too early; it has said why above")
        return msgspec.json.decode(line, type=kind)


def _let_in(home: LabHome) -> str:
    """Give the bare clients an account on the lab's broker, and a topic that no node hears."""
    password = secrets.token_urlsafe(18)
    rules = [AccessRule("publish", TOPIC), AccessRule("subscribe", TOPIC), AccessRule("receive", TOPIC)]
    account = make_account(USER, password.encode(), salt=secrets.token_bytes(16), rules=rules)
    write_json(home.path / "bus" / "accounts.json", (*home.accounts(), account))
    return password


def _read(journal: Path) -> list[_Line]:
    wanted = (b'"operation"', b'"file_written"')
    with journal.open("rb") as lines:
        return [msgspec.json.decode(line, type=_Line) for line in lines if any(word in line for word in wanted)]


def _figure(timings: Timings, sizes: Sequence[int], *, nodes: int) -> Figure:
    def ratio(percent: float) -> float:
        return percentile(timings.filed, percent) / percentile(timings.bare, percent)

    measured: dict[str, object] = {
        "nodes": nodes,
        "uploads": len(timings.filed),
        "payload_bytes": sum(sizes) // max(1, len(sizes)),
        "answered_to_filed": spread(timings.filed),
        "bare": spread(timings.bare),
        "asked_to_answered": spread(timings.asked),
        "times_bare_p50": round(ratio(50), 2),
        "times_bare_p99": round(ratio(99), 2),
    }
    what = f"answered to filed on {nodes - 1} nodes"
    aims = (
        Aim(f"{what}, p50", ratio(50), AIM_P50, "times bare", at_most=True),
        Aim(f"{what}, p99", ratio(99), AIM_P99, "times bare", at_most=True),
    )
    return Figure("upload", measured, aims)
