"""An upgrade of a lab's nodes, in the order that the product demands: the publisher, then the others (B.19).

Whether a node may be upgraded is its core's word; here it is asked, booted into the new release, and waited for.
"""

from collections.abc import Sequence

from ucmlab.cluster.port import LabPort
from ucmlab.node.commands import Reply
from ucmlab.node.events import Upgrade
from ucmlab.node.instant import MINUTE

DONE_WITHIN = 10 * MINUTE
"""Lab time for a node to boot and to carry its state over, several repetitions of its proposal included. The product
takes hours to install a release; that goes on beside the release that runs and changes nothing there, so it takes no
time here."""


async def upgrade_nodes(port: LabPort, nodes: Sequence[str], release: str, *, op_id: str) -> Reply:
    """Upgrade nodes one after the other, and end with the first that is not; all must be there before one begins.

    Args:
        port: the lab.
        nodes: their names; those that run the release already are passed over where others do not.
        release: what they are to run.
        op_id: of the whole; each node's own is made of it.
    """
    standing = {name: port.standing(name) for name in nodes}
    away = next((each for each in standing.values() if each.state != "up"), None)
    if away is not None:
        return Reply(op_id, "refused", "node_down", f"{away.name} is {away.state}, and nothing was changed")
    behind = [name for name, each in standing.items() if each.release != release] or list(nodes)
    words: dict[str, str] = {}
    for name in behind:
        reply = await _upgrade(port, name, release, op_id=f"{op_id}-{name}")
        words[name] = reply.outcome
        if reply.outcome != "done":
            outcome = "partial" if len(words) > 1 else reply.outcome
            return Reply(op_id, outcome, reply.reason, reply.text, nodes=words)
    return Reply(op_id, "done", nodes=words)


async def _upgrade(port: LabPort, node: str, release: str, *, op_id: str) -> Reply:
    reply = await port.operate(node, Upgrade(op_id, release))
    if reply.outcome != "done":
        return reply
    await port.reboot_node(node)

    def over() -> bool:
        stands = port.standing(node)
        return stands.state == "down" or (stands.state == "up" and not stands.open_operations)

    if await port.wait_until(over, DONE_WITHIN) and port.standing(node).state == "up":
        return reply
    return Reply(op_id, "indefinite", "node_down", f"{node} boots with {release} and has not finished")
