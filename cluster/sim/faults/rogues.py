"""Somebody on the simulated bus who should not be there; `ucmlab.cluster.faults.rogues` says what they say."""

from collections.abc import Sequence
from random import Random

from ucmlab.broker.messages import AnyMessage
from ucmlab.broker.packets import Publish
from ucmlab.broker.signing import KeyedHashSigner, Signer
from ucmlab.broker.topics import QOS
from ucmlab.cluster.faults.ledger import Injected
from ucmlab.cluster.faults.rogues import ROGUES, said_by_rogues
from ucmlab.cluster.sim.faults.stage import Stage, Way


class SimBooty:
    """What can be stolen from a simulated cluster; see `Booty`."""

    def __init__(self, stage: Stage) -> None:
        """Everything."""
        self._world = world = stage.world
        publisher = stage.publisher
        replica = publisher.disk.replica()
        self.chance: Random = stage.chance
        self.cluster = world.cluster
        self.publisher = publisher.name
        self.position = (replica.epoch, replica.seq, replica.hash)
        self.log: Sequence[bytes] = publisher.disk.log_image().payloads
        self.lab = world.now
        self.wall = world.wall_start + world.now

    def said(self, topic: str, kind: type[AnyMessage]) -> Sequence[bytes]:
        """See `Booty`: whatever was sealed for the topic."""
        return [payload for payload, message in self._world.sealed(topic) if isinstance(message, kind)]

    def signer(self, owner: str) -> Signer:
        """See `Booty`: a keyed hash of the owner's name."""
        return KeyedHashSigner(owner, self.cluster.encode())


def _say(stage: Stage, injected: Injected) -> None:
    said = said_by_rogues(injected, SimBooty(stage))
    if said is not None and stage.world.broker.up:
        stage.world.broker.say("rogue", said.username, Publish(said.topic, said.payload, QOS, packet_id=1))
        stage.took_effect(injected)


ROWS = {name: Way(_say) for name in ROGUES}
