"""`ucmlab upgrade` against a home on disk and a fake lab."""

from pathlib import Path

import pytest

from tests.unit.cluster.cli_lab import Bench, FakeLink, make_home, nothing_changes, refused
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.standalone_link import StandaloneNodes
from ucmlab.node.commands import Reply


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    home = make_home(tmp_path / "lab", nodes="sub1,pub,imp1")
    return Bench(home, FakeLink(home), monkeypatch)


@pytest.mark.rule("B.19")
def test_of_the_cluster_the_publisher_is_asked_for_first(lab: Bench) -> None:
    lab.link.reply = Reply("", "done", nodes={"pub": "done", "sub1": "done"})
    result = lab.run("upgrade", "cluster", "15")
    assert lab.link.upgrades == [(["pub", "sub1", "imp1"], "15")]
    assert (result.exit_code, result.stdout) == (0, "done: pub, sub1 upgraded to 15\npub: done  sub1: done\n")


def test_a_node_is_upgraded_alone(lab: Bench) -> None:
    lab.link.reply = refused("publisher_first", "The publisher first")
    result = lab.run("upgrade", "sub1", "15")
    assert lab.link.upgrades == [(["sub1"], "15")]
    assert (result.exit_code, result.stderr) == (1, "refused publisher_first: The publisher first\n")


def test_half_an_upgrade_tells_how_far_it_came(lab: Bench) -> None:
    lab.link.reply = Reply("", "partial", "node_down", "sub1 went down", nodes={"pub": "done", "sub1": "indefinite"})
    assert lab.json("upgrade", "cluster", "15") == {
        "schema": 1,
        "outcome": "partial",
        "reason": "node_down",
        "text": "sub1 went down",
        "warnings": [],
        "operation_id": lab.link.last_upgrade,
        "nodes": {"pub": "done", "sub1": "indefinite"},
    }


def test_a_node_that_there_is_not_and_a_lab_that_does_not_run_change_nothing(lab: Bench) -> None:
    with nothing_changes(lab.home):
        unknown = lab.run("upgrade", "sub7", "15")
        lab.running = False
        idle = lab.run("upgrade", "cluster", "15")
    assert [result.exit_code for result in (unknown, idle)] == [2, 2]
    assert ("no node 'sub7'" in unknown.stderr, "does not run" in idle.stderr) == (True, True)
    assert lab.link.upgrades == []


def test_nodes_that_run_on_their_own_cannot_be_booted_from_here(lab: Bench) -> None:
    with pytest.raises(Unusable, match="nobody can boot pub, sub1 into another release"):
        StandaloneNodes(lab.home).upgrade(["pub", "sub1"], "15", "op-1")
