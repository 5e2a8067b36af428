"""The state of a lab that does not run: what its disk holds, every node down (design 7.2)."""

from ucmlab.cluster import state
from ucmlab.cluster.labclock import ClockFile
from ucmlab.cluster.local_view import outline_of, view_of
from ucmlab.cluster.members import LocalNode
from ucmlab.cluster.port import LabFacts, NodeView, Outline
from ucmlab.cluster.provision import LabHome
from ucmlab.node.clock import LabClock
from ucmlab.node.instant import Instant


def dump_at_rest(home: LabHome) -> dict[str, object]:
    """What `dump` prints of it."""
    now = _now(home)
    views = [view_at_rest(home, name, lab=now.lab) for name in home.topology.names]
    return state.dump_of(facts_at_rest(home, wall=now.wall), views, lab=now.lab)


def outline_at_rest(home: LabHome) -> dict[str, object]:
    """The same without certificates and rows; no files are read."""
    now = _now(home)
    outlines = [node_outline_at_rest(home, name, lab=now.lab) for name in home.topology.names]
    return state.outline_of(facts_at_rest(home, wall=now.wall), outlines, lab=now.lab)


def facts_at_rest(home: LabHome, *, wall: int) -> LabFacts:
    """What is true of the lab, whether it runs or not, at that wall instant."""
    topology = home.topology
    return LabFacts(
        name=home.lab.name,
        mode="local",
        release=topology.release,
        profile=topology.profile,
        replication=topology.replication,
        wall=wall,
        broker={"kind": home.carrier.kind, "url": None, "pid": None},
        faults=(),
        head=None,
    )


def view_at_rest(home: LabHome, name: str, *, lab: int) -> NodeView:
    """What a node's disk shows, seen at that lab instant.

    Raises:
        Unusable: there is no such node.
    """
    return view_of(_down(home, name), lab=lab)


def node_outline_at_rest(home: LabHome, name: str, *, lab: int) -> Outline:
    """The same without its certificates."""
    return outline_of(_down(home, name), lab=lab)


def _now(home: LabHome) -> Instant:
    return LabClock(ClockFile(home.path).resume(wall_zero=home.lab.wall_start, speed=1.0, stepped=False)).now()


def _down(home: LabHome, name: str) -> LocalNode:
    # A node that was never started is the same as one that is down: there is a disk, and nobody to ask.
    return LocalNode(
        home.node_config(name),
        home.node_home(name),
        client_id=name,
        changed=lambda: None,
        replied=lambda reply: None,
        felt=lambda number: None,
        on_bus=lambda node: True,
    )
