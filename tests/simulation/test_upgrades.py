"""Upgrades of whole clusters in virtual time: every release to every next one, mixed clusters, deaths on the way."""

from datetime import timedelta
from functools import lru_cache
from itertools import pairwise
from random import Random

import pytest

from tests.playbook import row
from tests.simulation.stories import told
from ucmlab.broker.messages import Row
from ucmlab.cluster.search.image import ClusterImage, cluster_image
from ucmlab.cluster.sim.world import SimNode, World
from ucmlab.cluster.topology import Settings
from ucmlab.node.certificates import parse
from ucmlab.node.commands import AnyCommand, Reply, SetRelease
from ucmlab.node.config import Policy
from ucmlab.node.events import AnyEvent, FileImage, Upgrade, Upload
from ucmlab.node.instant import MINUTE, SECOND
from ucmlab.node.rulebook import RuleBook
from ucmlab.scenarios import Lab

OLD, NEW, NODES = "11.0", "14SU2", ("pub", "sub1")
RELEASES = RuleBook.load("15").releases
EXPIRED = {"CAP-RTP-001", "CAP-RTP-002", "VeriSign Class 3 Secure Server CA - G3"}
"""Of the image of releases below 14: over since years when the lab begins."""
DROPPING = RELEASES[RELEASES.index("14SU2") :]


def names(lab: Lab, node: str, unit: str) -> set[str]:
    return {entry.name for entry in lab.node(node).certificates(unit)}


@pytest.mark.rule("B.19", "A.19", "B.2")
@pytest.mark.parametrize(("before", "after"), [*pairwise(RELEASES), ("10.5", "15")])
def test_a_cluster_of_every_release_becomes_one_of_the_next(before: str, after: str) -> None:
    async def story(lab: Lab) -> None:
        root = await lab.ca("Corp Root CA")
        (await lab.node("sub1").upload("CallManager-trust", root.pem)).must_be("done")
        await lab.converged(within="31m")
        kept = {(node.name, unit): node.identity(unit) for node in lab.nodes for unit in ("tomcat", "ipsec")}
        (await lab.upgrade(after)).must_be("done")
        await lab.converged(within="31m")
        for node in lab.nodes:
            role = node.name.rstrip("12")
            profiles = RuleBook.load(after).identity_profiles(role)  # type: ignore[arg-type]  # the nodes' names are roles
            lab.check(all(node.identity(each.unit) for each in profiles), f"{node.name} has all identities")
            lab.check(node.release == after, f"{node.name} runs {after}")
            # Copies of identities that nodes made after this one had booted come as at any other time.
            waits = {unit for units in node.pending().values() for unit in units}
            lab.check(all(unit.endswith("-trust") for unit in waits), f"{node.name} has its own loaded", waits)
        last = lab.nodes[-1]
        lab.check(not last.pending(), "nothing comes after the last one's boot", last.pending())
        lab.check(kept == {key: lab.node(key[0]).identity(key[1]) for key in kept}, "what was there stays")
        lab.check(all(root.fingerprint in lab.node(each).files("CallManager-trust") for each in ("pub", "sub1")), "too")
        there = EXPIRED & {*names(lab, "sub1", "CallManager-trust"), *names(lab, "pub", "CAPF-trust")}
        rows = RuleBook.load(before).default_cas
        shipped = {name for name in EXPIRED & rows.keys() if rows[name].installed and "CAPF-trust" in rows[name].units}
        lab.check(bool(there) == bool(shipped and after not in DROPPING), "what has expired goes from 14SU2 on", there)
        again = await lab.upgrade(after)
        lab.check((again.outcome, again.reason) == ("refused", "release_not_later"), "once is enough", again)

    told(story, Settings(nodes="pub,sub1,imp1", release=before))


@pytest.mark.rule("X-09", "B.19")
def test_from_11_on_a_delete_reaches_all_nodes_whatever_the_cluster_was_before() -> None:
    async def story(lab: Lab) -> None:
        pub, sub1 = lab.nodes
        root = await lab.ca("Corp Root CA")
        (await pub.upload("tomcat-trust", root.pem)).must_be("done")
        await lab.converged(within="31m")
        (await pub.delete("tomcat-trust", root.fingerprint)).must_be("done")
        lab.check(root.fingerprint in sub1.files("tomcat-trust"), "in 10.5 a delete is one node's affair")
        (await lab.upgrade("11.0")).must_be("done")
        await lab.converged(within="62m")
        lab.check(lab.dump()["replication"] == "faithful", "the policy is the release's", lab.dump()["replication"])
        lab.check(root.fingerprint in pub.files("tomcat-trust"), "what one node had still is back with all")
        (await pub.delete("tomcat-trust", root.fingerprint)).must_be("done")
        await lab.converged(within="31m")
        await lab.wait("62m")
        lab.check(
            not any(root.fingerprint in each.files("tomcat-trust") for each in lab.nodes), "now it goes everywhere"
        )

    told(story, Settings(nodes="pub,sub1", release="10.5"))


@pytest.mark.rule("B.19")
def test_in_the_middle_of_an_upgrade_each_side_keeps_to_itself_and_afterwards_all_have_everything() -> None:
    async def story(lab: Lab) -> None:
        pub, sub1 = lab.nodes
        here, there = await lab.ca("New Side CA"), await lab.ca("Old Side CA")
        (await pub.upgrade(NEW)).must_be("done")
        (await pub.upload("tomcat-trust", here.pem)).must_be("done")
        (await sub1.upload("tomcat-trust", there.pem)).must_be("partial", "publisher_unreachable")
        await lab.converged(within="31m")
        lab.check(
            lab.dump()["converged_except"] == {"sub1": "release"}, "sub1 is left out", lab.dump()["converged_except"]
        )
        await lab.wait("2h")
        lab.check(here.fingerprint not in sub1.database("tomcat-trust"), "nothing reaches sub1")
        lab.check(there.fingerprint not in pub.database("tomcat-trust"), "and nothing leaves it")
        differ = [(each["node"], each["publisher"]) for each in lab.events("releases_differ")]
        lab.check(differ == [("sub1", NEW)], "sub1 says why", differ)
        await sub1.stop()
        await sub1.start()
        await lab.wait("2h")
        lab.check(here.fingerprint not in sub1.database("tomcat-trust"), "not after a boot either")
        (await sub1.upgrade(NEW)).must_be("done")
        await lab.converged(within="31m")
        for node in lab.nodes:
            both = node.files("tomcat-trust") & node.database("tomcat-trust")
            lab.check({here.fingerprint, there.fingerprint} <= both, f"{node.name} has both")

    told(story, Settings(nodes="pub,sub1", release=OLD))


@pytest.mark.rule("B.19", "X-04")
def test_a_node_whose_clock_runs_ahead_takes_nothing_away_from_the_others() -> None:
    async def story(lab: Lab) -> None:
        pub, sub1 = lab.nodes
        root = await lab.ca("Corp Root CA", not_after=lab.now + timedelta(days=300))
        (await pub.upload("tomcat-trust", root.pem)).must_be("done")
        await lab.converged(within="31m")
        (await pub.upgrade(NEW)).must_be("done")
        await lab.inject("clock", sub1, offset="+400d")
        (await sub1.upgrade(NEW)).must_be("done")
        await lab.end_fault("clock", sub1)
        await lab.converged(within="62m")
        for node in lab.nodes:
            lab.check(root.fingerprint in node.files("tomcat-trust"), f"{node.name} has it")

    told(story, Settings(nodes="pub,sub1", release=OLD))


@pytest.mark.rule("B.2", "B.19")
def test_what_lies_in_a_unit_that_is_no_more_is_in_nobodys_way() -> None:
    async def story(lab: Lab) -> None:
        pub, sub1 = lab.nodes
        root, other = await lab.ca("Directory CA"), await lab.ca("Corp Root CA")
        for unit, ca in (("directory-trust", root), ("tomcat-trust", other)):
            (await sub1.upload(unit, ca.pem)).must_be("done")
        await lab.converged(within="31m")
        (await lab.upgrade("14SU2")).must_be("done")
        await lab.converged(within="31m")
        for node in (pub, sub1):
            lab.check(
                not node.files("directory-trust") | node.database("directory-trust"), f"{node.name} has no such unit"
            )
            await node.kill()
            await node.start()
        await lab.converged(within="31m")
        (await sub1.delete("tomcat-trust", other.fingerprint)).must_be("done")
        await lab.converged(within="31m")
        lab.check(other.fingerprint not in pub.database("tomcat-trust"), "and replication goes on")
        alarms = {each["alarm"] for each in lab.events("alarm")}
        lab.check(not alarms & {"log_fork", "digest_mismatch"}, "nobody complains", alarms)

    told(story, Settings(nodes="pub,sub1", release="10.5"))


@pytest.mark.parametrize("how", ["stop", "pause", "isolate"])
def test_a_lab_that_is_not_all_there_is_not_upgraded_at_all(how: str) -> None:
    async def story(lab: Lab) -> None:
        pub, sub1 = lab.nodes
        await (lab.isolate(sub1) if how == "isolate" else getattr(sub1, how)())
        refused = await lab.upgrade(NEW)
        refused.must_be("refused", "node_down")
        lab.check(refused.text == f"sub1 is {sub1.state}, and nothing was changed", "it says who", refused.text)
        lab.check(pub.release == OLD, "the publisher stays as it is")

    told(story, Settings(nodes="pub,sub1", release=OLD))


@pytest.mark.rule("B.19")
def test_who_was_left_behind_catches_up_in_one_step() -> None:
    async def story(lab: Lab) -> None:
        pub, sub1 = lab.nodes
        (await pub.upgrade("14")).must_be("done")
        late = await lab.upgrade(NEW)
        late.must_be("done")
        lab.check(late.nodes == {"pub": "done", "sub1": "done"}, "both are upgraded", late.nodes)
        steps = [(each["node"], each["former"]) for each in lab.events("upgraded")]
        lab.check(steps == [("pub", OLD), ("pub", "14"), ("sub1", OLD)], "sub1 once", steps)
        await lab.converged(within="31m")
        lab.check(sub1.release == NEW, "sub1 runs what the publisher runs")

    told(story, Settings(nodes="pub,sub1", release=OLD))


# -- deaths


@lru_cache(maxsize=1)
def image() -> ClusterImage:
    return cluster_image(NODES, OLD, "faithful")


def running(*, publisher_is_new: bool) -> World:
    """A cluster of the old release; its publisher has been upgraded, or not."""
    made = image()
    world = World(made.configs, dict(made.disks), seed=1, wall=made.wall)
    world.broker.start()
    for name in NODES:
        world.start_node(name)
    world.run_until(5 * MINUTE)
    if publisher_is_new:
        upgrade(world, "pub")
        world.run_until(world.now + 5 * MINUTE)
    return world


def upgrade(world: World, name: str, *, lives: int | None = None) -> None:
    """Upgrade a node; it dies after so many commands of the boot into the new release."""
    node = world.nodes[name]
    world.deliver(node, Upgrade(f"op-{name}", NEW))
    world.stop_node(name)
    node.commands_to_live = lives
    world.start_node(name)


def carried(world: World) -> object:
    """What counts of the end of an upgrade, but for keys: those of an upgrade that was cut off are other ones."""
    return {
        name: (
            node.config.release,
            node.disk.former,
            sorted(node.disk.identities),
            sorted((file.unit, parse(file.der).common_name) for file in node.disk.files.values()),
            sorted((row.unit, parse(row.der).common_name, row.holders) for row in node.disk.replica().rows),
        )
        for name, node in world.nodes.items()
    }


def commands_of_an_upgrade(name: str) -> int:
    """How many commands a boot into the new release is long, up to the one that ends it."""
    seen: list[AnyCommand] = []
    world = running(publisher_is_new=name != "pub")

    def step(node: SimNode, _event: AnyEvent, wanted: list[AnyCommand]) -> None:
        if node.name == name:
            seen.extend(wanted)

    node = world.nodes[name]
    world.deliver(node, Upgrade("op-1", NEW))
    world.stop_node(name)
    world.on_step.append(step)
    world.start_node(name)
    world.run_until(world.now + MINUTE)
    return next(at for at, each in enumerate(seen) if isinstance(each, SetRelease)) + 2


@pytest.mark.rule("B.19")
@pytest.mark.parametrize("name", NODES)
def test_a_node_killed_at_any_command_of_its_upgrade_ends_as_one_that_was_not(name: str) -> None:
    whole = running(publisher_is_new=name != "pub")
    upgrade(whole, name)
    whole.run_until(whole.now + 40 * MINUTE)
    expected = carried(whole)
    points = commands_of_an_upgrade(name)
    assert points > 10
    for lives in range(points):
        world = running(publisher_is_new=name != "pub")
        upgrade(world, name, lives=lives)
        world.run_until(world.now + MINUTE)
        node = world.nodes[name]
        assert (node.life, node.disk.release) == ("down", NEW), lives
        world.start_node(name)
        world.run_until(world.now + 40 * MINUTE)
        assert carried(world) == expected, f"killed after {lives} commands"


@pytest.mark.rule("B.19")
@pytest.mark.parametrize("lives", range(5))
def test_a_node_killed_before_the_step_keeps_its_release_and_after_it_has_the_new_one(lives: int) -> None:
    world = running(publisher_is_new=False)
    node = world.nodes["pub"]
    done: list[str] = []
    world.watch_performed(SetRelease, lambda _node, each: done.append(each.release))
    node.commands_to_live = lives
    world.deliver(node, Upgrade("op-1", NEW))
    if node.life == "up":
        world.kill_node("pub")
    world.start_node("pub")
    world.run_until(world.now + MINUTE)
    core = node.core
    assert core is not None
    assert core.config.release == (done[0] if done else OLD)
    assert core.status().installed


@pytest.mark.rule("B.19")
def test_a_backup_brings_the_release_back_that_it_was_made_of() -> None:
    async def story(lab: Lab) -> None:
        sub1 = lab.node("sub1")
        (await lab.upgrade(NEW)).must_be("done")
        await lab.converged(within="31m")
        await lab.inject("restore-backup", sub1, of="installation")
        await lab.wait("2h")
        lab.check(sub1.release == OLD, "sub1 runs the old one", sub1.release)
        lab.check(lab.dump()["converged_except"] == {"sub1": "release"}, "and hears nothing of the others")
        (await sub1.upgrade(NEW)).must_be("done")
        await lab.converged(within="31m")
        lab.check(
            sub1.files("CallManager-trust") == lab.node("pub").files("CallManager-trust"), "until it follows again"
        )

    told(story, Settings(nodes="pub,sub1", release=OLD))


# -- anything at any time

THREE = ("pub", "sub1", "sub2")
ACTS = ("upload", "upload", "kill", "start", "start", "upgrade", "upgrade", "isolate", "heal", "doom")
PAUSES = (SECOND // 10, SECOND, 10 * SECOND, MINUTE, 5 * MINUTE)


class Muddle:
    """A cluster under upgrade whose nodes are uploaded to, killed, cut off and upgraded in any order."""

    def __init__(self, seed: int, release: str, policy: Policy) -> None:
        made = cluster_image(THREE, release, policy)
        self.random = Random(seed)
        self.world = World(made.configs, dict(made.disks), seed=seed, wall=made.wall)
        self.done: set[str] = set()
        self.uploads: dict[str, Row] = {}
        self.world.on_reply = self._replied
        self.world.broker.start()
        for name in THREE:
            self.world.start_node(name)
        self.world.run_until(5 * MINUTE)

    def _replied(self, _node: str, reply: Reply) -> None:
        if reply.outcome == "done":
            self.done.add(reply.op_id)

    def act(self, number: int) -> None:
        world, name, what = self.world, self.random.choice(THREE), self.random.choice(ACTS)
        node = world.nodes[name]
        if what == "start" and node.life == "down":
            world.start_node(name)
        elif what == "isolate":
            world.network.isolate(name)
        elif what == "heal":
            world.network.heal()
        elif node.life == "up":
            self._act_on(node, what, f"op-{number}")
        world.reachability_changed()
        world.run_until(world.now + self.random.choice(PAUSES))

    def _act_on(self, node: SimNode, what: str, op_id: str) -> None:
        if what == "upload":
            self.uploads[op_id] = held = row(f"Root {op_id}")
            unit = self.random.choice(("tomcat-trust", "CallManager-trust"))
            self.world.deliver(node, Upload(op_id, unit, held.der))
        elif what == "upgrade":
            self.upgrade(node, op_id, self.random.choice((None, self.random.randrange(60))))
        elif what == "kill":
            self.world.kill_node(node.name)
        elif what == "doom":
            node.commands_to_live = self.random.randrange(40)

    def upgrade(self, node: SimNode, op_id: str, lives: int | None) -> None:
        self.world.deliver(node, Upgrade(op_id, NEW))
        if op_id in self.done:
            self.world.stop_node(node.name)
            node.commands_to_live = lives
            self.world.start_node(node.name)

    def mend(self) -> None:
        """Everybody is there again, and whoever was not upgraded is now."""
        world = self.world
        world.network.heal()
        world.reachability_changed()
        for node in world.nodes.values():
            node.commands_to_live = None
            if node.life == "down":
                world.start_node(node.name)
        world.run_until(world.now + 10 * MINUTE)
        for node in world.nodes.values():
            if node.config.release != NEW:
                self.upgrade(node, f"last-{node.name}", None)
                world.run_until(world.now + 5 * MINUTE)
        world.run_until(world.now + 70 * MINUTE)

    def lost(self) -> set[str]:
        """Uploads that were acknowledged and are not everywhere."""
        files = [{file.der for file in node.disk.files.values()} for node in self.world.nodes.values()]
        done = {op_id: held for op_id, held in self.uploads.items() if op_id in self.done}
        return {op_id for op_id, held in done.items() if not all(held.der in each for each in files)}


@pytest.mark.rule("B.19", "B.6")
@pytest.mark.parametrize(
    ("seed", "release", "policy"),
    [
        *((seed, "12.5", "faithful") for seed in range(12)),
        *((seed, "10.5", "legacy") for seed in range(12)),
        *((seed, "11.0", "modern") for seed in range(12)),
    ],
)
def test_whatever_happens_on_the_way_all_end_alike_with_nothing_expired_and_nothing_lost(
    seed: int, release: str, policy: Policy
) -> None:
    muddle = Muddle(seed, release, policy)
    for number in range(40):
        muddle.act(number)
    muddle.mend()
    cores = [node.core for node in muddle.world.nodes.values() if node.core is not None]
    statuses = [core.status() for core in cores]
    assert [(each.installed, each.files_agree, each.open_operations) for each in statuses] == [(True, True, 0)] * 3
    assert len({(each.epoch, each.seq, each.digest) for each in statuses}) == 1
    assert muddle.lost() == set()
    assert [
        EXPIRED & {parse(file.der).common_name for file in _files(node)} for node in muddle.world.nodes.values()
    ] == [set()] * 3
    alarms = {line.record.fields["alarm"] for line in muddle.world.journal if line.record.name == "alarm"}
    assert not alarms & {"log_fork", "digest_mismatch"}


def _files(node: SimNode) -> list[FileImage]:
    return list(node.disk.files.values())
