"""Somebody on a real bus who should not be there; `ucmlab.cluster.faults.rogues` says what they say."""

import secrets
from collections.abc import Sequence
from contextlib import closing
from random import Random

import aiomqtt
import msgspec

from ucmlab.broker.bus import BusEndpoint
from ucmlab.broker.codec import BusCodec, Refused
from ucmlab.broker.messages import AnyMessage
from ucmlab.broker.signing import Ed25519Signer, Ed25519Verifier, Signer
from ucmlab.broker.topics import QOS, Topics
from ucmlab.cluster.carriers.members import ObservedBroker
from ucmlab.cluster.carriers.reaching import client_of
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.faults.ledger import Injected
from ucmlab.cluster.faults.rogues import ROGUES, Said, said_by_rogues
from ucmlab.cluster.local_faults.stage import LocalStage, Way
from ucmlab.node.keyring import KeyRing
from ucmlab.node.replica_db import open_for_reading, read_replica


class LocalBooty:
    """What can be stolen from a lab of real processes; see `Booty`."""

    def __init__(self, stage: LocalStage) -> None:
        """Everything."""
        lab, publisher = stage.lab, stage.publisher
        with closing(open_for_reading(stage.layout(publisher.name).replica)) as connection:
            replica = read_replica(connection)
        self._lab = lab
        self.chance: Random = stage.chance
        self.cluster = publisher.config.cluster
        self.publisher = publisher.name
        self._members = publisher.config.members
        self.position = (replica.epoch, replica.seq, replica.hash)
        self.log: Sequence[bytes] = [
            payload for topic, payload in lab.messages(Topics(self.cluster).log("+")) if payload
        ]
        self.lab = lab.now()
        self.wall = lab.wall()

    def said(self, topic: str, kind: type[AnyMessage]) -> Sequence[bytes]:
        """See `Booty`: as far as this lab remembers."""
        codec = BusCodec(
            cluster=self.cluster,
            sender=self.publisher,
            boot=1,
            signer=Ed25519Signer(secrets.token_bytes(32)),
            verifier=Ed25519Verifier({each.name: each.signing for each in self._members}),
        )
        published = [payload for _, payload in self._lab.messages(topic)]
        return [payload for payload in published if _is_of(codec, topic, payload, kind)]

    def signer(self, owner: str) -> Signer:
        """See `Booty`."""
        home = self._lab.home
        stolen = KeyRing(home.node_home(owner)).bus.signing_private if owner in home.topology.names else None
        return Ed25519Signer(stolen or secrets.token_bytes(32))


def _is_of(codec: BusCodec, topic: str, payload: bytes, kind: type[AnyMessage]) -> bool:
    try:
        return isinstance(codec.open(topic, payload).message, kind)
    except Refused:
        return False  # another rogue's


async def _say(stage: LocalStage, injected: Injected) -> None:
    said = said_by_rogues(injected, LocalBooty(stage))
    if said is None or stage.roster.broker != "up":
        return
    stage.roster.acts += 1
    broker = stage.roster.broker_node
    if isinstance(broker, ObservedBroker):
        await _publish(stage.roster.endpoint(said.username), said)
    else:
        broker.say(said.username, said.topic, said.payload)
    stage.took_effect(injected)


async def _publish(endpoint: BusEndpoint, said: Said) -> None:
    """Connect under a member's name, say it, and be gone."""
    rogue = msgspec.structs.replace(endpoint, client_id=f"rogue-{secrets.token_hex(4)}")
    try:
        async with client_of(rogue) as client:
            await client.publish(said.topic, said.payload, QOS)
    except aiomqtt.MqttError as error:
        raise Unusable(f"the broker lets no rogue in: {error}") from None


ROWS = {name: Way(_say) for name in ROGUES}
