"""The faults of one seed: performed as stories have them performed, told to whoever judges, and counted when felt."""

from ucmlab.cluster.search.judges.monitor import Monitor
from ucmlab.cluster.search.workload import Act
from ucmlab.cluster.sim.faults.performing import SimFaults
from ucmlab.cluster.sim.world import World


class Breaker:
    """Breaks one world by its schedule."""

    def __init__(self, world: World, monitor: Monitor) -> None:
        """Nothing is broken."""
        self._monitor = monitor
        self._faults = SimFaults(world)
        self._faults.stage.asked = self._asked
        self._world = world
        world.on_start = lambda node: monitor.node_starting(node.name)

    def inject(self, act: Act) -> None:
        """Break what the act says; it ends by itself."""
        given = dict(each.split("=", 1) for each in act.nodes)
        until = self._world.now + act.number if act.number else None
        self._monitor.suffered(act.text, act.node)
        self._faults.inject(act.text, act.node, given, until=until)

    def mend(self) -> None:
        """Whatever lasts ends now; nobody is left down, frozen or cut off."""
        self._faults.end_all()
        for name, node in self._world.nodes.items():
            if node.life == "down":
                self._world.start_node(name)

    def felt(self) -> tuple[str, ...]:
        """The faults that took effect, each once, in the order of their first time."""
        return tuple(dict.fromkeys(each.row.name for each in self._faults.ledger.declared if each.felt))

    def dismantle(self) -> None:
        """Take everything apart; nothing of it may be used again."""
        vars(self._faults).clear()
        vars(self).clear()

    def _asked(self, op_id: str, kind: str, node: str, unit: str, brought: str) -> None:
        self._monitor.asked_for(op_id, kind, node, unit, brought=brought)
