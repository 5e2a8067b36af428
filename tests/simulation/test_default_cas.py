"""The product's default CAs in virtual time: they are there, they can be deleted, and who brings them back.

Who does is a node of the cluster that is started for the first time after the others have deleted one.
"""

import pytest

from tests.simulation.stories import told
from ucmlab.cluster.sim.lab import START_OF_LAB, configs_of
from ucmlab.cluster.sim.world import World
from ucmlab.cluster.topology import Settings, topology
from ucmlab.node.certificates import parse
from ucmlab.node.config import Policy
from ucmlab.node.events import Delete
from ucmlab.node.instant import MINUTE
from ucmlab.scenarios import Lab

EARLY, LATE = ("pub", "sub1"), "sub2"
UNITS = ("CAPF-trust", "CallManager-trust")
GONE = "Cisco Manufacturing CA"
BEYOND_A_RESYNC = 35 * MINUTE


def places(world: World, name: str) -> dict[str, tuple[str, ...]]:
    """Node to the units in whose files the default CA of that name lies."""
    return {
        node.name: tuple(sorted(file.unit for file in node.disk.files.values() if parse(file.der).common_name == name))
        for node in world.nodes.values()
    }


def after_a_late_start(release: str, replication: Policy, *, on: tuple[str, ...]) -> World:
    """A cluster in which one was deleted from both units by these nodes, before the late one came up."""
    configs = configs_of(topology(Settings(nodes=(*EARLY, LATE), release=release, replication=replication)), seed=1)
    world = World(configs, {}, seed=1, wall=START_OF_LAB)
    world.broker.start()
    for name in EARLY:
        world.start_node(name)
    world.run_until(MINUTE)
    assert places(world, GONE) == {**dict.fromkeys(EARLY, UNITS), LATE: ()}
    (fingerprint,) = {parse(der).fingerprint for der in configs[0].default_cas if parse(der).common_name == GONE}
    for name in on:
        for unit in UNITS:
            world.deliver(world.nodes[name], Delete(f"delete-{name}-{unit}", unit, fingerprint))
        world.run_until(world.now + MINUTE // 2)
    assert places(world, GONE) == dict.fromkeys((*EARLY, LATE), ())
    world.start_node(LATE)
    world.run_until(world.now + BEYOND_A_RESYNC)
    return world


@pytest.mark.rule("B.2", "B.6")
@pytest.mark.parametrize(
    ("release", "replication", "comes_back_to"),
    [("14SU2", "modern", ()), ("10.5", "modern", ()), ("14SU2", "faithful", ("CallManager-trust",))],
)
def test_a_node_that_comes_late_brings_a_deleted_one_back_where_files_win(
    release: str, replication: Policy, comes_back_to: tuple[str, ...]
) -> None:
    world = after_a_late_start(release, replication, on=("pub",))
    assert places(world, GONE) == dict.fromkeys((*EARLY, LATE), comes_back_to)
    for name, row in world.rulebook.default_cas.items():
        if name != GONE:
            assert places(world, name) == dict.fromkeys((*EARLY, LATE), tuple(sorted(row.units)))


@pytest.mark.rule("B.2", "X-09")
def test_before_11_one_that_two_nodes_have_deleted_is_back_with_the_third() -> None:
    world = after_a_late_start("10.5", "legacy", on=EARLY)
    assert places(world, GONE) == {**dict.fromkeys(EARLY, ("CallManager-trust",)), LATE: UNITS}


@pytest.mark.rule("B.2", "R-080", "X-09")
@pytest.mark.parametrize("replication", ["faithful", "modern"])
def test_a_deleted_one_stays_away_on_all_nodes_and_in_the_other_unit_it_stays(replication: Policy) -> None:
    async def story(lab: Lab) -> None:
        pub, sub1 = lab.node("pub"), lab.node("sub1")
        listed = sub1.certificates("CallManager-trust", cn=GONE)
        (here,) = [entry.certificate.fingerprint for entry in listed if entry.name == GONE]
        (await sub1.delete("CallManager-trust", here)).must_be("done")
        await lab.converged(within="1m")
        await lab.holds(
            lambda: not any(here in node.files("CallManager-trust") for node in (pub, sub1)), "2h", "it stays away"
        )
        lab.check(all(here in node.files("CAPF-trust") for node in (pub, sub1)), "and stays in CAPF-trust")

    told(story, Settings(nodes="pub,sub1,imp1", replication=replication))


@pytest.mark.rule("B.2", "R-052")
def test_the_certificate_list_shows_them_as_any_others() -> None:
    async def story(lab: Lab) -> None:
        listed = lab.node("sub1").certificates("CAPF-trust")
        kinds = {entry.name: entry.kind for entry in listed}
        lab.check(kinds["Cisco Root CA M2"] == "Self-signed", "a root signs itself", kinds)
        lab.check(kinds["ACT2 SUDI CA"] == "CA-signed", "what it issued is signed by it", kinds)
        lab.check(len(listed) == 5, "five of them", kinds)

    told(story, Settings(nodes="pub,sub1"))
