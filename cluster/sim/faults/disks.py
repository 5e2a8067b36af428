"""Disks that are full, forbid, forget, or change what they hold."""

import errno
import os

from ucmlab.cluster.faults.ledger import Injected
from ucmlab.cluster.sim.disk import SimDisk
from ucmlab.cluster.sim.faults.nodes import start
from ucmlab.cluster.sim.faults.stage import Stage, Way
from ucmlab.node import commands as c
from ucmlab.node.events import DiskImage

WRITES: tuple[type[c.Command], ...] = (
    c.WriteFile,
    c.ApplyEntry,
    c.InstallSnapshot,
    c.AppendLog,
    c.RecordAnswer,
    c.BeginEpoch,
    c.RecordOrder,
    c.SetEnabled,
    c.SetInstalled,
    c.MakeIdentity,
    c.MakeAuthz,
    c.OpenKeys,
)
"""What needs room on the disk."""


class BadDisk:
    """Has some commands fail."""

    def __init__(self, stage: Stage, injected: Injected, commands: tuple[type[c.Command], ...], number: int) -> None:
        """`number` is the error's, as in errno.h."""
        self._stage = stage
        self.injected = injected
        self._commands = commands
        self._number = number

    def before(self, command: c.AnyCommand) -> bool:
        """Fail what the disk does not take.

        Raises:
            OSError: that is this disk's fault.
        """
        unit = self.injected.values.get("unit")
        if isinstance(command, self._commands) and unit in (None, getattr(command, "unit", None)):
            self._stage.took_effect(self.injected)
            raise OSError(self._number, os.strerror(self._number))
        return False

    def after(self, command: c.AnyCommand) -> bool:  # noqa: ARG002  # what was performed is none of this fault's
        """Nobody dies of what worked."""
        return False


def _fill(stage: Stage, injected: Injected) -> None:
    stage.node(injected).hazards.append(BadDisk(stage, injected, WRITES, errno.ENOSPC))


def _forbid(stage: Stage, injected: Injected) -> None:
    commands = (c.WriteFile, c.RemoveFile, c.SettleFile)
    stage.node(injected).hazards.append(BadDisk(stage, injected, commands, errno.EACCES))


def _repair(stage: Stage, injected: Injected) -> None:
    node = stage.node(injected)
    node.hazards = [each for each in node.hazards if not (isinstance(each, BadDisk) and each.injected is injected)]


def _repair_and_start(stage: Stage, injected: Injected) -> None:
    _repair(stage, injected)
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
    image = DiskImage(boot=kept.boot, identities=kept.identities, keys=kept.keys, installed=kept.installed)
    _swap_disk(stage, injected, image)


ROWS = {
    "disk-full": Way(_fill, _repair_and_start),
    "permission-denied": Way(_forbid, _repair),
    "bit-flip": Way(_flip),
    "file-gone": Way(_lose_file),
    "restore-backup": Way(_restore),
    "restore-publisher": Way(_restore),
    "empty-disk": Way(_empty),
}
