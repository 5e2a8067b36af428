"""Identities that are made again beside the services that have loaded them."""

from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.faults.ledger import Injected
from ucmlab.cluster.sim.faults.stage import Stage, Way


def _renew(stage: Stage, injected: Injected) -> None:
    node, unit = stage.node(injected), injected.text("unit")
    if unit not in node.disk.identities:
        raise Unusable(f"{node.name} has no identity {unit!r}; it has {', '.join(sorted(node.disk.identities))}")
    if node.life == "up":
        stage.world.deliver(node, stage.world.renew(node, unit))
        stage.took_effect(injected)


ROWS = {"renew": Way(_renew)}
