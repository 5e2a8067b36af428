"""What members say to each other on the bus: every message, the envelope around it, and nothing that carries it.

All messages are frozen and array-like (field order is the wire format, so new fields go last, with a default).
What must happen once carries an operation id; what must be ordered carries `(epoch, seq)`; what must not linger
carries `not_after`. Arrival order, the retain flag and presence of a retained message carry no authority.

Units on the wire: `lab` instants and `wall` instants are integer microseconds (see `ucmlab.node.instant`);
fingerprints are lower-case hex SHA-256 of the DER.
"""

from typing import Annotated, Literal

import msgspec

Generation = Annotated[int, msgspec.Meta(ge=1)]
"""Counts what the publisher handed out of one kind of private material; a member that has none is at no generation."""


class Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One row of the replicated certificate tables (domain.md B.6): which certificate sits in which unit, for whom."""

    unit: str
    fingerprint: str
    der: bytes
    description: str
    holders: tuple[str, ...] | None
    """Nodes that hold it; `None` is all nodes on which the unit exists."""

    @property
    def key(self) -> "RowKey":
        """What identifies the row."""
        return (self.unit, self.fingerprint)

    def held_by(self, node: str) -> bool:
        """Whether `node` is among the holders."""
        return self.holders is None or node in self.holders


RowKey = tuple[str, str]
"""(unit, fingerprint)"""


class Setting(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an administrator set (domain.md A.21): of which place (`cluster`, a side of it, a node), and to what."""

    place: str
    name: str
    value: str


class Envelope(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is published: a message's bytes, who says so, and the signature over exactly these bytes."""

    version: int
    cluster: str
    sender: str
    boot: int
    cause: str
    body: bytes
    signature: bytes


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Base of all messages; the tag is the class name."""


class Birth(Message, frozen=True):
    """Retained on the sender's birth topic, and its will: a member is there, or is not."""

    state: Literal["up", "stopped", "lost"]
    boot: int
    keys: dict[str, Generation]
    """Generation of each kind of sealed private material that the member has (`authz`, `ITLRecovery`)."""
    services: dict[str, str]
    """State of each service, so that a broker that lost its retained states need not be told one by one."""


class Ack(Message, frozen=True):
    """Retained: how far a member's replica (and, in `modern`, its files) got. `count` orders a boot's own acks."""

    epoch: int
    seq: int
    digest: str
    count: int
    hash: bytes = b""
    """Of the entry at that position: two logs may have one there, and only what is in the publisher's counts."""
    settings: str = ""
    """Digest of what is set, where anything is."""


class Head(Message, frozen=True):
    """Retained, by the publisher: the end of the log, and the floor below which only snapshots are served."""

    epoch: int
    seq: int
    hash: bytes
    digest: str
    floor: int
    settings: str = ""
    """As in `Ack`."""
    release: str = ""
    """The publisher's; a database is replicated between nodes of one release only."""


class LogEntry(Message, frozen=True):
    """One change of the cluster's database: of certificate rows, several of one operation together, or of settings."""

    epoch: int
    seq: int
    prev: bytes
    op_id: str
    origin: str
    kind: str
    """The kind of proposal that led to it: `install`, `upgrade`, `upload`, `delete`, `resync`, …"""
    removes: tuple[RowKey, ...]
    adds: tuple[Row, ...]
    """Rows put in, or put in the place of the row with the same key."""
    at: int
    """The publisher's wall clock, for people; no rule reads it."""
    settings: tuple[Setting, ...] = ()
    """What is set from here on, in the place of what was."""


class Proposal(Message, frozen=True):
    """A member asks the publisher to change rows or settings: repeated under one op_id until answered or too late."""

    op_id: str
    kind: str
    removes: tuple[RowKey, ...]
    adds: tuple[Row, ...]
    not_after: int
    """Lab instant after which the publisher ignores it."""
    settings: tuple[Setting, ...] = ()


class Answer(Message, frozen=True):
    """The publisher's answer to a proposal; the same for every repetition of one op_id."""

    op_id: str
    outcome: Literal["done", "refused"]
    reason: str
    text: str
    epoch: int
    seq: int
    nodes: dict[str, str]
    """Per member: `done`, `pending` or `unreachable`, as known when the answer was given."""


class CatchUp(Message, frozen=True):
    """A follower asks for what comes after its position."""

    request: int
    epoch: int
    seq: int
    hash: bytes


class Entries(Message, frozen=True):
    """Log entries after the follower's position, as they were published (each carries its own signature)."""

    request: int
    payloads: tuple[bytes, ...]
    head_seq: int


class Snapshot(Message, frozen=True):
    """One part of all rows and settings at `(epoch, seq)`, for a follower below the floor or of another epoch."""

    request: int
    epoch: int
    seq: int
    hash: bytes
    part: int
    parts: int
    rows: tuple[Row, ...]
    tombstones: tuple[tuple[str, str, int], ...]
    """(unit, fingerprint, seq) of deletions that some member may not have seen yet."""
    settings: tuple[Setting, ...] = ()
    """All of them, in the first part."""


class ServiceOrder(Message, frozen=True):
    """Start, stop, restart, enable or disable a service: once per op_id, not after `not_after` (lab instant)."""

    op_id: str
    service: str
    action: str
    not_after: int


class ServiceReport(Message, frozen=True):
    """Retained: a service's state, and the outcome of the order that led to it."""

    op_id: str
    service: str
    state: str
    enabled: bool
    since: int
    outcome: Literal["", "done", "refused"]
    reason: str
    text: str
    count: int
    """Orders a boot's own reports."""


class SealedKeys(Message, frozen=True):
    """Private material for one member, sealed to its sealing key; opaque to everyone else."""

    generation: Generation
    kind: str
    blob: bytes


class KeysInstalled(Message, frozen=True):
    """A member has opened and stored that generation."""

    generation: Generation
    kind: str


Shared = Literal["request", "identity"]
"""What several nodes have with one key: a request that waits for its certificate, or an identity."""


class PeerKey(Message, frozen=True):
    """A private key of several nodes with its request or certificate, sealed to one of them (B.8).

    Repeated under one op_id until answered or past `not_after`, like `PeerCertificate`.
    """

    op_id: str
    unit: str
    kind: Shared
    blob: bytes
    not_after: int = 0
    """Lab instant after which the receiver ignores it, as the sender has told its operator that it did not arrive."""


class PeerCertificate(Message, frozen=True):
    """What an operator uploaded on the sender for a multi-server request, for a node that has the request too."""

    op_id: str
    unit: str
    data: bytes
    """The file as it was uploaded."""
    description: str
    not_after: int = 0
    """As in `PeerKey`."""


class PeerAnswer(Message, frozen=True):
    """What became of a `PeerKey` or `PeerCertificate`; the same for every repetition of one op_id."""

    op_id: str
    outcome: Literal["done", "refused", "partial", "indefinite"]
    reason: str


AnyMessage = (
    Birth
    | Ack
    | Head
    | LogEntry
    | Proposal
    | Answer
    | CatchUp
    | Entries
    | Snapshot
    | ServiceOrder
    | ServiceReport
    | SealedKeys
    | KeysInstalled
    | PeerKey
    | PeerCertificate
    | PeerAnswer
)
