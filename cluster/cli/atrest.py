"""The state of a lab that does not run: what its disk holds, every node down (design 7.2)."""

from ucmlab.cluster import state
from ucmlab.cluster.labclock import ClockFile
from ucmlab.cluster.local_view import view_of
from ucmlab.cluster.members import LocalNode
from ucmlab.cluster.port import LabFacts, NodeView
from ucmlab.cluster.provision import LabHome
from ucmlab.node.clock import LabClock


def dump_at_rest(home: LabHome) -> dict[str, object]:
    """What `dump` prints of it."""
    setting = ClockFile(home.path).resume(wall_zero=home.lab.wall_start, speed=1.0, stepped=False)
    clock = LabClock(setting)
    now = clock.now()
    topology = home.topology
    facts = LabFacts(
        name=home.lab.name,
        mode="local",
        release=topology.release,
        profile=topology.profile,
        replication=topology.replication,
        wall=now.wall,
        broker={"kind": home.lab.options.get("broker", "embedded"), "url": None, "pid": None},
        faults=(),
        head=None,
    )
    return state.dump_of(facts, [_view(home, name, now.lab) for name in topology.names], lab=now.lab)


def _view(home: LabHome, name: str, lab: int) -> NodeView:
    # A node that was never started is the same as one that is down: there is a disk, and nobody to ask.
    down = LocalNode(
        home.node_config(name),
        home.node_home(name),
        client_id=name,
        changed=lambda: None,
        replied=lambda reply: None,
        on_bus=lambda node: True,
    )
    return view_of(down, lab=lab)
