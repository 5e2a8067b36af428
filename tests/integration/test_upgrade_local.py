"""Upgrades of real processes: on the command line, and with a death on the way."""

import json
from pathlib import Path

import pytest

from tests.integration.command_line import CommandLine
from tests.unit.node.certificate_factory import START, certificate
from ucmlab.node.certificates import parse, pem

pytestmark = pytest.mark.slow

OLD, NEW = "11.0", "14SU2"


def releases(lab: CommandLine) -> dict[str, str]:
    return {name: str(node["release"]) for name, node in lab.json("dump")["nodes"].items()}


def held(lab: CommandLine, unit: str) -> dict[str, set[str]]:
    nodes = lab.json("dump")["nodes"]
    files = {name: {each["fingerprint"] for each in node["trust"][unit]} for name, node in nodes.items()}
    assert files == {name: set(node["database"][unit]) for name, node in nodes.items()}
    return files


@pytest.mark.rule("B.19", "C-60", "A.19")
def test_a_real_cluster_is_upgraded_and_leaves_expired_trust_behind(lab: CommandLine, tmp_path: Path) -> None:
    over, valid = certificate("Partner Root CA", end=START.replace(day=20)), certificate("Corp Root CA", serial=2)
    (tmp_path / "over.pem").write_text(pem(over))
    (tmp_path / "valid.pem").write_text(pem(valid))
    lab.must("up", "--detach", "--nodes", "pub,sub1", "--release", OLD, "--at", "2026-06-01T08:00:00Z")
    lab.must("plant", "pub", "tomcat-trust", tmp_path / "over.pem")
    lab.must("cert", "upload", "sub1", "tomcat-trust", tmp_path / "valid.pem")
    lab.must("wait", "--converged")
    before = lab.json("dump")
    refused = lab.run("upgrade", "sub1", NEW)
    assert (refused.returncode, refused.stderr) == (
        1,
        b"refused publisher_first: The publisher is upgraded to 14SU2 first: pub runs 11.0\nsub1: refused\n",
    )
    for arguments, status, word in (
        (("cluster", "14SU9"), 1, b"refused release_unknown: There is no release 14SU9: there are 10.5, "),
        (("cluster", "10.5"), 1, b"refused release_not_later: "),
        (("sub7", NEW), 2, b"there is no node 'sub7'"),
    ):
        ended = lab.run("upgrade", *arguments)
        assert (ended.returncode, word in ended.stderr) == (status, True), ended.stderr
    assert releases(lab) == {"pub": OLD, "sub1": OLD}

    assert lab.must("upgrade", "cluster", NEW) == f"done: pub, sub1 upgraded to {NEW}\npub: done  sub1: done\n"
    lab.must("wait", "--converged")
    assert releases(lab) == {"pub": NEW, "sub1": NEW}
    there = held(lab, "tomcat-trust")
    assert [(parse(over).fingerprint in each, parse(valid).fingerprint in each) for each in there.values()] == [
        (False, True)
    ] * 2
    after = lab.json("dump")
    for name in ("pub", "sub1"):
        old, new = (whole["nodes"][name]["identities"] for whole in (before, after))
        assert {unit: each["fingerprint"] for unit, each in new.items() if unit in old} == {
            unit: each["fingerprint"] for unit, each in old.items()
        }
        assert new.keys() - old.keys() == {"tomcat-ECDSA"}
    told = [json.loads(line) for line in lab.must("events", "--name", "upgraded", "--json").splitlines()]
    assert [(each["node"], each["former"], parse(over).fingerprint in each["dropped"]) for each in told] == [
        ("pub", OLD, True),
        ("sub1", OLD, True),
    ]

    lab.must("down")
    assert releases(lab) == {"pub": NEW, "sub1": NEW}
    assert lab.run("up", "--detach", "--release", OLD).returncode == 2
    lab.must("up", "--detach")
    assert (releases(lab), lab.json("status")["release"]) == ({"pub": NEW, "sub1": NEW}, NEW)


@pytest.mark.rule("B.19")
@pytest.mark.parametrize("point", ["before_append", "after_apply"])
def test_a_real_node_that_dies_in_its_upgrade_ends_it_at_its_next_start(
    lab: CommandLine, tmp_path: Path, point: str
) -> None:
    (tmp_path / "over.pem").write_text(pem(certificate("Partner Root CA", end=START.replace(day=20))))
    lab.must("up", "--detach", "--nodes", "pub,sub1", "--release", OLD, "--at", "2026-06-01T08:00:00Z")
    lab.must("plant", "pub", "tomcat-trust", tmp_path / "over.pem")
    lab.must("wait", "--converged")
    lab.must("fault", "inject", "failpoint", "pub", f"at={point}")
    died = lab.run("upgrade", "cluster", NEW)
    assert (died.returncode, b"indefinite node_down" in died.stderr) == (3, True), died.stderr
    assert releases(lab) == {"pub": NEW, "sub1": OLD}
    lab.must("fault", "start", "pub")
    lab.must("wait", "--converged")
    lab.must("upgrade", "cluster", NEW)
    lab.must("wait", "--converged")
    assert releases(lab) == {"pub": NEW, "sub1": NEW}
    assert len(set(map(frozenset, held(lab, "tomcat-trust").values()))) == 1
