"""Stories: scripts that break a cluster and verify what it does. A story needs no more than what is exported here.

Names are loaded when they are asked for: the command line lives in this package too, and `ucmlab version` needs none.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ucmlab.scenarios.ca import CA, Leaf
    from ucmlab.scenarios.lab import Broker, BusMessage, Lab
    from ucmlab.scenarios.node import Node
    from ucmlab.scenarios.ocsp import Ocsp
    from ucmlab.scenarios.reply import Reply
    from ucmlab.scenarios.story import Story, scenario

__all__ = ["CA", "Broker", "BusMessage", "Lab", "Leaf", "Node", "Ocsp", "Reply", "Story", "scenario"]
_MODULES = {
    "CA": "ca",
    "Broker": "lab",
    "BusMessage": "lab",
    "Lab": "lab",
    "Leaf": "ca",
    "Node": "node",
    "Ocsp": "ocsp",
    "Reply": "reply",
    "Story": "story",
    "scenario": "story",
}


def __getattr__(name: str) -> object:
    """Load one of the names above."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
