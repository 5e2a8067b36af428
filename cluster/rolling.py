"""One service restarted on every node that runs it, a node after the other and the publisher first (C-19, R-010).

The next node's turn comes when the service is up on the one before: so at no time do all pages show nothing, and what
fails fails on one node. Pure: who asks the nodes is the caller's business.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from ucmlab.cluster.errors import Unusable
from ucmlab.node.commands import Reply

_IDLE = "not activated"


class Ended(Protocol):
    """How an operation on one node ended: a `Reply`, or what a story makes of it."""

    @property
    def outcome(self) -> str:
        """`done`, `refused`, `partial` or `indefinite`."""
        ...

    @property
    def reason(self) -> str:
        """The reason word."""
        ...

    @property
    def text(self) -> str:
        """What the operator reads."""
        ...


def turns(service: str, states: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    """The nodes on which it is to be restarted, in order.

    Args:
        service: the service's name.
        states: node to the state of each of its services; the publisher first. Of a node that is down it may be empty.

    Raises:
        Unusable: no node runs it.
    """
    found = tuple(node for node, services in states.items() if services.get(service, _IDLE) != _IDLE)
    if not found:
        raise Unusable(f"no node of this lab runs {service!r}; `ucmlab service list NODE` shows what there is")
    return found


def summed(op_id: str, nodes: Sequence[str], replies: Sequence[Ended]) -> Reply:
    """What came of the whole: done everywhere, or how it ended on the first node that failed.

    Args:
        op_id: of the whole.
        nodes: whose turn it was to be.
        replies: of those whose turn came; the last may have failed, and the others were not asked then.
    """
    words = dict.fromkeys(nodes, "pending") | {node: reply.outcome for node, reply in zip(nodes, replies, strict=False)}
    last = replies[-1]
    if last.outcome == "done":
        return Reply(op_id, "done", nodes=words)
    outcome = "partial" if len(replies) > 1 else last.outcome
    return Reply(op_id, outcome, last.reason, last.text, nodes=words)
