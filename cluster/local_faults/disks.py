"""Disks that are full, forbid, forget, or change what they hold."""

from ucmlab.cluster.backups import Backups, empty
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.faults.ledger import Injected
from ucmlab.cluster.local_faults.nodes import revive
from ucmlab.cluster.local_faults.stage import LocalStage, Way
from ucmlab.node.durable import replace_file


async def _endanger(stage: LocalStage, injected: Injected) -> None:
    stage.suffer(injected)


async def _relieve(stage: LocalStage, injected: Injected) -> None:
    stage.recover(injected)


def _pick_file(stage: LocalStage, injected: Injected) -> str | None:
    """The path of one file of the unit."""
    paths = stage.lab.view(injected.target).paths
    found = sorted(path for (unit, _), path in paths.items() if unit == injected.text("unit"))
    return stage.chance.choice(found) if found else None


async def _flip(stage: LocalStage, injected: Injected) -> None:
    path = _pick_file(stage, injected)
    if path is not None:
        file = stage.layout(injected.target).home / path
        content = file.read_bytes()
        # In the first byte: what is flipped there is no certificate any more. And as a new file, for a backup may
        # have the old one under another name.
        replace_file(file, bytes([content[0] ^ 1]) + content[1:], mode=0o644)
        stage.took_effect(injected)


async def _lose_file(stage: LocalStage, injected: Injected) -> None:
    path = _pick_file(stage, injected)
    if path is not None:
        (stage.layout(injected.target).home / path).unlink()
        stage.took_effect(injected)


async def _restore(stage: LocalStage, injected: Injected) -> None:
    node, name = stage.node(injected), injected.text("of")
    backups: Backups = stage.lab.backups(injected.target)
    if not backups.has(name):
        raise Unusable(f"there is no backup of {injected.target} from its {name.replace('-', ' ')}")
    if node.alive:
        await stage.roster.kill(node)
    backups.restore(name)
    await stage.start(node.name)
    stage.took_effect(injected)


async def _empty(stage: LocalStage, injected: Injected) -> None:
    node = stage.node(injected)
    if node.alive:
        await stage.roster.kill(node)
    empty(stage.layout(node.name))
    await stage.start(node.name)
    stage.took_effect(injected)


ROWS = {
    "disk-full": Way(_endanger, revive),
    "permission-denied": Way(_endanger, _relieve),
    "bit-flip": Way(_flip),
    "file-gone": Way(_lose_file),
    "restore-backup": Way(_restore),
    "restore-publisher": Way(_restore),
    "empty-disk": Way(_empty),
}
