"""One core, driven event by event: what it is told, and exactly what it wants done.

The core under test runs on a `SimDisk`, so a restart is a restart; the other members are voices made of sealed
messages. Time passes only in `wait`. Records and what alarms send are kept apart (`records`, `all`): a test that is not
about the journal compares what is to be *done*.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import TypeVar

from tests.unit.node.certificate_factory import START, certificate
from ucmlab.broker.codec import BusCodec
from ucmlab.broker.messages import (
    Answer,
    AnyMessage,
    Birth,
    CatchUp,
    Entries,
    Head,
    LogEntry,
    Proposal,
    Row,
    RowKey,
    Setting,
    Snapshot,
)
from ucmlab.broker.signing import KeyedHashSigner, KeyedHashVerifier
from ucmlab.broker.topics import Topics
from ucmlab.cluster.sim.disk import SimDisk
from ucmlab.cluster.sim.keyring import SimKeyRing
from ucmlab.node import commands as c
from ucmlab.node.certificates import parse
from ucmlab.node.config import Member, NodeConfig, Policy, Role, Timing
from ucmlab.node.core import NodeCore
from ucmlab.node.events import (
    AnyEvent,
    BusConnected,
    BusDisconnected,
    CommandFailed,
    Delete,
    DiskImage,
    DiskSynced,
    FileImage,
    FilesRead,
    LogImage,
    MessageArrived,
    ReplicaImage,
    Sent,
    Started,
    TimerFired,
    Upload,
)
from ucmlab.node.instant import SECOND, Instant, from_datetime
from ucmlab.node.log_hash import entry_hash
from ucmlab.node.replica import Replica
from ucmlab.node.rule_rows import Profile
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.settings import in_order
from ucmlab.publisher.core import PublisherCore

CLUSTER = "test"
SECRET = b"a secret of this test run"
NODES = ("pub", "sub1", "sub2")
WALL = from_datetime(START) + 30 * 24 * 3600 * SECOND
"""A month into the validity of the factory's certificates."""
ROLES: dict[str, Role] = {"pub": "pub", "sub": "sub", "tftp": "tftp", "imp": "imp"}

TOPICS = Topics(CLUSTER)
TIMERS = (c.StartTimer, c.CancelTimer)

AnyCommandT = TypeVar("AnyCommandT", bound=c.Command)
AnyMessageT = TypeVar("AnyMessageT")


def config(
    name: str = "sub1",
    *,
    nodes: Sequence[str] = NODES,
    replication: Policy = "faithful",
    timing: Timing = "instant",
    release: str = "14SU2",
    profile: Profile = "seed",
) -> NodeConfig:
    """What a node of this cluster is told."""
    members = tuple(Member(each, ROLES[each.rstrip("0123456789")]) for each in nodes)
    return NodeConfig(
        name=name,
        role=next(member.role for member in members if member.name == name),
        cluster=CLUSTER,
        domain="lab.test",
        release=release,
        profile=profile,
        replication=replication,
        timing=timing,
        seed=1,
        members=members,
    )


def codec(sender: str, *, boot: int = 1, cluster: str = CLUSTER, secret: bytes = SECRET) -> BusCodec:
    """Seals as `sender`; `secret` differs for somebody who was never provisioned."""
    members = dict.fromkeys(("pub", "sub1", "sub2", "sub3", "tftp1", "imp1"))
    return BusCodec(
        cluster=cluster,
        sender=sender,
        boot=boot,
        signer=KeyedHashSigner(sender, secret),
        verifier=KeyedHashVerifier(members, SECRET),
    )


def message(sender: str, topic: str, said: AnyMessage, *, boot: int = 1) -> MessageArrived:
    """`sender` says something on a topic."""
    return MessageArrived(topic, codec(sender, boot=boot).seal(topic, said))


@lru_cache(maxsize=1024)
def root(common_name: str, *, serial: int = 1, days: int = 0) -> bytes:
    """A certificate, the same whenever it is asked for; its validity starts `days` after the factory's."""
    return certificate(common_name, serial=serial, start=START + timedelta(days=days))


def row(
    common_name: str = "Corp Root CA",
    unit: str = "tomcat-trust",
    *,
    days: int = 0,
    holders: tuple[str, ...] | None = None,
    description: str = "",
    der: bytes | None = None,
) -> Row:
    """A row with a real certificate."""
    content = der if der is not None else root(common_name, days=days)
    return Row(unit, parse(content).fingerprint, content, description, holders)


def file_of(held: Row, *, name: str = "", op_id: str = "") -> FileImage:
    """The file of a row, as a node finds it."""
    return FileImage(held.unit, name or f"{held.fingerprint[:8]}.pem", held.der, held.description, op_id)


class LogBook:
    """A publisher's log as the publisher would write it, for followers under test."""

    def __init__(self, *, epoch: int = 1, rows: Iterable[Row] = (), boot: int = 1) -> None:
        self._codec = codec("pub", boot=boot)
        self.replica = Replica(ReplicaImage(epoch=epoch, rows=tuple(rows)))
        self.start = self.image()
        self.entries: list[LogEntry] = []
        self.payloads: list[bytes] = []

    def add(
        self,
        *adds: Row,
        removes: tuple[RowKey, ...] = (),
        op_id: str = "",
        origin: str = "pub",
        kind: str = "upload",
        settings: tuple[Setting, ...] = (),
        at: int = WALL,
    ) -> LogEntry:
        """Append an entry."""
        seq = self.replica.seq + 1
        entry = LogEntry(
            epoch=self.replica.epoch,
            seq=seq,
            prev=self.replica.hash,
            op_id=op_id or f"op-{seq}",
            origin=origin,
            kind=kind,
            removes=removes,
            adds=adds,
            at=at,
            settings=settings,
        )
        payload = self._codec.seal(TOPICS.log_binding(), entry)
        self.replica.apply(entry, entry_hash(payload))
        self.entries.append(entry)
        self.payloads.append(payload)
        return entry

    def delete(self, *gone: Row, op_id: str = "", origin: str = "pub") -> LogEntry:
        """Append a delete."""
        return self.add(removes=tuple(each.key for each in gone), op_id=op_id, origin=origin, kind="delete")

    def image(self) -> ReplicaImage:
        """A replica that has all of it."""
        replica = self.replica
        return ReplicaImage(
            epoch=replica.epoch,
            seq=replica.seq,
            hash=replica.hash,
            rows=tuple(replica.rows.values()),
            tombstones=tuple((unit, fingerprint, at) for (unit, fingerprint), at in replica.tombstones.items()),
            settings=in_order(replica.settings),
        )

    def told(self, seq: int) -> MessageArrived:
        """Entry `seq` arrives on its topic."""
        entry = self.entries[seq - 1]
        about = [row.unit for row in entry.adds] or [unit for unit, _ in entry.removes] or [entry.kind]
        return MessageArrived(TOPICS.log(about[0]), self.payloads[seq - 1])

    def head(self, *, floor: int = 0) -> MessageArrived:
        """The publisher tells where its log ends."""
        replica = self.replica
        said = Head(replica.epoch, replica.seq, replica.hash, replica.digest(), floor, replica.settings_digest)
        return message("pub", TOPICS.head(), said)

    def after(self, request: CatchUp, node: str = "sub1", *, most: int = 200) -> MessageArrived:
        """The answer to a request, at most `most` entries of it."""
        payloads = tuple(self.payloads[request.seq : request.seq + most])
        return message("pub", TOPICS.answer(node, "catchup"), Entries(request.request, payloads, self.replica.seq))

    def snapshot(self, request: CatchUp, node: str = "sub1", *, size: int = 200) -> list[MessageArrived]:
        """All rows, in parts of `size`."""
        replica = self.replica
        rows = tuple(replica.rows.values())
        chunks = [rows[at : at + size] for at in range(0, len(rows), size)] or [()]
        gone = tuple((unit, fingerprint, at) for (unit, fingerprint), at in replica.tombstones.items())
        at, besides = (replica.epoch, replica.seq, replica.hash), (gone, in_order(replica.settings))
        parts = [
            Snapshot(request.request, *at, part, len(chunks), chunk, *((), ()) if part else besides)
            for part, chunk in enumerate(chunks)
        ]
        return [message("pub", TOPICS.answer(node, "catchup"), part) for part in parts]


class Playbook:
    """A core, its disk and its clock."""

    def __init__(
        self,
        told: NodeConfig | None = None,
        *,
        image: DiskImage | None = None,
        make: Callable[..., NodeCore] | None = None,
    ) -> None:
        self.config = told or config()
        self.rulebook = RuleBook.load(self.config.release, self.config.profile)
        self.disk = SimDisk(image or DiskImage(boot=0, installed=True))
        self.ring = SimKeyRing(self.config)
        self._make = make or (PublisherCore if self.config.is_publisher else NodeCore)
        self.lab = 0
        self.wall_offset = 0
        self.timers: dict[str, int] = {}
        self.commands: list[c.AnyCommand] = []
        """Everything that was ever wanted, in order."""
        self.keeps_answers = False
        """Whether the disk's answers wait (`answer`), instead of coming at once."""
        self._answers: list[AnyEvent] = []
        self.reads_anew = True
        """Whether files are read as a real disk's are; else what is read is the same value until one changes."""
        self.fails: type[c.Command] | None = None
        """A kind of command that cannot be performed; what follows it in its list is dropped."""
        self.dies_after: type[c.Command] | None = None
        """A kind of command that the process does not outlive."""
        self.outside: Callable[[c.SendMail | c.SendSyslog], Sent | None] = lambda command: Sent(command.token)
        """What mail server and collectors answer; None: nothing."""
        self.settings: dict[tuple[str, str], str] = {}
        """Parameters as they are set when it starts, by place and name."""
        self.journal: list[tuple[int, c.Record]] = []
        """Every fact, with its lab instant."""
        self.core: NodeCore

    # -- life

    def start(self) -> list[c.AnyCommand]:
        """The process starts and reads its disk."""
        image = self.disk.load()
        self.timers.clear()
        self._answers.clear()
        self.core = self._make(self.config, self.rulebook, codec(self.config.name, boot=image.boot))
        self.core.context.set_parameters.update(self.settings)
        return self.does(Started(image))

    def connect(self) -> list[c.AnyCommand]:
        """The broker takes it."""
        return self.does(BusConnected())

    def disconnect(self) -> list[c.AnyCommand]:
        """The broker is gone."""
        return self.does(BusDisconnected())

    def up(self) -> "Playbook":
        """Started and connected; what that led to is forgotten."""
        self.start()
        self.connect()
        self.commands.clear()
        return self

    def restart(self) -> "Playbook":
        """Killed and started again."""
        return self.up()

    # -- events

    def does(self, event: AnyEvent) -> list[c.AnyCommand]:
        """Hand over an event and whatever the disk answers; what is wanted, records and timers left out."""
        return [each for each in self.all_of(event) if not isinstance(each, (c.Record, c.SendSyslog, *TIMERS))]

    def handled(self, act: Callable[[], None]) -> list[c.AnyCommand]:
        """Have something done as in the handling of an event, and hand over whatever the disk answers."""
        context = self.core.context
        context.begin(self._now(), "")
        act()
        return self._settle(context.commands)

    def all_of(self, event: AnyEvent) -> list[c.AnyCommand]:
        """Hand over an event and whatever the disk answers; everything that is wanted."""
        return self._settle(self.core.handle(event, self._now()))

    def _now(self) -> Instant:
        return Instant(self.lab, WALL + self.lab + self.wall_offset)

    def _settle(self, wanted: list[c.AnyCommand]) -> list[c.AnyCommand]:
        first = len(self.commands)
        waiting: list[AnyEvent] = []
        while True:
            answers: list[AnyEvent] = []
            for command in wanted:
                self.commands.append(command)
                if isinstance(command, c.Record):
                    self.journal.append((self.lab, command))
                if type(command) is self.fails:
                    answers.append(CommandFailed(type(command).__name__, getattr(command, "op_id", ""), "disk full"))
                    break
                answers += self._perform(command)
                if type(command) is self.dies_after:
                    return self.commands[first:]
            waiting = answers + waiting
            if not waiting:
                return self.commands[first:]
            wanted = self.core.handle(waiting.pop(0), self._now())

    def expect(self, event: AnyEvent, *wanted: c.AnyCommand) -> None:
        """Exactly these commands, records and timers left out."""
        assert self.does(event) == list(wanted)

    def answer(self) -> list[c.AnyCommand]:
        """Hand over what the disk has answered since `keeps_answers`."""
        answers, self._answers = self._answers, []
        return [command for answer in answers for command in self.does(answer)]

    def wait(self, duration: int) -> list[c.AnyCommand]:
        """Let lab time pass; timers fire in their order."""
        wanted: list[c.AnyCommand] = []
        end = self.lab + duration
        while due := [(at, token) for token, at in self.timers.items() if at <= end]:
            at, token = min(due)
            self.lab = max(self.lab, at)
            del self.timers[token]
            wanted += self.does(TimerFired(token))
        self.lab = end
        return wanted

    def hears(self, sender: str, topic: str, said: AnyMessage, *, boot: int = 1) -> list[c.AnyCommand]:
        """A member says something."""
        return self.does(message(sender, topic, said, boot=boot))

    def hears_birth(
        self, sender: str = "pub", state: str = "up", *, boot: int = 1, keys: dict[str, int] | None = None
    ) -> list[c.AnyCommand]:
        """A member is there, or is not."""
        birth = Birth(state, boot, keys or {}, {})  # type: ignore[arg-type]  # the tests' literals
        return self.hears(sender, TOPICS.birth(sender), birth, boot=boot)

    def hears_answer(self, op_id: str, outcome: str = "done", reason: str = "", *, seq: int = 0) -> list[c.AnyCommand]:
        """The publisher answers a proposal."""
        said = Answer(op_id, outcome, reason, "", 1, seq, {})  # type: ignore[arg-type]  # the tests' literals
        return self.hears("pub", TOPICS.answer(self.config.name, "propose"), said)

    def hears_proposal(self, sender: str, proposal: Proposal) -> list[c.AnyCommand]:
        """A member proposes a change."""
        return self.hears(sender, TOPICS.request(sender, "propose"), proposal)

    def uploads(
        self, op_id: str, der: bytes, purpose: str = "tomcat-trust", *, description: str = ""
    ) -> list[c.AnyCommand]:
        """An operator uploads a certificate."""
        return self.does(Upload(op_id, purpose, der, description))

    def deletes(self, op_id: str, gone: Row) -> list[c.AnyCommand]:
        """An operator deletes a certificate."""
        return self.does(Delete(op_id, gone.unit, gone.fingerprint))

    # -- looking

    def records(self, name: str | None = None) -> list[c.Record]:
        """The facts of that name so far."""
        return [each for each in self.all(c.Record) if name in (None, each.name)]

    def all(self, kind: type[AnyCommandT]) -> list[AnyCommandT]:
        """All commands of a kind so far."""
        return [each for each in self.commands if isinstance(each, kind)]

    def replies(self) -> list[tuple[str, str, str]]:
        """(op_id, outcome, reason) of every reply so far."""
        return [(each.op_id, each.outcome, each.reason) for each in self.all(c.Reply)]

    def said(self, kind: type[AnyMessageT]) -> list[AnyMessageT]:
        """Every message of a type that it published so far."""
        return [each for _, each in self.published(self.commands) if isinstance(each, kind)]

    def published(self, commands: Iterable[c.AnyCommand]) -> list[tuple[str, AnyMessage]]:
        """Topic and message of every publish among the commands."""
        return [(each.topic, self.opened(each)) for each in commands if isinstance(each, c.Publish)]

    def opened(self, command: c.Publish) -> AnyMessage:
        """What a publish says."""
        is_entry = command.topic.startswith(f"{TOPICS.log_binding()}/")
        return codec("sub3").open(TOPICS.log_binding() if is_entry else command.topic, command.payload).message

    def files(self, unit: str = "tomcat-trust") -> list[str]:
        """Fingerprints of a unit's files on disk."""
        return sorted(parse(file.der).fingerprint for file in self.disk.files.values() if file.unit == unit)

    def rows(self, unit: str = "tomcat-trust") -> list[str]:
        """Fingerprints of a unit's rows on disk."""
        return sorted(each.fingerprint for each in self.disk.replica().rows if each.unit == unit)

    # -- the disk

    def _perform(self, command: c.AnyCommand) -> list[AnyEvent]:  # noqa: C901, PLR0912  one case for each command
        disk, answers = self.disk, list[AnyEvent]()
        match command:
            case c.StartTimer(token, delay):
                self.timers[token] = self.lab + delay
            case c.CancelTimer(token):
                self.timers.pop(token, None)
            case c.WriteFile():
                disk.write_file(command)
            case c.RemoveFile():
                disk.remove_file(command)
            case c.SettleFile():
                disk.settle_file(command)
            case c.ApplyEntry() | c.InstallSnapshot():
                disk.change_database(command)
            case c.SendMail() | c.SendSyslog():
                answer = self.outside(command)
                answers += [] if answer is None else [answer]
            case c.RaiseFloor():
                disk.raise_floor(command)
            case c.AppendLog():
                disk.append_log(command)
            case c.RecordAnswer():
                disk.record_answer(command)
            case c.BeginEpoch():
                disk.begin_epoch(command)
            case c.RecordOrder(op_id):
                disk.record_order(op_id)
            case c.SetEnabled(service, enabled):
                disk.enabled[service] = enabled
            case c.SetInstalled():
                disk.installed = True
            case c.SetFips(enabled):
                disk.fips = enabled
            case c.SetRelease():
                disk.set_release(command)
            case c.ReadFiles(token):
                files = tuple(disk.files.values()) if self.reads_anew else disk.read_files()
                answers.append(FilesRead(token, files))
            case c.SyncDisk(token):
                disk.sync(files=command.files)
                answers.append(DiskSynced(token))
            case (
                c.MakeIdentity()
                | c.InstallIdentity()
                | c.ReuseIdentity()
                | c.MakeCsr()
                | c.DropCsr()
                | c.SealShared()
                | c.OpenShared()
            ):
                answers.append(self.ring.perform(command, disk, wall=WALL))
            case c.MakeAuthz() | c.SealKeys() | c.OpenKeys():
                answers.append(self.ring.perform(command, disk, wall=WALL))
            case _:
                pass
        if self.keeps_answers:
            self._answers += answers
            return []
        return answers


def follower(book: LogBook, *, files: Iterable[Row] = (), **changes: object) -> Playbook:
    """A subscriber that has the book so far, and these files; up and connected."""
    told = config(**changes)  # type: ignore[arg-type]  # the keywords of `config`
    image = DiskImage(boot=0, installed=True, replica=book.image(), files=tuple(file_of(each) for each in files))
    return Playbook(told, image=image)


def publisher(rows: Iterable[Row] = (), *, files: Iterable[Row] = (), **changes: object) -> Playbook:
    """A publisher in epoch 1 with these rows; up and connected."""
    told = config("pub", **changes)  # type: ignore[arg-type]  # the keywords of `config`
    image = DiskImage(
        boot=0,
        installed=True,
        replica=ReplicaImage(epoch=1, rows=tuple(rows)),
        log=LogImage(epoch=1),
        files=tuple(file_of(each) for each in files),
        keys={"authz": 1, "ITLRecovery": 1},
    )
    return Playbook(told, image=image)


def proposal(
    op_id: str,
    *adds: Row,
    kind: str = "upload",
    removes: tuple[RowKey, ...] = (),
    not_after: int = 60 * SECOND,
) -> Proposal:
    """A proposal."""
    return Proposal(op_id, kind, removes, adds, not_after)
