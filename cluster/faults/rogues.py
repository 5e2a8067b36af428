"""Somebody on the bus who should not be there: a thief of a member's password, with or without its signing key.

What they say goes through the broker, whose access list lets it pass, as they know the password: what is left to refuse
it are signatures, positions and who may say what.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple, Protocol

from ucmlab.broker.codec import BusCodec
from ucmlab.broker.messages import AnyMessage, Head, LogEntry, Proposal, Row, Snapshot
from ucmlab.broker.signing import Ed25519Verifier, Signer
from ucmlab.broker.topics import Topics
from ucmlab.cluster.faults.bad_certificates import bad_upload
from ucmlab.cluster.faults.ledger import Injected
from ucmlab.node.instant import HOUR
from ucmlab.node.upload_files import read_upload

UNIT = "tomcat-trust"
"""Under whose topic their entries come."""
INVENTED_IN = "Phone-SAST-trust"
"""Where what they invent is to be trusted."""
NOBODY = "nobody's key"
"""A signer that no member ever was."""


class Said(NamedTuple):
    """What a rogue publishes, and under whose name it connects."""

    username: str
    topic: str
    payload: bytes


class Booty(Protocol):
    """What a rogue knows of the cluster, and has stolen from it."""

    @property
    def chance(self) -> Random:
        """What draws what a fault hits."""
        ...

    @property
    def cluster(self) -> str:
        """Its id on the bus."""
        ...

    @property
    def publisher(self) -> str:
        """The first node."""
        ...

    @property
    def position(self) -> tuple[int, int, bytes]:
        """Epoch, seq and hash of the publisher's last entry."""
        ...

    @property
    def log(self) -> Sequence[bytes]:
        """The entries of the publisher's log as they were published."""
        ...

    def said(self, topic: str, kind: type[AnyMessage]) -> Sequence[bytes]:
        """What of a kind was published on a topic, as it was published, the oldest first."""
        ...

    @property
    def lab(self) -> int:
        """Lab time."""
        ...

    @property
    def wall(self) -> int:
        """The lab's wall clock."""
        ...

    def signer(self, owner: str) -> Signer:
        """The signing key of a member; of any other name, some key."""
        ...


def said_by_rogues(injected: Injected, booty: Booty) -> Said | None:
    """What the rogue of a row says; None when it has nothing to say."""
    return ROGUES[injected.row.name](injected, booty)


def _invented(booty: Booty) -> Row:
    """A certificate that nobody brought, and in itself nothing that a trust store would refuse."""
    certificate = read_upload(bad_upload("wrong-san", booty.wall, None))[0]
    return Row(INVENTED_IN, certificate.fingerprint, certificate.der, "planted by a rogue", None)


def _sealed(booty: Booty, sender: str, key: str, binding: str, message: AnyMessage) -> bytes:
    """Seal as `sender` with the key of `key`. A rogue verifies nothing."""
    codec = BusCodec(
        cluster=booty.cluster, sender=sender, boot=1, signer=booty.signer(key), verifier=Ed25519Verifier({})
    )
    return codec.seal(binding, message)


def _entry(booty: Booty, sender: str, key: str, *, back: int = 0, prev: bytes = b"") -> Said:
    """The next entry of the log, of the present epoch or one `back`; after the last one, unless `prev` says another."""
    topics, (epoch, seq, digest) = Topics(booty.cluster), booty.position
    entry = LogEntry(
        epoch=epoch - back,
        seq=seq + 1,
        prev=prev or digest,
        op_id="rogue",
        origin=booty.publisher,
        kind="upload",
        removes=(),
        adds=(_invented(booty),),
        at=booty.wall,
    )
    return Said(booty.publisher, topics.log(UNIT), _sealed(booty, sender, key, topics.log_binding(), entry))


def _replay(injected: Injected, booty: Booty) -> Said | None:
    topics, what = Topics(booty.cluster), injected.text("what")
    others: dict[str, tuple[str, type[AnyMessage]]] = {
        "snapshot": (topics.answer(injected.target, "catchup"), Snapshot),
        "head": (topics.head(), Head),
    }
    if what in others and (said := booty.said(*others[what])):
        return Said(booty.publisher, others[what][0], said[0])
    if not booty.log:
        return None
    return Said(booty.publisher, topics.log(UNIT), booty.chance.choice(booty.log))


def _lower_epoch(_injected: Injected, booty: Booty) -> Said | None:
    """After the last entry of this epoch; every epoch begins with the same hash, so without one there is nothing said.

    To a node that has not heard of this epoch yet, it would be the next of the old one, rightly signed (seed 104499).
    """
    return _entry(booty, booty.publisher, booty.publisher, back=1) if booty.position[1] else None


def _revoked(injected: Injected, booty: Booty) -> Said:
    """A member that is none any more proposes a certificate, signed with the key that it once had."""
    topic = Topics(booty.cluster).request(injected.target, "propose")
    proposal = Proposal(op_id="rogue", kind="upload", removes=(), adds=(_invented(booty),), not_after=booty.lab + HOUR)
    return Said(injected.target, topic, _sealed(booty, "retired", "retired", topic, proposal))


ROGUES: dict[str, Callable[[Injected, Booty], Said | None]] = {
    "forge": lambda _injected, booty: _entry(booty, booty.publisher, NOBODY),
    "usurp": lambda injected, booty: _entry(booty, injected.target, injected.target),
    "replay": _replay,
    "lower-epoch": _lower_epoch,
    "fork": lambda _injected, booty: _entry(booty, booty.publisher, booty.publisher, prev=b"another branch's"),
    "revoked": _revoked,
}
