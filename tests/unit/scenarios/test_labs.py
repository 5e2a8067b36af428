"""What surrounds a story: the lab that it is told in, and the bound on its machine time."""

# `check` takes its condition first, as design 7.3 spells it

import asyncio
import dataclasses
import socket
from pathlib import Path

import pytest

from ucmlab.cluster.ca.keys import simulation_keys
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.faults.rogues import INVENTED_IN
from ucmlab.cluster.provision import provision
from ucmlab.cluster.sim.lab import configs_of
from ucmlab.scenarios import Lab, budget, scenario
from ucmlab.scenarios.labs import run_story, topology_for
from ucmlab.scenarios.result import Options, Result, again
from ucmlab.scenarios.story import Story


def run(story: Story) -> Result:
    return run_story(story, Options(), lambda _entry, _began: None)


@scenario(nodes="pub sub1", timing="instant")
async def plain(lab: Lab) -> None:
    """Sleep, as any coroutine may."""
    before = lab.now
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(3600))
        group.create_task(lab.wait("30m"))
    lab.check((lab.now - before).total_seconds() == 3600, "an hour of lab time has passed")


def test_ordinary_asyncio_works_in_virtual_time() -> None:
    assert run(plain).verdict == "held"


@scenario(nodes="pub sub1", timing="instant")
async def reaching_out(lab: Lab) -> None:
    """Open a socket."""
    lab.check(True, "so far, so good")
    await asyncio.get_running_loop().create_connection(asyncio.Protocol, "127.0.0.1", 1, family=socket.AF_INET)


def test_reaching_out_of_the_simulation_fails_the_story_in_one_line() -> None:
    trouble = run(reaching_out).trouble
    assert trouble is not None
    assert trouble.line.startswith(
        "RuntimeError: sockets do not work in a simulated story; run it with --mode local (test_labs.py:"
    )


@scenario(nodes="pub sub1", timing="instant", budget="1500ms")
async def endless(lab: Lab) -> None:
    """Wait for what never comes."""
    lab.check(True, "so far, so good")
    await asyncio.get_running_loop().create_future()


@pytest.mark.slow
def test_a_story_that_never_ends_is_a_failed_run_that_says_so() -> None:
    result = run(endless)
    assert result.verdict == "failed"
    assert result.trouble is not None
    assert result.trouble.line.startswith("not over after 1.5 s of machine time (test_labs.py:")
    assert [entry.at >= result.began for entry in result.entries] == [True]


@scenario(nodes="pub sub1", timing="instant")
async def deadlocked(lab: Lab) -> None:
    """Wait in a world where nothing moves any more."""
    for node in lab.nodes:
        await node.kill()
    await asyncio.get_running_loop().create_future()


def test_a_story_in_a_dead_world_is_a_failed_run_that_says_so() -> None:
    result = run(deadlocked)
    assert result.verdict == "failed"
    assert result.trouble is not None
    assert result.trouble.line.startswith("every task waits and nothing is due")


@scenario(nodes="pub sub1", timing="instant", plant="unsigned")
async def gullible(lab: Lab) -> None:
    """Have somebody forge an entry."""
    before = [node.database(INVENTED_IN) for node in lab.nodes]
    await lab.inject("forge", "sub1")
    lab.check([node.database(INVENTED_IN) for node in lab.nodes] == before, "nobody believes it")


def test_a_bug_that_is_planted_in_what_surrounds_the_nodes_is_there() -> None:
    assert run(gullible).verdict == "failed"
    assert run(dataclasses.replace(gullible, plant=None)).verdict == "held"


@scenario(nodes="pub sub1", timing="instant", plant="gremlins")
async def misplanted(lab: Lab) -> None:
    """Plant what there is not."""
    lab.check(True, "never told")


def test_a_bug_that_there_is_not_is_refused() -> None:
    with pytest.raises(Unusable, match=r"^misplanted plants 'gremlins', which there is not; there are out-of-order, "):
        run(misplanted)


def test_options_say_otherwise_than_the_story() -> None:
    cluster = topology_for(plain, Options(release="12.5", replication="modern", timing="product"))
    assert (cluster.release, cluster.replication, cluster.timing) == ("12.5", "modern", "product")
    assert topology_for(plain, Options()).release == "14SU2"


@scenario(nodes="pub sub1", timing="instant", der_pkcs7=True, strict_uploads=True)
async def permissive(lab: Lab) -> None:
    """Upload a chain in DER."""
    sub1, root = lab.node("sub1"), await lab.ca("Corp Root CA")
    (await sub1.upload("tomcat-trust", root.pkcs7(encoding="der"))).must_be("done")
    lab.check(root.fingerprint in sub1.files("tomcat-trust"), "it is there")


@pytest.mark.rule("X-15")
def test_what_nodes_accept_in_an_upload_is_the_storys_or_the_options() -> None:
    refusing = dataclasses.replace(permissive, der_pkcs7=False)
    assert run(permissive).verdict == "held"
    assert run(refusing).verdict == "failed"
    assert run_story(refusing, Options(der_pkcs7=True), lambda _entry, _began: None).verdict == "held"


@scenario(nodes="pub sub1", timing="instant", strict_uploads=True)
async def strict(lab: Lab) -> None:
    """Upload what a CA made otherwise than it was asked."""
    pub, root = lab.node("pub"), await lab.ca("Corp Root CA")
    (await pub.upload("tomcat-trust", root.pem)).must_be("done")
    leaf = await root.sign((await pub.generate_csr("tomcat")).pem, eku=["serverAuth"])
    (await pub.upload("tomcat", leaf.pem)).must_be("refused", "extension_missing")
    lab.check(pub.identity("tomcat") != leaf.fingerprint, "the identity is what it was")


@pytest.mark.rule("R-031")
def test_what_a_request_asked_for_is_insisted_on_where_the_story_or_the_options_say_so() -> None:
    lenient = dataclasses.replace(strict, strict_uploads=False)
    assert run(strict).verdict == "held"
    assert run(lenient).verdict == "failed"
    assert run_story(lenient, Options(strict_uploads=True), lambda _entry, _began: None).verdict == "held"


def test_every_node_of_a_storys_lab_is_told_what_to_accept_in_both_modes(tmp_path: Path) -> None:
    for story, options in ((permissive, Options()), (plain, Options(der_pkcs7=True, strict_uploads=True))):
        cluster = topology_for(story, options)
        home = provision(tmp_path / story.name, cluster, wall_start=0, keys=simulation_keys())
        local = [home.node_config(name) for name in cluster.names]
        told = {(each.der_pkcs7, each.strict_uploads) for each in (*local, *configs_of(cluster, seed=1))}
        assert told == {(True, True)}


def test_a_run_is_told_again_with_what_was_asked_for() -> None:
    assert again(plain, Options(der_pkcs7=True, strict_uploads=True)).endswith(" --accept-der-pkcs7 --strict-uploads")
    assert "--strict-uploads" not in again(permissive, Options())


@pytest.mark.parametrize("options", [Options(release="3.14"), Options(replication="wishful"), Options(profile="odd")])
def test_a_cluster_that_cannot_be_is_refused(options: Options) -> None:
    with pytest.raises(Unusable):
        run_story(plain, options, lambda _entry, _began: None)


@scenario(nodes="pub sub1", timing="instant", budget="1500ms")
async def spinning(lab: Lab) -> None:
    """Never await."""
    lab.check(True, "so far, so good")
    while True:
        pass


@pytest.mark.slow
def test_a_story_that_never_awaits_is_a_failed_run_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "GRACE_S", 0.05)
    result = run(spinning)
    assert result.verdict == "failed"
    assert result.trouble is not None
    assert result.trouble.line.startswith("not over after 1.5 s of machine time (test_labs.py:")
