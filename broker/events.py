"""What happens to the broker core, and what it wants done.

Events are past tense, commands imperative. A connection is a number that the shell chooses and never uses again.
"""

import msgspec

from ucmlab.broker.packets import Packet


class ConnectionOpened(msgspec.Struct, frozen=True, gc=False):
    """A peer connected; nothing is known about it yet."""

    conn: int


class PacketReceived(msgspec.Struct, frozen=True, gc=False):
    """A packet arrived whole."""

    conn: int
    packet: Packet


class PacketMalformed(msgspec.Struct, frozen=True, gc=False):
    """Bytes arrived that are no packet; `reason_code` and `text` are those of the codec's `MalformedPacket`."""

    conn: int
    reason_code: int
    text: str


class ConnectionLost(msgspec.Struct, frozen=True, gc=False):
    """The connection is gone, whoever ended it."""

    conn: int


class ConnectionPaused(msgspec.Struct, frozen=True, gc=False):
    """The peer does not read: messages for it wait in the core until `ConnectionResumed`."""

    conn: int


class ConnectionResumed(msgspec.Struct, frozen=True, gc=False):
    """The peer reads again."""

    conn: int


class Tick(msgspec.Struct, frozen=True, gc=False):
    """Time has passed: keep-alives, session and message expiries are looked at."""


class BrokerStopped(msgspec.Struct, frozen=True, gc=False):
    """The broker is asked to end: everybody is told and disconnected, wills are not published."""


Event = (
    PacketReceived
    | ConnectionOpened
    | ConnectionLost
    | PacketMalformed
    | ConnectionPaused
    | ConnectionResumed
    | Tick
    | BrokerStopped
)


class SendPacket(msgspec.Struct, frozen=True, gc=False):
    """Put the packet on this connection, after everything already sent there."""

    conn: int
    packet: Packet


class CloseConnection(msgspec.Struct, frozen=True, gc=False):
    """End the connection once what was sent before is out. The core has forgotten it already."""

    conn: int


Command = SendPacket | CloseConnection


class ClientStats(msgspec.Struct, frozen=True, gc=False):
    """One client id's counters; `conn`, `received`, `sent` are of its current connection: `None`, 0, 0 while away."""

    conn: int | None
    received: int
    """PUBLISH packets taken from it."""
    sent: int
    """PUBLISH packets sent to it, repetitions included."""
    inflight: int
    """QoS 1 messages sent and not yet acknowledged."""
    queued: int
    """Messages that wait for room or for its return."""
    dropped: int
    """Messages lost to it since its session began, because its queue was full."""
    oversized: int
    """Messages left out because they exceed the packet size that the client takes."""


class BrokerStats(msgspec.Struct, frozen=True, gc=False):
    """The core's counters at one moment."""

    connections: int
    retained: int
    refused: int
    """Messages of clients not passed on, because access rules or the limit of retained topics forbid it."""
    dropped: int
    """Messages lost to full queues, of all sessions there ever were."""
    clients: dict[str, ClientStats]
