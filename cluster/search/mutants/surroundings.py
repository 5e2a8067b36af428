"""What stands around the cores, broken: who may sign, the broker, the disk, the key ring."""

from ucmlab.broker import topics
from ucmlab.broker.codec import Opened
from ucmlab.broker.signing import KeyedHashVerifier
from ucmlab.cluster.sim.world import World
from ucmlab.node.core import NodeCore


class CredulousNode(NodeCore):
    """Takes every member for the publisher."""

    def _heard(self, address: topics.Address, opened: Opened, payload: bytes) -> bool:
        if address.kind in ("log", "head", "answer"):
            opened = Opened(self.config.publisher, opened.boot, opened.cause, opened.message)
        return super()._heard(address, opened, payload)


class _Everybody(KeyedHashVerifier):
    def verify(self, sender: str, data: bytes, signature: bytes) -> bool:  # noqa: ARG002  # whoever and whatever
        return True


def believe_signatures(world: World) -> None:
    """Nobody looks at a signature."""
    world.verifier = _Everybody(world.nodes, world.cluster.encode())


def keep_old_members(world: World) -> None:
    """Who was a member once still counts as one."""
    world.verifier = KeyedHashVerifier([*world.nodes, "retired"], world.cluster.encode())  # type: ignore[arg-type]


def forget_orders(world: World) -> None:
    """Which orders took effect reaches no disk."""
    for node in world.nodes.values():
        setattr(node.disk, "record_order", lambda op_id: None)  # noqa: B010  # a method, replaced
