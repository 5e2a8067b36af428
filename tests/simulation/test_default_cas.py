"""The product's default CAs in virtual time: they are there, they can be deleted, and who brings them back.

Who does is a node of the cluster that is started for the first time after the others have deleted one.
"""

import pytest

from tests.simulation.stories import told
from ucmlab.cluster.default_cas import simulated_default_cas
from ucmlab.cluster.sim.lab import START_OF_LAB, configs_of
from ucmlab.cluster.sim.world import World
from ucmlab.cluster.topology import Settings, topology
from ucmlab.node.certificates import parse
from ucmlab.node.commands import Reply
from ucmlab.node.config import Policy
from ucmlab.node.events import Delete, SetDefaultCas
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


def named(lab: Lab, unit: str) -> dict[str, frozenset[str]]:
    """Node to the names of the default CAs that lie in a unit, in its files and its database."""
    shipped = {parse(der).common_name for der in simulated_default_cas(lab.node("pub").release, "seed")}
    found = {}
    for node in lab.nodes:
        held = node.files(unit) & node.database(unit)
        listed = {entry.name for entry in node.certificates(unit) if entry.certificate.fingerprint in held}
        found[node.name] = frozenset(listed & shipped)
    return found


@pytest.mark.rule("B.9", "X-04")
@pytest.mark.parametrize("replication", ["faithful", "modern"])
def test_disabled_they_are_gone_from_all_nodes_enabled_they_are_back_but_in_capf_trust_on_the_publisher(
    replication: Policy,
) -> None:
    async def story(lab: Lab) -> None:
        pub, before = lab.node("pub"), {unit: named(lab, unit) for unit in UNITS}
        lab.check(all(len(names["sub1"]) == 5 for names in before.values()), "all are there", str(before))
        for _ in range(2):
            (await pub.set_default_cas(enabled=False)).must_be("done")
            await lab.converged(within="1m")
            for unit in UNITS:
                lab.check(named(lab, unit) == dict.fromkeys(before[unit], frozenset()), f"nobody has one in {unit}")
        await lab.holds(lambda: not any(named(lab, UNITS[1]).values()), "2h", "they stay away")
        for _ in range(2):
            (await pub.set_default_cas(enabled=True)).must_be("done")
            await lab.converged(within="1m")
            everywhere, alone = named(lab, "CallManager-trust"), named(lab, "CAPF-trust")
            lab.check(everywhere == before["CallManager-trust"], "where files are moved, all nodes have them again")
            lab.check(alone == {"pub": before["CAPF-trust"]["pub"], "sub1": set(), "imp1": set()}, "else the publisher")

    told(story, Settings(nodes="pub,sub1,imp1", replication=replication))


@pytest.mark.rule("B.9")
def test_one_of_them_and_only_on_the_publisher() -> None:
    async def story(lab: Lab) -> None:
        pub, sub1 = lab.node("pub"), lab.node("sub1")
        (await sub1.set_default_cas(enabled=False)).must_be("refused", "publisher_only")
        reply = await pub.set_default_cas(enabled=True, name="CAP-RTP-003")
        reply.must_be("refused", "not_a_default_ca")
        text = "The CAP-RTP-003 certificate is not in the list of default Cisco CA certificates."
        lab.check(reply.text == text, "in the product's words", reply.text)
        (await pub.set_default_cas(enabled=False, name=GONE)).must_be("done")
        await lab.converged(within="1m")
        for unit in UNITS:
            lab.check({len(names) for names in named(lab, unit).values()} == {4, 0}, f"the others stay in {unit}")
            lab.check(not any(GONE in names for names in named(lab, unit).values()), f"it left {unit}")
        lab.check("Cisco CallManager" in sub1.pending(), "who had loaded it is to be restarted")
        (await pub.set_default_cas(enabled=True, name=GONE)).must_be("done")
        await lab.converged(within="1m")
        lab.check(GONE in named(lab, UNITS[1])["sub1"], "and back")

    told(story)


@pytest.mark.rule("B.2", "B.9")
def test_those_that_have_expired_are_enabled_as_any_others() -> None:
    async def story(lab: Lab) -> None:
        pub = lab.node("pub")
        lab.check(len(named(lab, "CallManager-trust")["sub1"]) == 5, "a new installation has no CAP-RTP")
        (await pub.set_default_cas(enabled=False)).must_be("done")
        (await pub.set_default_cas(enabled=True)).must_be("done")
        await lab.converged(within="1m")
        lab.check("CAP-RTP-001" in named(lab, "CallManager-trust")["sub1"], "expired in 2023, and there")
        lab.check(named(lab, "tomcat-trust")["sub1"] == {"VeriSign Class 3 Secure Server CA - G3"}, "as this one")

    told(story, Settings(nodes="pub,sub1", release="12.5"))


@pytest.mark.rule("B.9", "B.10")
def test_a_later_one_of_the_name_is_not_replaced() -> None:
    async def story(lab: Lab) -> None:
        pub, later = lab.node("pub"), await lab.ca(GONE)
        (await pub.set_default_cas(enabled=False, name=GONE)).must_be("done")
        (await pub.upload("CallManager-trust", later.pem)).must_be("done")
        (await pub.set_default_cas(enabled=False)).must_be("done")
        lab.check(later.fingerprint in pub.files("CallManager-trust"), "it is none of the image")
        (await pub.set_default_cas(enabled=True)).must_be("refused", "same_cn_older_start")
        await lab.converged(within="1m")
        lab.check(not named(lab, "CAPF-trust")["pub"], "and none of the others came")

    told(story)


@pytest.mark.rule("B.9", "S1")
def test_killed_after_the_answer_it_is_so_nevertheless() -> None:
    async def story(lab: Lab) -> None:
        pub = lab.node("pub")
        (await pub.set_default_cas(enabled=False, name=GONE)).must_be("done")
        await pub.kill()
        await pub.start()
        await lab.converged(within="31m")
        lab.check(not any(GONE in names for names in named(lab, UNITS[1]).values()), "gone for good")

    told(story)


@pytest.mark.rule("B.9", "X-09")
def test_before_11_they_are_disabled_on_the_publisher_alone_as_a_delete_would_be() -> None:
    async def story(lab: Lab) -> None:
        (await lab.node("pub").set_default_cas(enabled=False)).must_be("done")
        await lab.wait("1m")
        for unit in UNITS:
            held = named(lab, unit)
            lab.check(
                (len(held["pub"]), len(held["sub1"])) == (0, 7), f"in {unit} the subscriber keeps them", str(held)
            )

    told(story, Settings(nodes="pub,sub1", release="10.5"))


def killed_while_enabling(replication: Policy, *, lives: int) -> tuple[bool, list[tuple[str, str]], World]:
    """Whether the publisher died before so many commands were performed; then its answers to the same asked again."""
    configs = configs_of(topology(Settings(nodes=EARLY, release="12.5", replication=replication)), seed=1)
    world, answers = World(configs, {}, seed=1, wall=START_OF_LAB), list[tuple[str, str]]()
    world.broker.start()
    for name in EARLY:
        world.start_node(name)
    world.run_until(MINUTE)
    pub = world.nodes["pub"]
    pub.commands_to_live = lives
    world.deliver(pub, SetDefaultCas("op-1", enabled=True))
    world.run_until(world.now + MINUTE)
    if pub.life != "down":
        return False, answers, world
    world.start_node("pub")
    world.run_until(world.now + MINUTE)
    world.watch_performed(Reply, lambda _, reply: answers.append((reply.outcome, reply.reason)))
    world.deliver(pub, SetDefaultCas("op-1", enabled=True))
    world.run_until(world.now + MINUTE)
    return True, answers, world


@pytest.mark.rule("B.9", "B.10")
@pytest.mark.parametrize("replication", ["faithful", "modern"])
def test_enabling_them_goes_on_after_a_kill_whatever_their_dates(replication: Policy) -> None:
    """Of 12.5 two have expired: what lies without a row is put forward, and not judged by its dates then either."""
    for lives in range(1, 60):
        killed, answers, world = killed_while_enabling(replication, lives=lives)
        if not killed:
            break
        assert (lives, answers) == (lives, [("done", "")])
        assert places(world, "CAP-RTP-001")["pub"] == UNITS
    assert 10 < lives < 59
