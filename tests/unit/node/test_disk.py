"""A node's disk: what it keeps, what it tidies up, and that a kill at any system call leaves a prefix."""

import os
import sqlite3
import stat
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.node.disk_model import DiskModel, Script, assert_linked, certificate, comparable, row, seeded
from tests.unit.node.guillotine import Guillotine, Killed
from ucmlab.broker.messages import Setting
from ucmlab.node.certificates import pem
from ucmlab.node.commands import (
    AppendLog,
    ApplyEntry,
    BeginEpoch,
    Command,
    Publish,
    RaiseFloor,
    ReadFiles,
    RecordAnswer,
    RemoveFile,
    SetRelease,
    SyncDisk,
    WriteFile,
)
from ucmlab.node.disk import NodeDisk
from ucmlab.node.durable import RecordFile, frame, replace_file, unframe
from ucmlab.node.events import DiskImage, DiskSynced, FileImage, FilesRead, LogImage, ReplicaImage
from ucmlab.node.log_file import WORTH_CUTTING_ENTRIES
from ucmlab.node.log_hash import entry_hash
from ucmlab.node.privatefile import TEMPORARY
from ucmlab.node.replica_db import ReplicaDb, read_replica
from ucmlab.node.rulebook import RuleBook

RULES = RuleBook.load("14SU2")
SETTING = Setting("cluster", "Use TLS", "true")
TOMCAT_TRUST = "usr/local/platform/.security/tomcat/trust-certs"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "sub1"


def opened(home: Path, *, publisher: bool = True) -> tuple[NodeDisk, DiskImage]:
    disk = NodeDisk(home, RULES, publisher=publisher)
    return disk, disk.load()


def reloaded(home: Path, *, publisher: bool = True) -> DiskImage:
    disk, image = opened(home, publisher=publisher)
    disk.close()
    return image


def leftovers(home: Path) -> list[str]:
    return [path.name for path in home.rglob("*") if path.name.startswith(TEMPORARY)]


def test_a_node_that_was_never_started_finds_an_empty_disk(home: Path) -> None:
    assert reloaded(home) == DiskImage(boot=1)


def test_every_start_has_a_higher_boot_number(home: Path) -> None:
    assert [reloaded(home).boot for _ in range(3)] == [1, 2, 3]


@pytest.mark.rule("B.5")
def test_a_trust_certificate_is_a_pem_file_that_people_can_read_with_its_description_beside_it(home: Path) -> None:
    disk, _ = opened(home)
    disk.perform(WriteFile("tomcat-trust", "Corp_Root_CA.pem", certificate(1), "Our root", ""))
    folder = home / TOMCAT_TRUST
    found = sorted(path.name for path in folder.iterdir())
    assert found == ["68b5982b.0", "Corp_Root_CA.description", "Corp_Root_CA.pem"]  # `openssl x509 -subject_hash`
    assert (folder / "68b5982b.0").readlink() == Path("Corp_Root_CA.pem")
    assert (folder / "Corp_Root_CA.pem").read_text() == pem(certificate(1))
    assert (folder / "Corp_Root_CA.description").read_text() == "Our root"
    assert stat.S_IMODE((folder / "Corp_Root_CA.pem").stat().st_mode) == 0o644


@pytest.mark.rule("B.6")
def test_the_operation_id_beside_a_file_survives_until_it_is_settled(home: Path) -> None:
    disk, _ = opened(home)
    disk.perform(WriteFile("tomcat-trust", "a.pem", certificate(1), "", "op-1"))
    disk.close()
    assert reloaded(home).files == (FileImage("tomcat-trust", "a.pem", certificate(1), "", "op-1"),)


def test_an_operation_id_that_speaks_of_another_certificate_says_nothing(home: Path) -> None:
    disk, _ = opened(home)
    disk.perform(WriteFile("tomcat-trust", "a.pem", certificate(1), "", "op-1"))
    (home / TOMCAT_TRUST / "a.pem").write_text(pem(certificate(2)))
    assert disk.perform(ReadFiles("t")) == FilesRead("t", (FileImage("tomcat-trust", "a.pem", certificate(2)),))
    disk.close()
    assert reloaded(home).files == (FileImage("tomcat-trust", "a.pem", certificate(2)),)


def test_reading_the_files_sees_what_people_put_there(home: Path) -> None:
    disk, _ = opened(home)
    folder = home / TOMCAT_TRUST
    folder.mkdir(parents=True)
    (folder / "by hand.pem").write_text(f"a text before\n{pem(certificate(3))}{pem(certificate(4))}")
    assert disk.perform(ReadFiles("t")) == FilesRead("t", (FileImage("tomcat-trust", "by hand.pem", certificate(3)),))


def test_a_file_that_is_no_certificate_is_left_alone_and_reported(home: Path) -> None:
    folder = home / TOMCAT_TRUST
    folder.mkdir(parents=True)
    (folder / "notes.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\n\xff!!\n-----END CERTIFICATE-----\n")
    (folder / "folder.pem").mkdir()
    disk, image = opened(home)
    assert image.files == ()
    assert [line.removeprefix(f"{folder}/") for line in disk.load_warnings] == [
        "folder.pem is no certificate and is left alone",
        "notes.pem is no certificate and is left alone",
    ]
    assert (folder / "notes.pem").exists()


def test_temporaries_and_orphans_are_gone_after_a_start(home: Path) -> None:
    folder = home / TOMCAT_TRUST
    folder.mkdir(parents=True)
    for name in (".tmp-1a2b3c4d", ".gone.pem.pending", "gone.description"):
        (folder / name).write_text("half")
    opened(home)
    assert list(folder.iterdir()) == []


@pytest.mark.rule("B.5")
def test_a_start_puts_right_what_stands_beside_certificates(home: Path) -> None:
    trust, own = home / TOMCAT_TRUST, home / TOMCAT_TRUST / "../certs"
    for folder in (trust, own):
        folder.mkdir(parents=True)
    (trust / "by hand.pem").write_text(pem(certificate(1)))
    (own / "tomcat.pem").write_text(pem(certificate(2)))
    (own / "tomcat.der").write_bytes(certificate(1))
    opened(home)
    assert (own / "tomcat.der").read_bytes() == certificate(2)
    assert [path.name for path in trust.iterdir() if path.is_symlink()] == ["68b5982b.0"]


@pytest.mark.parametrize("name", ["../x.pem", "x", ".pem", "a/b.pem", "nul\0.pem"])
def test_a_name_that_could_leave_the_folder_is_refused(home: Path, name: str) -> None:
    disk, _ = opened(home)
    with pytest.raises(OSError, match="is no name for a certificate file"):
        disk.perform(WriteFile("tomcat-trust", name, certificate(1), "", ""))


def test_a_command_that_fails_is_an_os_error_and_changes_nothing(home: Path) -> None:
    disk, _ = opened(home)
    with pytest.raises(OSError, match="no trust folder"):
        disk.perform(WriteFile("tomcat", "a.pem", certificate(1), "", ""))
    with pytest.raises(OSError, match="name too long"):
        disk.perform(WriteFile("tomcat-trust", f"{'x' * 300}.pem", certificate(1), "", ""))
    disk.close()
    assert reloaded(home) == DiskImage(boot=2)
    assert leftovers(home) == []


def test_a_follower_keeps_no_log(home: Path) -> None:
    disk, _ = opened(home, publisher=False)
    with pytest.raises(OSError, match="only the publisher keeps the log"):
        disk.perform(AppendLog(1, 1, "op-1", b"entry"))


def test_what_is_no_disk_command_is_a_mistake_of_ours(home: Path) -> None:
    disk, _ = opened(home)
    with pytest.raises(TypeError, match="Publish does not concern the disk"):
        disk.perform(Publish("topic", b""))


def test_rows_come_back_in_the_order_in_which_they_were_put_in(home: Path) -> None:
    disk, _ = opened(home)
    first, second, third = row(3), row(1, holders=("sub2", "sub1")), row(2, holders=())
    disk.perform(ApplyEntry(1, 1, b"h", "op-1", (), (first, second, third), ()))
    changed = row(3, description="changed in its place")
    disk.perform(ApplyEntry(1, 2, b"i", "op-2", (second.key,), (changed, second), ()))
    disk.close()
    assert reloaded(home).replica.rows == (changed, third, second)


def test_the_log_is_cut_when_it_is_worth_it_and_remembers_the_answers(home: Path) -> None:
    disk, _ = opened(home)
    for seq in range(1, WORTH_CUTTING_ENTRIES + 2):
        disk.perform(AppendLog(1, seq, f"op-{seq}", b"entry %d" % seq))
    disk.perform(RecordAnswer("op-refused", "expired"))
    entries = home / "log" / "entries"
    size = entries.stat().st_size
    disk.perform(RaiseFloor(WORTH_CUTTING_ENTRIES - 1))
    assert entries.stat().st_size == size
    disk.perform(RaiseFloor(WORTH_CUTTING_ENTRIES))
    assert entries.stat().st_size < 200
    disk.close()
    log = reloaded(home).log
    assert (log.floor, log.floor_hash) == (WORTH_CUTTING_ENTRIES, entry_hash(b"entry %d" % WORTH_CUTTING_ENTRIES))
    assert log.payloads == (b"entry %d" % (WORTH_CUTTING_ENTRIES + 1),)
    told = [("op-refused", "refused", "expired", WORTH_CUTTING_ENTRIES + 1)]
    told += [(f"op-{seq}", "done", "", seq) for seq in range(1, WORTH_CUTTING_ENTRIES + 1)]
    assert sorted(log.answers) == sorted(told)


def test_old_answers_are_forgotten_in_memory_and_on_disk(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ucmlab.node.log_file.KEPT_ANSWERS", 10)
    disk, _ = opened(home)
    sizes = []
    for number in range(100):
        disk.perform(RecordAnswer(f"op-{number:02}", "expired"))
        sizes.append((home / "log" / "answers").stat().st_size)
    assert max(sizes) <= 21 * sizes[0]  # it is shortened when it holds twice as many
    disk.close()
    assert [op_id for op_id, *_ in reloaded(home).log.answers] == [f"op-{number}" for number in range(90, 100)]


def test_an_epoch_that_was_half_begun_is_begun_whole_at_the_next_start(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, _ = opened(home)
    disk.perform(BeginEpoch(1))
    disk.perform(AppendLog(1, 1, "op-1", b"entry 1"))
    disk.perform(ApplyEntry(1, 1, entry_hash(b"entry 1"), "op-1", (), (row(1),), (), (SETTING,)))
    disk.perform(RaiseFloor(1))
    with monkeypatch.context() as killing, pytest.raises(Killed):  # noqa: PT012  the patch is part of the kill
        killing.setattr(ReplicaDb, "begin_epoch", killed)
        disk.perform(BeginEpoch(2))
    disk.close()
    image = reloaded(home)
    assert image.replica == ReplicaImage(epoch=2, rows=(row(1),), settings=(SETTING,))
    assert image.log == LogImage(epoch=2, answers=(("op-1", "done", "", 1),))


def test_a_database_from_before_there_were_settings_has_none_and_takes_them(home: Path) -> None:
    disk, _ = opened(home)
    disk.perform(ApplyEntry(1, 1, b"h", "op-1", (), (row(1),), ()))
    disk.close()
    with closing(sqlite3.connect(home / "db" / "replica.sqlite")) as old:
        old.executescript("DROP TABLE PROCESSCONFIG; PRAGMA user_version = 1;")
        assert read_replica(old) == ReplicaImage(1, 1, b"h", rows=(row(1),))
    disk, image = opened(home)
    assert image.replica == ReplicaImage(1, 1, b"h", rows=(row(1),))
    disk.perform(ApplyEntry(1, 2, b"i", "op-2", (), (), (), (SETTING,)))
    disk.close()
    assert reloaded(home).replica.settings == (SETTING,)


def killed(*_: object) -> None:
    raise Killed


@pytest.mark.parametrize("tail", [b"\0" * 100, b"\xff" * 100, frame(b"cut off here")[:-1], b"\x01"])
def test_a_torn_tail_of_the_log_is_cut(home: Path, tail: bytes) -> None:
    disk, _ = opened(home)
    disk.perform(AppendLog(1, 1, "op-1", b"entry 1"))
    disk.close()
    with (home / "log" / "entries").open("ab") as file:
        file.write(tail)
    disk, image = opened(home)
    assert image.log.payloads == (b"entry 1",)
    assert disk.load_warnings == (f"log: {len(tail)} torn bytes at the end were cut",)
    disk.perform(AppendLog(1, 2, "op-2", b"entry 2"))
    disk.close()
    assert reloaded(home).log.payloads == (b"entry 1", b"entry 2")


@pytest.mark.parametrize("content", [b'{"boot": "many"}', b'{"boot": "\xff"}'])
def test_a_disk_of_another_version_is_an_error_not_an_empty_disk(home: Path, content: bytes) -> None:
    reloaded(home)
    (home / "state" / "node.json").write_bytes(content)
    with pytest.raises(OSError, match="was not written by ucmlab"):
        NodeDisk(home, RULES, publisher=True).load()


def test_a_sync_answers_and_syncs_only_what_changed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, _ = opened(home)
    disk.perform(WriteFile("tomcat-trust", "a.pem", certificate(1), "", ""))
    assert disk.perform(SyncDisk("first", files=True)) == DiskSynced("first")
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    assert disk.perform(SyncDisk("second", files=True)) == DiskSynced("second")
    assert synced == []
    disk.perform(RemoveFile("tomcat-trust", "a.pem"))
    disk.perform(SyncDisk("third", files=True))
    assert len(synced) == 1


def test_a_private_file_is_private_from_its_first_byte(tmp_path: Path) -> None:
    modes: list[int] = []
    replace_file(tmp_path / "key.pem", b"secret", mode=0o600)
    modes.append(stat.S_IMODE((tmp_path / "key.pem").stat().st_mode))
    assert modes == [0o600]


@given(records=st.lists(st.binary(max_size=64)), tail=st.binary(max_size=16))
def test_whatever_follows_whole_records_the_records_are_read(records: list[bytes], tail: bytes) -> None:
    content = b"".join(map(frame, records))
    found, end = unframe(content + tail)
    assert found[: len(records)] == records
    assert len(content) <= end <= len(content + tail)


@given(records=st.lists(st.binary(max_size=32), max_size=6), cut=st.integers(0, 10_000))
def test_a_record_file_cut_anywhere_holds_a_prefix(records: list[bytes], cut: int) -> None:
    content = b"".join(map(frame, records))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "records"
        path.write_bytes(content[: cut % (len(content) + 1)])
        file = RecordFile(path)
        found, _ = file.open()
        assert found == records[: len(found)]
        file.append(b"one", b"two")
        file.close()
        assert file.open() == ([*found, b"one", b"two"], 0)
        file.close()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), publisher=st.booleans())
def test_any_list_of_commands_is_read_back_as_it_was_performed(seed: int, *, publisher: bool) -> None:
    model = DiskModel()
    with TemporaryDirectory() as folder:
        home = Path(folder)
        disk, _ = opened(home, publisher=publisher)
        for command in Script(seeded(seed), publisher=publisher).commands(60):
            disk.perform(command)
            model.fold(command)
        disk.close()
        assert comparable(reloaded(home, publisher=publisher)) == comparable(model.image(2))


@pytest.mark.slow
def test_a_kill_at_any_system_call_leaves_a_prefix_of_the_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guillotine = Guillotine(monkeypatch)
    for seed in range(60):
        commands = Script(seeded(seed)).commands(30)
        home = tmp_path / str(seed)
        done = killed_while_performing(guillotine, home, commands, calls=seeded(seed).randint(1, 250))
        assert_prefix(home, commands, done)


@pytest.mark.slow
def test_a_kill_during_the_tidying_up_loses_nothing_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guillotine = Guillotine(monkeypatch)
    for seed in range(40):
        commands = Script(seeded(seed)).commands(20)
        home = tmp_path / str(seed)
        done = killed_while_performing(guillotine, home, commands, calls=seeded(seed).randint(1, 120))
        second = NodeDisk(home, RULES, publisher=True)
        guillotine.calls_left = seeded(seed + 1).randint(1, 12)
        with suppress(Killed):
            second.load()
        guillotine.calls_left = -1
        second.close()
        assert_prefix(home, commands, done)


def killed_while_performing(guillotine: Guillotine, home: Path, commands: list[Command], *, calls: int) -> int:
    disk, _ = opened(home)
    guillotine.calls_left = calls
    done = 0
    with suppress(Killed):
        for command in commands:
            disk.perform(command)
            done += 1
    guillotine.calls_left = -1
    disk.close()
    return done


def assert_prefix(home: Path, commands: list[Command], done: int) -> None:
    """The disk is as after `done` commands, or as after the one that was cut off."""
    image = reloaded(home)
    model = DiskModel()
    for command in commands[:done]:
        model.fold(command)
    allowed = [comparable(model.image(image.boot))]
    if done < len(commands):
        model.fold(commands[done])
        allowed.append(comparable(model.image(image.boot)))
    assert comparable(image) in allowed, f"killed in {type(commands[min(done, len(commands) - 1)]).__name__}"
    assert leftovers(home) == []
    assert_linked(home)


@pytest.mark.rule("B.19")
def test_a_kill_at_any_call_of_the_step_to_another_release_leaves_the_old_one_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guillotine, home = Guillotine(monkeypatch), tmp_path / "sub1"
    disk = NodeDisk(home, RULES, publisher=False)

    def prepare() -> None:
        nonlocal disk
        disk.close()
        disk = NodeDisk(home, RULES, publisher=False)
        disk.load()
        disk.perform(SetRelease("12.5", ""))

    def step() -> None:
        disk.perform(SetRelease("14SU2", "12.5"))

    seen = set()
    for _ in guillotine.cuts(prepare, step):
        image = reloaded(home, publisher=False)
        seen.add((image.release, image.former))
    disk.close()
    assert seen == {("12.5", ""), ("14SU2", "12.5")}
