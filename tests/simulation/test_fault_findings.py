"""What the search found once the whole catalogue was in it, each as the short story of it."""

import pytest

from tests.playbook import row
from ucmlab.cluster.faults.bad_certificates import EXPECTED, bad_upload
from ucmlab.cluster.search.image import cluster_image
from ucmlab.cluster.sim.faults.performing import SimFaults
from ucmlab.cluster.sim.world import World
from ucmlab.node.commands import ApplyEntry, Record
from ucmlab.node.events import Delete, Upload
from ucmlab.node.instant import MINUTE, SECOND
from ucmlab.node.services import CHANGE_NOTIFICATION
from ucmlab.node.upload_files import read_upload

CA, OTHER = row("Corp Root CA"), row("Other Root CA")


def started() -> tuple[World, SimFaults]:
    image = cluster_image(("pub", "sub1", "sub2"))
    world = World(image.configs, image.disks, seed=1, wall=image.wall, memo=dict(image.memo))
    world.broker.start()
    for name in world.nodes:
        world.start_node(name)
    world.run_until(MINUTE)
    return world, SimFaults(world)


def upload(world: World, node: str, op_id: str, der: bytes = CA.der) -> None:
    world.deliver(world.nodes[node], Upload(op_id, "tomcat-trust", der))
    world.run_until(world.now + MINUTE)


def refusals(world: World) -> dict[str, str]:
    return {
        line.record.op_id: str(line.record.fields["reason"])
        for line in world.journal
        if line.record.name == "operation" and line.record.fields.get("outcome") == "refused"
    }


def records(world: World, node: str, name: str) -> list[Record]:
    return [line.record for line in world.journal if (line.node, line.record.name) == (node, name)]


@pytest.mark.rule("S1")
@pytest.mark.rule("S6")
def test_a_publisher_that_cannot_write_its_own_upload_ends_rather_than_go_on_with_a_log_that_its_disk_lacks() -> None:
    world, faults = started()
    pub = world.nodes["pub"]
    seqs: list[int] = []
    world.watch_performed(ApplyEntry, lambda node, each: seqs.append(each.seq) if node is pub else None)
    faults.inject("permission-denied", "pub", {"unit": "tomcat-trust"})
    upload(world, "pub", "op-1")
    assert (pub.life, seqs) == ("down", [])
    assert records(world, "pub", "alarm")[-1].fields["command"] == "WriteFile"
    faults.end_all()
    world.start_node("pub")
    world.run_until(world.now + MINUTE)
    before = pub.disk.position()[1]
    upload(world, "pub", "op-2")
    assert seqs == [before + 1]


@pytest.mark.rule("S3")
@pytest.mark.rule("S14")
def test_a_node_that_cannot_remove_a_file_does_not_acknowledge_the_delete_and_brings_nothing_back() -> None:
    world, faults = started()
    upload(world, "pub", "op-1")
    faults.inject("permission-denied", "sub1", {"unit": "tomcat-trust"})
    world.deliver(world.nodes["pub"], Delete("op-2", "tomcat-trust", CA.fingerprint))
    world.run_until(world.now + 2 * MINUTE)
    upload(world, "pub", "op-3", OTHER.der)  # another head, which would raise the floor
    publisher = world.nodes["pub"].core
    assert publisher is not None
    assert publisher.replica.tombstones.keys() == {CA.key}
    faults.end("permission-denied", "sub1")
    world.run_until(world.now + 65 * MINUTE)
    for node in world.nodes.values():
        assert CA.der not in {file.der for file in node.disk.files.values()}
        assert CA.fingerprint not in {each.fingerprint for each in node.disk.replica().rows}


@pytest.mark.rule("L1")
def test_a_follower_whose_last_news_a_broker_lost_hears_of_it_within_half_an_hour() -> None:
    world, faults = started()
    faults.inject("lose", "sub1", {})
    upload(world, "pub", "op-1")
    faults.end("lose", "sub1")
    world.run_until(world.now + 10 * SECOND)
    sub1 = world.nodes["sub1"].disk
    behind = sub1.position()
    world.run_until(world.now + 31 * MINUTE)
    assert behind < sub1.position() == world.nodes["pub"].disk.position()


@pytest.mark.rule("S3")
@pytest.mark.parametrize("late", [False, True], ids=["at once", "once its change notification comes up"])
def test_a_node_back_from_a_backup_below_the_floor_brings_nothing_back_that_was_deleted_for_everybody(
    *, late: bool
) -> None:
    world, faults = started()
    upload(world, "pub", "op-1")
    world.kill_node("sub1")
    world.start_node("sub1")
    world.run_until(world.now + MINUTE)
    world.deliver(world.nodes["pub"], Delete("op-2", "tomcat-trust", CA.fingerprint))
    for number in range(10):
        upload(world, "pub", f"op-more-{number}", row(f"Root {number}").der)
    publisher = world.nodes["pub"].core
    assert publisher is not None
    assert CA.key not in publisher.replica.tombstones
    if late:
        faults.inject("service-hangs", "sub1", {"service": CHANGE_NOTIFICATION}, until=world.now + 10 * MINUTE)
    faults.inject("restore-backup", "sub1", {"of": "last-start"})
    assert CA.der in {file.der for file in world.nodes["sub1"].disk.files.values()}
    world.run_until(world.now + MINUTE)
    upload(world, "pub", "op-other", OTHER.der)  # a head that tells the floor
    world.run_until(world.now + 65 * MINUTE)
    for node in world.nodes.values():
        assert CA.der not in {file.der for file in node.disk.files.values()}
        assert CA.fingerprint not in {each.fingerprint for each in node.disk.replica().rows}


@pytest.mark.rule("S3")
@pytest.mark.rule("S14")
def test_a_delete_that_a_node_missed_is_remembered_across_a_new_epoch() -> None:
    world, faults = started()
    upload(world, "pub", "op-1")
    faults.inject("replication", "sub1", {})
    world.deliver(world.nodes["pub"], Delete("op-2", "tomcat-trust", CA.fingerprint))
    world.run_until(world.now + MINUTE)
    world.kill_node("pub")
    world.start_node("pub")
    upload(world, "pub", "op-3", OTHER.der)
    faults.inject("restore-publisher", "pub", {"of": "last-start"})
    world.run_until(world.now + MINUTE)
    assert records(world, "pub", "epoch_begun")
    faults.end("replication", "sub1")
    world.run_until(world.now + 65 * MINUTE)
    for node in world.nodes.values():
        assert CA.der not in {file.der for file in node.disk.files.values()}
        assert CA.fingerprint not in {each.fingerprint for each in node.disk.replica().rows}


@pytest.mark.rule("L1")
def test_a_chain_whose_answer_never_came_is_proposed_whole_and_comes_to_everybody() -> None:
    world, faults = started()
    faults.inject("isolate", "sub1", {})
    chain = bad_upload("long-chain", world.wall_start + world.now, None)
    world.deliver(world.nodes["sub1"], Upload("op-1", "tomcat-trust", chain))
    world.run_until(world.now + 5 * MINUTE)
    faults.end("isolate", "sub1")
    world.kill_node("sub1")
    world.start_node("sub1")
    world.run_until(world.now + 35 * MINUTE)
    held = {file.der for file in world.nodes["sub1"].disk.files.values()}
    assert {each.der for each in read_upload(chain)} <= held
    for node in world.nodes.values():
        assert {each.fingerprint for each in read_upload(chain)} <= {
            each.fingerprint for each in node.disk.replica().rows
        }


@pytest.mark.rule("S5")
def test_an_old_start_date_is_refused_only_where_the_name_is_taken_and_whoever_brought_it_is_known() -> None:
    world, faults = started()
    brought: dict[str, str] = {}
    faults.stage.asked = lambda op_id, _kind, _node, _unit, fingerprint: brought.update({op_id: fingerprint})
    core = world.nodes["sub1"].core
    assert core is not None
    for number, row_there in enumerate(list(core.replica.of_unit("tomcat-trust").values())):
        world.deliver(world.nodes["sub1"], Delete(f"op-{number}", "tomcat-trust", row_there.fingerprint))
    world.run_until(world.now + MINUTE)
    for _ in range(2):
        faults.inject("bad-upload", "sub1", {"kind": "same-name-older"})
        world.run_until(world.now + MINUTE)
    (held,) = core.replica.of_unit("tomcat-trust")
    assert brought == {"fault-1": held, "fault-2": ""}
    assert refusals(world) == {"fault-2": EXPECTED["same-name-older"]}


@pytest.mark.rule("S5")
@pytest.mark.parametrize("kind", ["expired", "not-yet-valid"])
def test_what_is_out_of_date_is_so_by_the_clock_of_the_node_that_it_is_brought_to(kind: str) -> None:
    world, faults = started()
    for number, hours in enumerate(("-720h", "+720h"), 1):
        faults.inject("clock", "sub1", {"offset": hours})
        faults.inject("bad-upload", "sub1", {"kind": kind})
        world.run_until(world.now + MINUTE)
        assert refusals(world)[f"fault-{number}"] == EXPECTED[kind]
