"""Stories: scripts that break a cluster and verify what it does. A story needs no more than what is exported here.

Names are loaded when they are asked for: the command line lives in this package too, and `ucmlab version` needs none.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ucmlab.cluster.outside.received import Logged, Mail
    from ucmlab.scenarios.ca import CA, Leaf
    from ucmlab.scenarios.lab import Broker, BusMessage, Lab, Outside
    from ucmlab.scenarios.node import Node
    from ucmlab.scenarios.ocsp import Ocsp
    from ucmlab.scenarios.peer import Peer
    from ucmlab.scenarios.reply import Reply
    from ucmlab.scenarios.story import Story, scenario

__all__ = [
    "CA",
    "Broker",
    "BusMessage",
    "Lab",
    "Leaf",
    "Logged",
    "Mail",
    "Node",
    "Ocsp",
    "Outside",
    "Peer",
    "Reply",
    "Story",
    "scenario",
]
_MODULES = {
    "CA": "scenarios.ca",
    "Broker": "scenarios.lab",
    "BusMessage": "scenarios.lab",
    "Lab": "scenarios.lab",
    "Leaf": "scenarios.ca",
    "Logged": "cluster.outside.received",
    "Mail": "cluster.outside.received",
    "Node": "scenarios.node",
    "Ocsp": "scenarios.ocsp",
    "Outside": "scenarios.lab",
    "Peer": "scenarios.peer",
    "Reply": "scenarios.reply",
    "Story": "scenarios.story",
    "scenario": "scenarios.story",
}


def __getattr__(name: str) -> object:
    """Load one of the names above."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"ucmlab.{_MODULES[name]}"), name)
