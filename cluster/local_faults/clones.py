"""A second process with a node's name and keys, which takes its place on the bus."""

from ucmlab.cluster.backups import set_boot
from ucmlab.cluster.faults.ledger import Injected
from ucmlab.cluster.local_faults.stage import LocalStage, Way
from ucmlab.node.disk import read_state

CLONE = "clone"
"""What the copy of the node's folder is called."""


async def _clone(stage: LocalStage, injected: Injected) -> None:
    node, lab = stage.node(injected), stage.lab
    if not node.running or node.pulse is None or not node.pulse.connected:
        return
    backups = lab.backups(node.name)
    backups.take(CLONE)
    seen = len(lab.events("alarm", node.name))
    injected.evidence = lambda: any(
        event.get("alarm") == "duplicate_node" for event in lab.events("alarm", node.name)[seen:]
    )
    stage.roster.start_clone(node.name, backups.place(CLONE))


async def _end_clone(stage: LocalStage, injected: Injected) -> None:
    """The clone goes, and the node begins a new life: the one that it had ended when its place was taken."""
    node = stage.node(injected)
    clone = stage.roster.clones.get(node.name)
    if clone is None:
        return
    for process in (clone, node):
        if process.alive:
            await stage.roster.kill(process)
    del stage.roster.clones[node.name]
    boot = read_state(clone.home / "state" / "node.json").boot
    set_boot(stage.layout(node.name), boot)
    await stage.start(node.name)


ROWS = {
    "clone": Way(_clone, _end_clone),
    "second-publisher": Way(_clone, _end_clone),
}
