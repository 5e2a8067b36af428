"""The bus as a member uses it: one port, several carriers behind it.

What delivery promises, and what it does not:

- At least once, while connected: a message may come twice, and with a clean session none that was published while a
  member was away comes at all. Whoever must know asks again (`CatchUp`) or repeats until answered.
- One member's publishes arrive at the broker in the order of the calls. Nothing is said about two members' messages.
- An acknowledgement means that the broker has the message, never that any member has it. It is counted, so that a lab
  can tell when nothing is in flight, and is otherwise told to nobody.
- What is published or subscribed without a connection is dropped: a connection starts with `connected`, and with
  nothing subscribed.
- A *stalled* link is no disconnection. Nothing goes out, nothing that came in is handed over, both keep their order
  and go on when the stall ends; a connection that broke meanwhile took everything held with it, and only then is
  `disconnected` said. A new connection hangs until the stall ends.
"""

from collections.abc import Iterable
from typing import Protocol

import msgspec


class Will(msgspec.Struct, frozen=True):
    """What the broker publishes, retained and at QoS 1, when the connection ends without a word."""

    topic: str
    payload: bytes


class BusEndpoint(msgspec.Struct, frozen=True):
    """Where the broker is, and who we are to it."""

    host: str
    port: int
    client_id: str
    username: str
    password: str
    ca_file: str | None = None
    """The bus CA, for TLS; None speaks plain, which only loopback listeners take."""

    def __repr__(self) -> str:
        """Without the password: it belongs in no log."""
        return f"BusEndpoint({self.client_id!r} at {self.host}:{self.port})"


class BusCounters(msgspec.Struct, frozen=True, gc=False):
    """What passed on the present connection; zeros while there is none. Enough to tell that nothing is in flight."""

    connected: bool
    connection: int
    """How many connections there have been."""
    sent: int
    """Publishes handed to the broker."""
    unanswered: int
    """Publishes and subscriptions that the broker has not acknowledged."""
    received: int
    """Messages that arrived, whether handed over or held by a stall."""
    duplicate: bool
    """Another client uses our id: connecting has been given up."""


class BusListener(Protocol):
    """What the bus tells its member. Every call must return at once and raise nothing."""

    def connected(self) -> None:
        """There is a connection, with nothing subscribed on it."""
        ...

    def disconnected(self) -> None:
        """The connection was closed, or the broker is gone."""
        ...

    def message(self, topic: str, payload: bytes) -> None:
        """A message arrived."""
        ...

    def duplicate(self) -> None:
        """Another client took our id over: two members run under one name. No further attempt is made."""
        ...

    def counted(self) -> None:
        """The counters changed in a way that no other call tells."""
        ...


class Bus(Protocol):
    """One member's link to the broker."""

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Hand a message to the broker at QoS 1, after everything published before."""
        ...

    def subscribe(self, filters: Iterable[str]) -> None:
        """Subscribe at QoS 1, after everything published before and before everything published next."""
        ...

    def stall(self, *, stalled: bool) -> None:
        """Stall the link, or let it go on."""
        ...

    @property
    def stalled(self) -> bool:
        """Whether it is stalled."""
        ...

    def prod(self) -> None:
        """Try at once to connect, if that is what we are waiting for."""
        ...

    def counters(self) -> BusCounters:
        """What passed on this connection."""
        ...

    async def run(self) -> None:
        """Be connected as much as possible, until `close`, cancellation, or a duplicate."""
        ...

    async def close(self, patience: float) -> None:
        """Wait (machine seconds) for what is unanswered, then disconnect in order; `run` returns.

        From behind a stall no goodbye reaches the broker: it publishes the will.
        """
        ...
