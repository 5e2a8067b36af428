"""Stories: scripts that break a cluster and verify what it does. A story needs no more than what is exported here."""

from ucmlab.scenarios.ca import CA
from ucmlab.scenarios.lab import Broker, BusMessage, Lab
from ucmlab.scenarios.node import Node
from ucmlab.scenarios.reply import Reply
from ucmlab.scenarios.story import Story, scenario

__all__ = ["CA", "Broker", "BusMessage", "Lab", "Node", "Reply", "Story", "scenario"]
