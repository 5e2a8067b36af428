"""The simulated world keeps the disk's contract and the network's."""

import random

import pytest

from tests.playbook import LogBook, row
from ucmlab.broker.messages import LogEntry
from ucmlab.cluster.sim.disk import SimDisk
from ucmlab.cluster.sim.lab import START_OF_LAB, configs_of
from ucmlab.cluster.sim.world import World
from ucmlab.cluster.topology import Settings, topology
from ucmlab.node.commands import AppendLog, ApplyEntry, RecordOrder, RemoveFile, Reply, WriteFile
from ucmlab.node.events import DiskImage, FileImage, Upload
from ucmlab.node.instant import MINUTE, SECOND
from ucmlab.node.log_hash import entry_hash

A, B = row("Root A"), row("Root B")


def write(name: str, version: int) -> WriteFile:
    return WriteFile("tomcat-trust", name, A.der, f"version {version}", "")


def applied(book: LogBook, entry: LogEntry) -> ApplyEntry:
    payload = book.payloads[entry.seq - 1]
    return ApplyEntry(entry.epoch, entry.seq, entry_hash(payload), entry.op_id, entry.removes, entry.adds, ())


# -- the disk


def test_a_power_cut_may_lose_any_unsynced_suffix_of_each_file_and_of_the_database() -> None:
    kept: set[tuple[str, str, int]] = set()
    for seed in range(400):
        disk, book = SimDisk(DiskImage()), LogBook()
        disk.write_file(write("one.pem", 0))
        disk.sync(files=True)
        for version in (1, 2):
            disk.write_file(write("one.pem", version))
        disk.write_file(write("two.pem", 0))
        disk.remove_file(RemoveFile("tomcat-trust", "two.pem"))
        for each in (A, B):
            disk.change_database(applied(book, book.add(each)))
        disk.cut_power(random.Random(seed))
        files = {name: image.description for (_, name), image in disk.files.items()}
        kept.add((files["one.pem"], files.get("two.pem", "none"), disk.replica().seq))
    assert kept == {
        (f"version {one}", two, seq) for one in (0, 1, 2) for two in ("none", "version 0") for seq in (0, 1, 2)
    }


def test_what_was_synced_survives_every_power_cut() -> None:
    for seed in range(50):
        disk, book = SimDisk(DiskImage()), LogBook()
        disk.write_file(write("one.pem", 1))
        disk.change_database(applied(book, book.add(A)))
        disk.sync(files=True)
        before = disk.image()
        disk.cut_power(random.Random(seed))
        assert disk.image() == before


@pytest.mark.rule("S6")
def test_the_log_and_operation_ids_survive_a_power_cut_without_a_sync() -> None:
    disk, book = SimDisk(DiskImage()), LogBook()
    entry = book.add(A)
    disk.append_log(AppendLog(1, entry.seq, entry.op_id, book.payloads[0]))
    disk.record_order(RecordOrder("op-9").op_id)
    disk.cut_power(random.Random(1))
    assert (disk.log_image().payloads, disk.image().done_orders) == (tuple(book.payloads), ("op-9",))


def test_every_load_counts_the_boot() -> None:
    disk = SimDisk(DiskImage(boot=0, files=(FileImage("tomcat-trust", "a.pem", A.der),)))
    assert [disk.load().boot for _ in range(3)] == [1, 2, 3]


# -- nodes, links, the broker


def installed(*, latency: tuple[int, int] = (0, 0)) -> World:
    configs = configs_of(topology(Settings(nodes="pub,sub1,sub2")), seed=1)
    world = World(configs, {}, seed=1, wall=START_OF_LAB, latency=latency)
    world.broker.start()
    for config in configs:
        world.start_node(config.name)
    world.run_until(10 * MINUTE)
    return world


def upload(world: World, node: str, op_id: str, der: bytes = A.der) -> None:
    world.deliver(world.nodes[node], Upload(op_id, "tomcat-trust", der))


def holders(world: World, fingerprint: str = A.fingerprint) -> list[str]:
    return [
        name
        for name, node in world.nodes.items()
        if fingerprint in {each.fingerprint for each in node.disk.replica().rows}
    ]


@pytest.mark.parametrize("lives", range(8))
def test_a_kill_in_the_middle_of_a_list_keeps_a_prefix_of_it(lives: int) -> None:
    whole: list[str] = []
    world = installed()
    world.on_step.append(lambda _node, _event, wanted: whole.extend(type(each).__name__ for each in wanted))
    upload(world, "pub", "op-1")
    torn = installed()
    done: list[str] = []
    node = torn.nodes["pub"]
    for kind in (WriteFile, AppendLog, ApplyEntry, Reply):
        torn.watch_performed(kind, lambda _node, command: done.append(type(command).__name__))
    node.commands_to_live = lives
    upload(torn, "pub", "op-1")
    wanted = [name for name in whole[:lives] if name in ("WriteFile", "AppendLog", "ApplyEntry", "Reply")]
    assert (node.life, done) == ("down", wanted)


@pytest.mark.rule("C-04")
def test_a_stalled_link_loses_nothing_and_keeps_the_order() -> None:
    world = installed()
    world.network.isolate("sub1")
    world.reachability_changed()
    for number in range(5):
        upload(world, "pub", f"op-{number}", row(f"Root {number}").der)
    world.run_until(world.now + MINUTE)
    before = world.nodes["sub1"].core.replica.position  # type: ignore[union-attr]  # it is up
    seen: list[int] = []
    world.watch_performed(ApplyEntry, lambda node, each: seen.append(each.seq) if node.name == "sub1" else None)
    world.network.heal()
    world.reachability_changed()
    world.run_until(world.now + SECOND)
    assert seen == list(range(before[1] + 1, before[1] + 6))


def test_a_broker_that_restarts_empty_is_told_everything_again() -> None:
    world = installed()
    world.broker.kill()
    world.run_until(world.now + SECOND)
    upload(world, "pub", "op-1")
    upload(world, "sub1", "op-2", B.der)
    world.broker.start()
    world.run_until(world.now + 31 * MINUTE)
    assert (holders(world), holders(world, B.fingerprint)) == (["pub", "sub1", "sub2"], ["pub", "sub1", "sub2"])


def test_a_paused_node_sees_what_came_meanwhile_in_order_when_it_is_resumed() -> None:
    world = installed()
    world.pause_node("sub2")
    upload(world, "pub", "op-1")
    world.run_until(world.now + MINUTE)
    assert holders(world) == ["pub", "sub1"]
    world.resume_node("sub2")
    world.run_until(world.now + SECOND)
    assert holders(world) == ["pub", "sub1", "sub2"]
