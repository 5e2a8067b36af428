"""The bus over aiomqtt 2: the same for the embedded broker, Mosquitto and any other.

MQTT 5 rather than 3.1.1, for one reason: a 3.1.1 broker closes a connection without a word, so a second node under
our name looks like a bad network, and both would take each other's session over for ever; a 5 broker says 0x8E. For
brokers that take over silently (Mosquitto before 2.1) repeated drops soon after a connect count as the same.

Each attempt is a client of its own. One client across attempts would keep unacknowledged publishes and send them
again on the next connection, after what the member has published on it meanwhile.
"""

import asyncio
import logging
import random
import socket
import ssl
from collections.abc import Callable, Iterable

import aiomqtt

from ucmlab.broker.aiomqtt_session import CONNECT_TIMEOUT_S, Client, Session, inbox
from ucmlab.broker.bus import BusCounters, BusEndpoint, BusListener, Will
from ucmlab.broker.gate import Gate
from ucmlab.broker.topics import QOS

FIRST_DELAY_S = 0.02
LONGEST_DELAY_S = 1.0
KEEPALIVE_REMOTE_S = 60
KEEPALIVE_LOOPBACK_S = 0
"""None: on loopback a peer dies with its socket, and a paused node must not be declared lost by machine time."""
SHORT_LIFE_S = 1.0
SHORT_LIVES = 8
"""Connections in a row that a broker accepted and dropped within `SHORT_LIFE_S`: nobody but a namesake does that."""
TURNS_TO_WRITE = 6
"""Of the loop, from a call of ours to the last byte: a task's first step, aiomqtt's, paho's write; with a margin."""
IN_FLIGHT = 200
"""paho's default of 20 would make a burst wait for acknowledgements; brokers take more."""
_TAKEN_OVER = 0x8E

_quiet = logging.getLogger("ucmlab.aiomqtt")
# Its warnings count publishes in flight, which this adapter means to have many of.
_quiet.setLevel(logging.ERROR)
# A broker that is killed is no news for somebody's terminal: the listener hears of it.
_quiet.addFilter(lambda record: not str(record.msg).startswith("failed to receive on socket"))


Meddle = Callable[[str, Callable[[], None]], None]
"""Takes a message's topic, and what lets it go on."""


class _Closed(Exception):
    """The connection is to end in order."""


class AiomqttBus:
    """One member's connection, held up by `run`."""

    def __init__(self, endpoint: BusEndpoint, listener: BusListener, *, will: Will | None) -> None:
        """Nothing is connected before `run`; a client without a will dies unnoticed."""
        self._endpoint = endpoint
        self._listener = listener
        self._will = will
        self._gate = Gate(listener)
        self._tls = ssl.create_default_context(cafile=endpoint.ca_file) if endpoint.ca_file else None
        self._hears: Callable[[str, bytes], None] = self._gate.message
        self._says: Meddle | None = None
        self._detour: tuple[str, int] | None = None
        self._random = random.Random(endpoint.client_id)  # noqa: S311  spreads attempts, protects nothing
        self._open = asyncio.Event()
        self._open.set()
        self._prodded = asyncio.Event()
        self._closing = asyncio.Event()
        self._answered = asyncio.Event()
        self._session: Session | None = None
        self._connections = 0
        self._short_lives = 0
        self._duplicate = False
        self._ended_by: BaseException | None = None

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Hand a message to the broker; see `Bus`."""
        session = self._session
        if session is None:
            return
        if self._says is None:
            self._gate.outwards(lambda: session.publish(topic, payload, retain=retain))
        else:
            self._gate.outwards(self._says, topic, lambda: session.publish(topic, payload, retain=retain))

    def subscribe(self, filters: Iterable[str]) -> None:
        """Subscribe; see `Bus`."""
        session, wanted = self._session, tuple(filters)
        if session is not None:
            self._gate.outwards(lambda: session.subscribe(wanted))

    def stall(self, *, stalled: bool) -> None:
        """Stall the link or let it go on; see `Bus`."""
        if stalled:
            self._open.clear()
        else:
            self._open.set()
            self.prod()
        self._gate.stall(stalled=stalled)

    @property
    def stalled(self) -> bool:
        """Whether the link is stalled; see `Bus`."""
        return self._gate.stalled

    def detour(self, address: tuple[str, int]) -> None:
        """Reach the broker through somebody who stands at this address, from now on.

        The connection of now ends in order, unless it is stalled, and another is made. For TLS and for everything else
        the broker is who it was.
        """
        self._detour = address
        session = self._session
        if session is not None:
            if self._gate.stalled:
                session.abort()
            else:
                session.leave.set()
        self.prod()

    def meddle(self, hears: Callable[[str, bytes], None] | None, says: Meddle | None = None) -> None:
        """Have somebody else take what arrives, and what is published; None: as ever.

        `hears` gets topic and payload and may call `hand_over`; `says` gets the topic, and what publishes.
        """
        self._hears = self._gate.message if hears is None else hears
        self._says = says

    def hand_over(self, topic: str, payload: bytes) -> None:
        """Hand over a message that arrived."""
        self._gate.message(topic, payload)

    def when_written(self, call: Callable[[], None]) -> None:
        """Call when what was said or acknowledged by now is in the system's hands."""
        self._after_turns(TURNS_TO_WRITE, call)

    def _after_turns(self, turns: int, call: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        if turns:
            loop.call_soon(self._after_turns, turns - 1, call)
        elif self._session is not None and self._session.writing:
            loop.call_later(FIRST_DELAY_S, self._after_turns, 0, call)
        else:
            call()

    def prod(self) -> None:
        """Try at once to connect; see `Bus`."""
        self._short_lives = 0
        self._prodded.set()

    def counters(self) -> BusCounters:
        """What passed on this connection; see `Bus`."""
        session = self._session
        if session is None:
            return BusCounters(False, self._connections, 0, 0, 0, self._duplicate)
        return BusCounters(True, self._connections, session.sent, session.unanswered, session.received, self._duplicate)

    def echo(self, topic: str, heard: Callable[[], None]) -> None:
        """Say something to ourselves; `heard` is called when it is back, or when it never will be.

        It passes no stall and is in no counter. Whatever the broker had for us before is handed over by then.
        """
        if self._session is None:
            heard()
        else:
            self._session.echo(topic, heard)

    async def run(self) -> None:
        """Be connected as much as possible; see `Bus`."""
        delay = FIRST_DELAY_S
        while not self._over():
            await self._open.wait()
            self._prodded.clear()
            self._ended_by = None
            connections = self._connections
            try:
                await self._connect_and_serve()
            except (aiomqtt.MqttError, OSError) as error:
                self._ended_by = error
            self._give_way_to_cancellation()
            self._judge()
            if self._connections > connections:
                delay = FIRST_DELAY_S
            if not self._over():
                await self._pause(delay)
                delay = min(2 * delay, LONGEST_DELAY_S)

    async def close(self, patience: float) -> None:
        """Wait for what is unanswered, then disconnect in order; see `Bus`."""
        try:
            async with asyncio.timeout(patience):
                while self._session is not None and self._session.unanswered and not self._gate.stalled:
                    self._answered.clear()
                    await self._answered.wait()
        except TimeoutError:
            pass  # the broker is slow or gone: the will speaks for us
        self._closing.set()
        if self._session is not None:
            self._session.leave.set()
        self._open.set()
        self._prodded.set()

    def _give_way_to_cancellation(self) -> None:
        # A TaskGroup that has errors of its own raises them in the place of a cancellation from outside (Python 3.11).
        # Without this the bus would outlive a shell that crashed, and nobody would hear of the crash.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError

    def _over(self) -> bool:
        return self._duplicate or self._closing.is_set()

    async def _connect_and_serve(self) -> None:
        loop = asyncio.get_running_loop()
        via = self._detour
        async with self._client(via) as client:
            began = loop.time()
            try:
                await self._serve(client, via)
            finally:
                self._short_lives = self._short_lives + 1 if loop.time() - began < SHORT_LIFE_S else 0

    async def _serve(self, client: aiomqtt.Client, via: tuple[str, int] | None) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                self._connections += 1
                self._session = session = Session(client, tasks, self._endpoint.client_id, self._count)
                if self._closing.is_set() or self._detour != via:
                    session.leave.set()  # meanwhile
                tasks.create_task(self._watch_leaving(session), name=f"bus[{self._endpoint.client_id}].leaving")
                self._gate.connected()
                try:
                    async for _ in client.messages:
                        pass  # never: the inbox hands over as messages arrive. The disconnection ends this loop.
                finally:
                    session.over = True
        except* _Closed:
            pass
        except* aiomqtt.MqttError as errors:
            self._ended_by = _first(errors)  # judged when it is known how long the connection lived
        finally:
            if self._session is not None:
                self._session.lose_echoes()
            self._session = None
            self._answered.set()
            self._gate.disconnected()
            self._listener.counted()

    async def _watch_leaving(self, session: Session) -> None:
        await session.leave.wait()
        session.over = True
        if self._gate.stalled:
            session.abort()  # a goodbye does not pass a stall either: for the others this is a death
            return
        raise _Closed

    def _client(self, via: tuple[str, int] | None) -> aiomqtt.Client:
        endpoint = self._endpoint
        loopback = endpoint.host.startswith("127.") or endpoint.host in {"localhost", "::1"}
        client = Client(
            endpoint.host,
            endpoint.port,
            identifier=endpoint.client_id,
            username=endpoint.username,
            password=endpoint.password,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            will=None if self._will is None else aiomqtt.Will(self._will.topic, self._will.payload, QOS, retain=True),
            keepalive=KEEPALIVE_LOOPBACK_S if loopback else KEEPALIVE_REMOTE_S,
            timeout=CONNECT_TIMEOUT_S,
            max_inflight_messages=IN_FLIGHT,
            queue_type=inbox(self._arrived),
            tls_context=self._tls,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
            logger=_quiet,
        )
        if via is not None:
            client.go_through(via)
        return client

    def _arrived(self, message: aiomqtt.Message) -> None:
        session = self._session
        if session is None:
            return  # between CONNACK and our noticing it nothing is subscribed, so nothing of ours can come
        if session.hears_echo(message.topic.value, message.payload):
            return
        session.received += 1
        self._hears(message.topic.value, message.payload)
        if self._gate.stalled or self._says is not None:
            self._listener.counted()  # perhaps nothing was handed over

    def _count(self) -> None:
        self._answered.set()
        self._listener.counted()

    def _judge(self) -> None:
        # An attempt failed, or a connection ended: unless it was a namesake's doing, the next attempt is the answer.
        if _is_takeover(self._ended_by) or self._short_lives >= SHORT_LIVES:
            self._duplicate = True
            self._listener.duplicate()

    async def _pause(self, delay: float) -> None:
        try:
            async with asyncio.timeout(delay * self._random.uniform(0.5, 1.0)):
                await self._prodded.wait()
        except TimeoutError:
            pass


def _first(errors: BaseExceptionGroup[aiomqtt.MqttError]) -> BaseException:
    found: BaseException = errors
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


def _is_takeover(error: BaseException | None) -> bool:
    # aiomqtt raises a general error, with paho's reason code on the exception that caused it.
    while error is not None:
        code = getattr(error, "rc", None)
        if getattr(code, "value", None) == _TAKEN_OVER:
            return True
        error = error.__cause__
    return False
