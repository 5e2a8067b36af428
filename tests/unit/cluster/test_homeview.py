"""Looking at a node's disk from outside, whether the node runs or not."""

import sqlite3
from pathlib import Path

import pytest

from tests.unit.node.disk_model import certificate, row
from ucmlab.cluster.homeoutline import read_outline
from ucmlab.cluster.homeview import HomeView, read_home
from ucmlab.cluster.state import db_digest
from ucmlab.node.commands import ApplyEntry, SetEnabled, WriteFile
from ucmlab.node.disk import NodeDisk
from ucmlab.node.events import FileImage
from ucmlab.node.keyring import KeyRing
from ucmlab.node.replica_db import open_for_reading
from ucmlab.node.rulebook import RuleBook

RULES = RuleBook.load("14SU2")
FOLDER = "usr/local/platform/.security/tomcat/trust-certs"


def running(home: Path) -> NodeDisk:
    disk = NodeDisk(home, RULES, publisher=False)
    disk.load()
    disk.perform(WriteFile("tomcat-trust", "a.pem", certificate(1), "text", "op-1"))
    disk.perform(ApplyEntry(1, 1, b"h", "op-1", (), (row(1),), ()))
    return disk


def expected(home: Path) -> HomeView:
    return HomeView(
        epoch=1,
        seq=1,
        rows=(row(1),),
        settings=(),
        files=(FileImage("tomcat-trust", "a.pem", certificate(1), "text", "op-1"),),
        paths={("tomcat-trust", "a.pem"): str(home / FOLDER / "a.pem")},
        identities={},
        csrs={},
        authz=None,
        enabled={},
        boot=1,
        installed=False,
        unreadable=(),
    )


def test_a_running_node_is_seen_as_it_is_now(tmp_path: Path) -> None:
    disk = running(tmp_path)
    assert read_home(tmp_path, RULES) == expected(tmp_path)
    disk.perform(ApplyEntry(1, 2, b"i", "op-2", (), (row(2),), ()))
    disk.perform(SetEnabled("Cisco Tftp", enabled=False))
    seen = read_home(tmp_path, RULES)
    assert (seen.seq, seen.rows, seen.enabled) == (2, (row(1), row(2)), {"Cisco Tftp": False})
    disk.close()


def test_a_node_that_is_down_shows_what_its_disk_holds(tmp_path: Path) -> None:
    running(tmp_path).close()
    assert read_home(tmp_path, RULES) == expected(tmp_path)


def test_looking_disturbs_no_transaction_and_changes_nothing(tmp_path: Path) -> None:
    disk = running(tmp_path)
    connection = open_for_reading(tmp_path / "db" / "replica.sqlite")
    connection.execute("BEGIN")
    assert connection.execute("SELECT count(*) FROM CERTIFICATE").fetchone() == (1,)
    disk.perform(ApplyEntry(1, 2, b"i", "op-2", (), (row(2),), ()))
    assert connection.execute("SELECT count(*) FROM CERTIFICATE").fetchone() == (1,)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM CERTIFICATE")
    connection.close()
    disk.close()


def test_a_node_that_was_never_started_has_nothing(tmp_path: Path) -> None:
    seen = read_home(tmp_path / "sub9", RULES)
    assert (seen.boot, seen.seq, seen.rows, seen.files, seen.unreadable) == (0, 0, (), (), ())
    assert not (tmp_path / "sub9").exists()


def test_what_cannot_be_read_is_said_and_counts_as_empty(tmp_path: Path) -> None:
    running(tmp_path).close()
    (tmp_path / "db" / "replica.sqlite").write_bytes(b"not a database, and longer than a header of one" * 10)
    (tmp_path / "state" / "node.json").write_text("{")
    (tmp_path / FOLDER / "b.pem").write_text("no certificate")
    seen = read_home(tmp_path, RULES)
    assert (seen.rows, seen.boot, len(seen.files)) == ((), 0, 1)
    assert [Path(line.split()[0].rstrip(":")).name for line in seen.unreadable] == [
        "b.pem",
        "replica.sqlite",
        "node.json",
    ]


@pytest.mark.slow
def test_authz_keys_are_seen_as_digests(tmp_path: Path) -> None:
    made = KeyRing(tmp_path).make_authz(3)
    assert read_home(tmp_path, RULES).authz == {"signing": made.signing, "encryption": made.encryption}
    disk = NodeDisk(tmp_path, RULES, publisher=False)
    assert disk.load().keys == {"authz": 3}
    disk.close()


def test_an_outline_of_a_disk_says_what_all_of_it_says(tmp_path: Path) -> None:
    def same() -> None:
        whole, told = read_home(tmp_path, RULES), read_outline(tmp_path, RULES)
        assert (told.epoch, told.seq, told.enabled) == (whole.epoch, whole.seq, whole.enabled)
        assert told.digest == db_digest(whole.rows)

    same()
    disk = running(tmp_path)
    same()
    disk.perform(ApplyEntry(1, 2, b"i", "op-2", (), (row(3), row(2, holders=("sub2",))), ()))
    disk.perform(SetEnabled("Cisco Tftp", enabled=False))
    same()
    disk.perform(ApplyEntry(1, 3, b"j", "op-3", (row(1).key,), (), (row(1).key,)))
    same()
    assert read_outline(tmp_path, RULES).seq == 3
    disk.close()
    same()
    (tmp_path / "db" / "replica.sqlite").write_bytes(b"no database")
    same()
    assert read_outline(tmp_path, RULES).seq == 0
