"""A watcher looks where something happened, and nowhere else."""

import hashlib
from pathlib import Path

import pytest

from tests.unit.cluster.cli_lab import FakeLink, make_home, put_identity, put_trust
from tests.unit.node.certificate_factory import certificate
from ucmlab.cluster.errors import LabGone
from ucmlab.cluster.provision import LabHome
from ucmlab.cluster.watching.looking import LOOK_AGAIN_AFTER_S, LOOK_AT_ALL_EVERY_S, Looker

UNIT = "tomcat-trust"
TICK = 0.25
ROOT = certificate("Corp Root CA", ca=True)
KEY = (UNIT, hashlib.sha256(ROOT).hexdigest())


class Watched:
    """A looker at a home without processes, and its clock."""

    def __init__(self, folder: Path) -> None:
        self.home: LabHome = make_home(folder)
        self.home.logs.mkdir(exist_ok=True)
        self.link = FakeLink(self.home)
        self.now = 100.0
        self.looker = Looker(self.home, self.link, clock=lambda: self.now)

    def after(self, seconds: float) -> list[list[str]]:
        """Look every tick for so long; which nodes were asked about in each glance."""
        known = len(self.link.glances)
        end = self.now + seconds
        while self.now < end:
            self.now += TICK
            self.looker.look()
        return self.link.glances[known:]

    def journal(self, node: str, line: bytes = b'{"event": "file_written"}') -> None:
        with (self.home.logs / f"{node}.jsonl").open("ab") as file:
            file.write(line.replace(b"{", b'{"node": "' + node.encode() + b'", ', 1) + b"\n")


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path / "lab")


def test_at_first_everybody_is_looked_at_and_then_only_lives(watched: Watched) -> None:
    assert watched.link.glances == [["pub", "sub1", "sub2"]]
    assert watched.after(4) == [[]] * 4


def test_a_node_that_tells_something_is_looked_at_at_once_and_once_more(watched: Watched) -> None:
    put_trust(watched.home, "sub1", UNIT, file="root.pem", der=ROOT)
    watched.journal("sub1")
    watched.now += TICK
    [change] = watched.looker.look().changes
    assert (change.unit, change.fingerprint, change.node, change.after.word) == (*KEY, "sub1", "file")
    assert watched.looker.name(KEY[1]) == "Corp Root CA"
    later = [nodes for nodes in watched.after(LOOK_AGAIN_AFTER_S + 2) if nodes]
    assert later == [["sub1"]]


def test_what_was_done_behind_the_labs_back_is_found_in_the_end(watched: Watched) -> None:
    put_trust(watched.home, "sub2", UNIT, file="root.pem", der=ROOT)
    watched.after(5)
    assert KEY not in watched.looker.board
    watched.after(LOOK_AT_ALL_EVERY_S)
    assert watched.looker.board[KEY]["sub2"].file


def test_a_fault_makes_it_see_who_lives_at_once(watched: Watched) -> None:
    watched.link.states["sub1"] = "down"
    watched.link.broker_url = None
    watched.journal("lab", b'{"event": "fault"}')
    watched.now += TICK
    assert watched.looker.look().lives_changed
    assert (watched.looker.lives["sub1"], watched.looker.broker_down) == ("down", True)


def test_a_node_that_dies_while_another_is_looked_at_is_looked_at_next(watched: Watched) -> None:
    watched.link.states["sub2"] = "down"
    watched.journal("sub1")
    assert [nodes for nodes in watched.after(0.5) if nodes] == [["sub1"], ["sub2"]]


def test_a_frozen_node_keeps_what_it_had_loaded_and_a_dead_one_does_not(watched: Watched) -> None:
    own = certificate("sub1.lab.test")
    put_identity(watched.home, "sub1", "tomcat", own)
    key = ("tomcat", hashlib.sha256(own).hexdigest())
    watched.link.loaded["sub1"] = {"Cisco Tomcat": {"tomcat": key[1]}}
    watched.journal("sub1")
    watched.after(1)
    assert watched.looker.board[key]["sub1"].loaded == ("Cisco Tomcat",)
    watched.link.loaded["sub1"] = None
    watched.link.states["sub1"] = "paused"
    watched.after(2)
    assert watched.looker.board[key]["sub1"].loaded == ("Cisco Tomcat",)
    watched.link.states["sub1"] = "down"
    watched.after(2)
    assert watched.looker.board[key]["sub1"].loaded == ()


def test_a_lab_that_ends_is_told_as_gone(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_nodes: object) -> None:
        raise LabGone("it ended")

    monkeypatch.setattr(watched.link, "glance", gone)
    with pytest.raises(LabGone):
        watched.after(2)
