"""Upgrades in a story's hands."""

from collections.abc import Sequence

from ucmlab.cluster.upgrading import upgrade_nodes
from ucmlab.scenarios.reply import Reply
from ucmlab.scenarios.telling import Telling


async def upgraded(telling: Telling, nodes: Sequence[str], release: str) -> Reply:
    """Upgrade nodes, one after the other, and record how it ended; it is told of the first."""
    for name in nodes:
        telling.settle_deaths(name)
    what, op_id = f"upgrade to {release}", telling.operation_id()
    doing = upgrade_nodes(telling.port, nodes, release, op_id=op_id)
    return Reply(telling, what, await telling.ended(nodes[0], doing, what))
