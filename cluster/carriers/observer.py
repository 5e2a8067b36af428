"""The lab's own client on a broker that is not ours: hears what is published, and knows when the bus is quiet.

An embedded broker tells its counters; no other does. What proves the same is an *echo*: each live node, and this
observer, publishes a message to itself at QoS 1 and waits until it is back. The proof needs three things of a broker,
none of which a counter could replace:

1. it has handed a message to the queue of every subscriber before it acknowledges it to its publisher;
2. it handles the packets of one connection in their order;
3. what waits for one subscriber leaves in its order, and what is retained for a subscription waits there before its
   SUBACK.

Suppose all nodes are calm: idle, everything that they published or subscribed acknowledged. Then they are asked for an
echo, and afterwards none has received, sent or handled anything more than before. If any message had been under way,
take the one that arrives first after that. Whoever published it had its acknowledgement before the echo was asked for
(later it has sent nothing), so by 1 it stood in its receiver's queue before the echo, by 3 it came before the echo, and
then the receiver's count differs. A full in-flight window changes nothing: acknowledgements of what was received go out
before the echo on the same connection, so by 2 the queue has moved on before the echo joins it.

What nobody publishes is a will. A node that died was either heard of here (`noticed`: its birth topic has said "lost"
or "stopped") before the echoes were asked for, or the lab is not quiet; a broker that publishes no wills is waited for
`WILL_PATIENCE_S` and no longer, for then nothing is to come.

Mosquitto keeps all three. A cluster of brokers may break 1, some brokers hand out retained messages in their own time;
`ucmlab doctor broker` looks for both.
"""

import asyncio
from collections.abc import Callable, Iterable

from ucmlab.broker.aiomqtt_bus import AiomqttBus
from ucmlab.broker.bus import BusEndpoint
from ucmlab.broker.codec import BusCodec, Refused
from ucmlab.broker.messages import Birth
from ucmlab.broker.topics import Topics, echo_topic, parse

WILL_PATIENCE_S = 2.0
"""Machine time for a broker to notice that a socket of its own machine was closed; it needs a millisecond."""
ATTEMPT_EVERY_S = 0.02
RETAINED_KINDS = ("head", "birth", "ack", "state")
"""Kinds of topics whose messages are retained."""


class Observer:
    """Reads everything that the lab's members say to each other.

    Args:
        endpoint: an account that may read all of the cluster's topics.
        cluster: the cluster's id on the bus.
        codec: opens members' messages; births alone are opened.
        connected: called when everything is heard from now on.
        published: hears topic and payload of each message.
    """

    def __init__(
        self,
        endpoint: BusEndpoint,
        *,
        cluster: str,
        codec: BusCodec,
        connected: Callable[[], None],
        published: Callable[[tuple[tuple[str, bytes], ...]], None],
    ) -> None:
        self._topics = Topics(cluster)
        self._codec = codec
        self._told_connected = connected
        self._published = published
        self._bus = AiomqttBus(endpoint, self, will=None)
        self._echo = echo_topic(cluster, endpoint.client_id)
        self._standing: set[str] = set()
        """Nodes whose last birth says that they are up."""
        self._retained: set[str] = set()
        self._waiting_since: float | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_connected(self) -> bool:
        """Whether it hears."""
        return self._bus.counters().connected

    def start(self) -> None:
        """Connect as soon as there is a broker; call it again when there is a new one."""
        if not self._tasks:
            self._keep(self._bus.run(), "observer.bus")
        self._keep(self._hurry(), "observer.hurry")

    def ask_echo(self, heard: Callable[[], None]) -> None:
        """Call `heard` when everything that the broker had for this observer is here."""
        self._bus.echo(self._echo, heard)

    def noticed(self, gone: Iterable[str]) -> bool:
        """Whether the broker has noticed that these nodes are gone."""
        waiting = self._standing.intersection(gone)
        if not waiting:
            self._waiting_since = None
            return True
        now = asyncio.get_running_loop().time()
        self._waiting_since = self._waiting_since or now
        if now - self._waiting_since > WILL_PATIENCE_S:
            self._standing -= waiting
        return False

    async def leave_nothing(self, patience: float) -> None:
        """Delete what the lab's members had retained: on somebody else's broker nothing of a lab may stay behind."""
        for topic in sorted(self._retained):
            self._bus.publish(topic, b"", retain=True)
        await self._bus.close(patience)

    async def end(self) -> None:
        """Stop hearing."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- what the bus tells; see `BusListener`

    def connected(self) -> None:
        """There is a connection."""
        self._standing.clear()  # of a broker that was started anew; births are told again to whoever subscribes
        self._bus.subscribe((f"{self._topics.root}/#",))
        self._told_connected()

    def disconnected(self) -> None:
        """There is none any more."""
        self._standing.clear()

    def message(self, topic: str, payload: bytes) -> None:
        """A message was published, or a will."""
        address = parse(topic)
        if address is not None and address.kind in RETAINED_KINDS and payload:
            self._retained.add(topic)
        if address is not None and address.kind == "birth":
            self._birth(address.node, topic, payload)
        self._published(((topic, payload),))

    def duplicate(self) -> None:
        """Cannot be: its client id is random."""

    def counted(self) -> None:
        """Nobody waits for its counters."""

    def _birth(self, node: str, topic: str, payload: bytes) -> None:
        try:
            opened = self._codec.open(topic, payload)
        except Refused:
            return
        if isinstance(opened.message, Birth) and opened.sender == node:
            (self._standing.add if opened.message.state == "up" else self._standing.discard)(node)

    async def _hurry(self) -> None:
        # The bus waits longer and longer between its attempts, for brokers that stay away; this one is coming up.
        while not self.is_connected:
            self._bus.prod()
            await asyncio.sleep(ATTEMPT_EVERY_S)

    def _keep(self, work: "asyncio._CoroutineLike[None]", name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
