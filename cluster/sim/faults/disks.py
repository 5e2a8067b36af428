"""Disks that are full, forbid, forget, or change what they hold."""

from msgspec.structs import replace

from ucmlab.cluster.faults.ledger import Injected
from ucmlab.cluster.sim.disk import SimDisk
from ucmlab.cluster.sim.faults.nodes import start
from ucmlab.cluster.sim.faults.stage import Stage, Way
from ucmlab.node.events import DiskImage


def _repair_and_start(stage: Stage, injected: Injected) -> None:
    stage.relieve(injected)
    start(stage, injected)


def _pick_file(stage: Stage, injected: Injected) -> tuple[str, str] | None:
    files = sorted(key for key in stage.node(injected).disk.files if key[0] == injected.text("unit"))
    return stage.chance.choice(files) if files else None


def _flip(stage: Stage, injected: Injected) -> None:
    key = _pick_file(stage, injected)
    if key is not None:
        stage.node(injected).disk.spoil_file(key)
        stage.took_effect(injected)


def _lose_file(stage: Stage, injected: Injected) -> None:
    key = _pick_file(stage, injected)
    if key is not None:
        stage.node(injected).disk.lose_file(key)
        stage.took_effect(injected)


def _swap_disk(stage: Stage, injected: Injected, image: DiskImage) -> None:
    """Give the node another disk, and start it. Boots go on counting: the number is the lab's, of this node's lives."""
    node = stage.node(injected)
    if node.life != "down":
        stage.world.kill_node(node.name)
    boot, node.disk = node.disk.boot, SimDisk(image)
    node.disk.boot = boot
    stage.world.start_node(node.name)
    stage.took_effect(injected)


def _restore(stage: Stage, injected: Injected) -> None:
    node = stage.node(injected)
    image = node.backups.get(injected.text("of"))
    if image is not None:
        _swap_disk(stage, injected, image)


def _empty(stage: Stage, injected: Injected) -> None:
    kept = stage.node(injected).disk.image()
    still = DiskImage(boot=kept.boot, identities=kept.identities, keys=kept.keys, installed=kept.installed)
    _swap_disk(stage, injected, replace(still, fips=kept.fips, release=kept.release, former=kept.former))


ROWS = {
    "disk-full": Way(Stage.endanger, _repair_and_start),
    "permission-denied": Way(Stage.endanger, Stage.relieve),
    "bit-flip": Way(_flip),
    "file-gone": Way(_lose_file),
    "restore-backup": Way(_restore),
    "restore-publisher": Way(_restore),
    "empty-disk": Way(_empty),
}
