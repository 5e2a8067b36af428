"""What a node's disk should hold, kept in memory; and random command lists as a node would give them."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from random import Random

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ucmlab.broker.messages import Row, RowKey, Setting
from ucmlab.cluster.simkeys import sim_ec
from ucmlab.node.certificates import parse
from ucmlab.node.commands import (
    AppendLog,
    ApplyEntry,
    BeginEpoch,
    Command,
    InstallSnapshot,
    RaiseFloor,
    RecordAnswer,
    RecordOrder,
    RemoveFile,
    SetEnabled,
    SetFips,
    SetInstalled,
    SetRelease,
    SettleFile,
    SyncDisk,
    WriteFile,
)
from ucmlab.node.events import DiskImage, FileImage, LogImage, ReplicaImage
from ucmlab.node.log_hash import entry_hash
from ucmlab.node.subject_hash import subject_hash
from ucmlab.node.trust_files import read_certificate

UNITS = ("tomcat-trust", "CallManager-trust")
NAMES = ("Corp_Root_CA.pem", "www.example.com.pem", "x.pem")


@lru_cache(maxsize=64)
def certificate(number: int) -> bytes:
    """A small self-signed certificate; the same number, the same bytes within a run."""
    key = sim_ec(0, "ec-256")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Root {number}")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), number + 1)
    builder = builder.not_valid_before(datetime(2026, 1, 1, tzinfo=UTC)).not_valid_after(
        datetime(2036, 1, 1, tzinfo=UTC)
    )
    return builder.sign(key, SHA256()).public_bytes(Encoding.DER)


def row(
    number: int, *, unit: str = "tomcat-trust", description: str = "", holders: tuple[str, ...] | None = None
) -> Row:
    """A row of certificate `number`."""
    der = certificate(number)
    return Row(unit, parse(der).fingerprint, der, description, holders)


def seeded(seed: int) -> Random:
    """A stream that is the same in every run."""
    return Random(seed)


def assert_linked(home: Path) -> None:
    """Each certificate file below a node's home has one link, under its hash; the numbers of a hash have no hole."""
    for folder in home.rglob("trust-certs"):
        links = {path.name: str(path.readlink()) for path in folder.iterdir() if path.is_symlink()}
        files = {path.name: read_certificate(path) for path in folder.glob("*.pem")}
        hashes = {name: subject_hash(der) for name, der in files.items() if der is not None}
        assert sorted(links.values()) == sorted(hashes), folder
        assert {name: link.partition(".")[0] for link, name in links.items()} == hashes, folder
        counts = Counter(hashes.values())
        assert set(links) == {f"{each}.{number}" for each in counts for number in range(counts[each])}, folder


class DiskModel:
    """Folds commands into the image that `NodeDisk.load` should give after them."""

    def __init__(self) -> None:
        self.files: dict[tuple[str, str], FileImage] = {}
        self.rows: dict[RowKey, Row] = {}
        self.tombstones: dict[RowKey, int] = {}
        self.settings: dict[tuple[str, str], str] = {}
        self.position = (0, 0, b"", 0)
        self.log: list[tuple[int, str, bytes]] = []
        self.log_epoch, self.log_floor, self.log_hash = 0, 0, b""
        self.answers: dict[str, tuple[str, str, int]] = {}
        self.enabled: dict[str, bool] = {}
        self.orders: dict[str, None] = {}
        self.installed = False
        self.fips = False
        self.release = self.former = ""

    def image(self, boot: int) -> DiskImage:
        """The whole image; answers sorted, because nobody asks for their order."""
        epoch, seq, at_hash, floor = self.position
        tombstones = tuple(sorted((*key, at) for key, at in self.tombstones.items()))
        settings = tuple(Setting(*key, value) for key, value in sorted(self.settings.items()))
        replica = ReplicaImage(epoch, seq, at_hash, floor, tuple(self.rows.values()), tombstones, settings)
        answers = tuple(sorted((op_id, *told) for op_id, told in self.answers.items()))
        payloads = tuple(payload for _, _, payload in self.log)
        return DiskImage(
            boot=boot,
            files=tuple(self.files[key] for key in sorted(self.files)),
            replica=replica,
            log=LogImage(self.log_epoch, self.log_floor, self.log_hash, payloads, answers),
            enabled=self.enabled,
            done_orders=tuple(self.orders),
            installed=self.installed,
            fips=self.fips,
            release=self.release,
            former=self.former,
        )

    def fold(self, command: Command) -> None:
        """Bring one command in."""
        match command:
            case WriteFile(unit=unit, name=name):
                image = FileImage(unit, name, command.der, command.description, command.op_id)
                self.files[unit, name] = image
            case RemoveFile(unit=unit, name=name):
                self.files.pop((unit, name), None)
            case SettleFile(unit=unit, name=name):
                known = self.files.get((unit, name))
                if known is not None:
                    self.files[unit, name] = FileImage(unit, name, known.der, known.description, "")
            case SetEnabled(service=service, enabled=enabled):
                self.enabled = {**self.enabled, service: enabled}
            case SetInstalled():
                self.installed = True
            case SetFips(enabled=enabled):
                self.fips = enabled
            case SetRelease(release=release, former=former):
                self.release, self.former = release, former
            case RecordOrder(op_id=op_id):
                self.orders[op_id] = None
            case _:
                self._fold_database(command)

    def _fold_database(self, command: Command) -> None:
        match command:
            case ApplyEntry(epoch=epoch, seq=seq, hash=at_hash):
                for key in command.removes:
                    self.rows.pop(key, None)
                for added in command.adds:
                    self.rows[added.key] = added
                    self.tombstones.pop(added.key, None)
                self.tombstones.update(dict.fromkeys(command.tombstones, seq))
                self.settings.update({(each.place, each.name): each.value for each in command.settings})
                self.position = (epoch, seq, at_hash, self.position[3])
            case InstallSnapshot(epoch=epoch, seq=seq, hash=at_hash):
                self.rows = {each.key: each for each in command.rows}
                self.tombstones = {(unit, fingerprint): at for unit, fingerprint, at in command.tombstones}
                self.settings = {(each.place, each.name): each.value for each in command.settings}
                self.position = (epoch, seq, at_hash, 0)
            case RaiseFloor(floor=floor):
                self.position = (*self.position[:3], max(floor, self.position[3]))
                self.tombstones = {key: at for key, at in self.tombstones.items() if at > floor}
                if self.log_epoch:
                    self._drop(floor)
            case AppendLog(epoch=epoch, seq=seq, op_id=op_id, payload=payload):
                self.log_epoch = epoch
                self.log.append((seq, op_id, payload))
            case RecordAnswer(op_id=op_id, reason=reason):
                self.answers[op_id] = ("refused", reason, self.log[-1][0] if self.log else self.log_floor)
            case BeginEpoch(epoch=epoch):
                self._drop(max((seq for seq, _, _ in self.log), default=0))
                self.log_epoch, self.log_floor, self.log_hash = epoch, 0, b""
                self.position = (epoch, 0, b"", 0)
                self.tombstones = dict.fromkeys(self.tombstones, 0)
            case _:
                pass

    def _drop(self, floor: int) -> None:
        for seq, op_id, payload in self.log:
            if seq <= floor:
                self.answers[op_id] = ("done", "", seq)
                self.log_hash = entry_hash(payload)
        self.log_floor = max(floor, self.log_floor)
        self.log = [each for each in self.log if each[0] > floor]


def comparable(image: DiskImage) -> tuple[object, ...]:
    """An image as the model gives it: answers and tombstones sorted."""
    replica, log = image.replica, image.log
    return (
        image.boot,
        image.files,
        (replica.epoch, replica.seq, replica.hash, replica.floor, replica.rows, sorted(replica.tombstones)),
        replica.settings,
        (log.epoch, log.floor, log.floor_hash, log.payloads, sorted(log.answers)),
        (image.enabled, image.done_orders, image.installed, image.fips),
    )


class Script:
    """Makes commands as a core would give them: positions go up, and only the publisher keeps a log."""

    def __init__(self, random: Random, *, publisher: bool = True) -> None:
        self._random = random
        self._publisher = publisher
        self._epoch, self._seq, self._floor, self._count = 1, 0, 0, 0
        self._rows: dict[RowKey, Row] = {}

    def commands(self, count: int) -> list[Command]:
        """The first `count` commands."""
        return [command for command, _ in zip(self._endless(), range(count), strict=False)]

    def _endless(self) -> Iterator[Command]:
        if self._publisher:
            yield BeginEpoch(1)
        while True:
            yield from self._random.choice(self._kinds())()

    def _kinds(self) -> tuple[Callable[[], list[Command]], ...]:
        return (
            self._write,
            self._write,
            self._remove,
            self._entry,
            self._entry,
            self._entry,
            self._small,
            self._floor_up,
        )

    def _write(self) -> list[Command]:
        unit, name = self._random.choice(UNITS), self._random.choice(NAMES)
        der = certificate(self._random.randrange(4))
        description = self._random.choice(("", "", "Uploaded by the administrator", "Wurzel \N{WHITE CHESS KING}"))
        return [WriteFile(unit, name, der, description, self._random.choice(("", self._op_id())))]

    def _remove(self) -> list[Command]:
        unit, name = self._random.choice(UNITS), self._random.choice(NAMES)
        return [self._random.choice((RemoveFile(unit, name), SettleFile(unit, name)))]

    def _entry(self) -> list[Command]:
        self._seq += 1
        op_id, payload = self._op_id(), self._random.randbytes(self._random.choice((40, 3_000, 70_000)))
        new = row(
            self._random.randrange(6),
            unit=self._random.choice(UNITS),
            description=self._random.choice(("", "a text")),
            holders=self._random.choice((None, (), ("sub1",), ("sub2", "pub", "sub1"))),
        )
        removes = tuple(key for key in self._rows if self._random.random() < 0.2)
        for key in removes:
            del self._rows[key]
        self._rows[new.key] = new
        deleted = tuple(key for key in removes if key != new.key)
        changes = (removes, (new,), deleted, self._settings() if self._seq % 3 == 0 else ())
        apply = ApplyEntry(self._epoch, self._seq, entry_hash(payload), op_id, *changes)
        return [AppendLog(self._epoch, self._seq, op_id, payload), apply] if self._publisher else [apply]

    def _settings(self) -> tuple[Setting, ...]:
        # Without a draw, so that the scripts of old stay as they are.
        return (Setting(("cluster", "sub1")[self._seq % 2], f"Parameter {self._seq % 4}", f"value {self._seq}"),)

    def _small(self) -> list[Command]:
        service = self._random.choice(("Cisco Tomcat", "Cisco Tftp"))
        choices: tuple[Command, ...] = (
            RecordAnswer(self._op_id(), "expired") if self._publisher else SyncDisk("t", files=True),
            RecordOrder(self._op_id()),
            SetEnabled(service, self._random.random() < 0.5),
            SetInstalled(),
            SetFips(self._seq % 2 == 0),
            SyncDisk("t", files=True),
        )
        return [self._random.choice(choices)]

    def _floor_up(self) -> list[Command]:
        if self._random.random() < 0.2:
            self._epoch, self._seq, self._floor = self._epoch + 1, 0, 0
            rows = tuple(self._rows.values())
            besides = ((("tomcat-trust", "ab", 1),), self._settings())
            snapshot = InstallSnapshot(self._epoch, self._seq, b"h" * 32, rows, *besides)
            return [BeginEpoch(self._epoch) if self._publisher else snapshot]
        self._floor = self._random.randint(self._floor, self._seq)
        return [RaiseFloor(self._floor)] if self._floor else []

    def _op_id(self) -> str:
        self._count += 1
        return f"op-{self._count}"
