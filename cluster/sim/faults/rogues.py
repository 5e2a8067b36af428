"""Somebody on the bus who should not be there: a thief of a member's password, with or without its signing key.

What they say goes through the broker, whose access list lets it pass, as they know the password: what is left to refuse
it are signatures, positions and who may say what.
"""

from ucmlab.broker.codec import BusCodec
from ucmlab.broker.messages import AnyMessage, LogEntry, Proposal, Row
from ucmlab.broker.packets import Publish
from ucmlab.broker.signing import KeyedHashSigner
from ucmlab.broker.topics import QOS, Topics
from ucmlab.cluster.faults.ledger import Injected
from ucmlab.cluster.sim.faults.stage import Stage, Way
from ucmlab.node.instant import HOUR

UNIT = "tomcat-trust"


def _invented(stage: Stage) -> Row:
    """A certificate that nobody brought: the publisher's own, in a unit where it has no business."""
    der = stage.publisher.disk.identities["ipsec"]
    return Row("Phone-SAST-trust", "f" * 64, der, "planted by a rogue", None)


def _entry(stage: Stage, *, epoch: int, seq: int, prev: bytes) -> LogEntry:
    return LogEntry(
        epoch=epoch,
        seq=seq,
        prev=prev,
        op_id="rogue",
        origin=stage.publisher.name,
        kind="upload",
        removes=(),
        adds=(_invented(stage),),
        at=stage.world.wall_start + stage.world.now,
    )


def _sealed(stage: Stage, sender: str, key: str, binding: str, message: AnyMessage) -> bytes:
    """Seal as `sender` with the key of the member `key`."""
    world = stage.world
    signer = KeyedHashSigner(key, world.cluster.encode())
    codec = BusCodec(cluster=world.cluster, sender=sender, boot=1, signer=signer, verifier=world.verifier)
    return codec.seal(binding, message)


def _say(stage: Stage, injected: Injected, username: str, topic: str, payload: bytes) -> None:
    if stage.world.broker.up:
        stage.world.broker.say("rogue", username, Publish(topic, payload, QOS, packet_id=1))
        stage.took_effect(injected)


def _position(stage: Stage) -> tuple[int, int, bytes]:
    image = stage.publisher.disk.replica()
    return image.epoch, image.seq, image.hash


def _forge(stage: Stage, injected: Injected) -> None:
    topics, (epoch, seq, digest) = Topics(stage.world.cluster), _position(stage)
    publisher = stage.publisher.name
    entry = _entry(stage, epoch=epoch, seq=seq + 1, prev=digest)
    payload = _sealed(stage, publisher, "nobody's key", topics.log_binding(), entry)
    _say(stage, injected, publisher, topics.log(UNIT), payload)


def _usurp(stage: Stage, injected: Injected) -> None:
    topics, (epoch, seq, digest) = Topics(stage.world.cluster), _position(stage)
    entry = _entry(stage, epoch=epoch, seq=seq + 1, prev=digest)
    payload = _sealed(stage, injected.target, injected.target, topics.log_binding(), entry)
    _say(stage, injected, stage.publisher.name, topics.log(UNIT), payload)


def _lower_epoch(stage: Stage, injected: Injected) -> None:
    topics, (epoch, seq, digest) = Topics(stage.world.cluster), _position(stage)
    publisher = stage.publisher.name
    entry = _entry(stage, epoch=epoch - 1, seq=seq + 1, prev=digest)
    payload = _sealed(stage, publisher, publisher, topics.log_binding(), entry)
    _say(stage, injected, publisher, topics.log(UNIT), payload)


def _replay(stage: Stage, injected: Injected) -> None:
    payloads = stage.publisher.disk.log_image().payloads
    if payloads:
        topic = Topics(stage.world.cluster).log(UNIT)
        _say(stage, injected, stage.publisher.name, topic, stage.chance.choice(payloads))


def _revoked(stage: Stage, injected: Injected) -> None:
    """A member that is none any more proposes a certificate, signed with the key that it once had."""
    topics = Topics(stage.world.cluster)
    topic = topics.request(injected.target, "propose")
    not_after = stage.world.now + HOUR
    proposal = Proposal(op_id="rogue", kind="upload", removes=(), adds=(_invented(stage),), not_after=not_after)
    payload = _sealed(stage, "retired", "retired", topic, proposal)
    _say(stage, injected, injected.target, topic, payload)


ROWS = {
    "forge": Way(_forge),
    "usurp": Way(_usurp),
    "replay": Way(_replay),
    "lower-epoch": Way(_lower_epoch),
    "revoked": Way(_revoked),
}
