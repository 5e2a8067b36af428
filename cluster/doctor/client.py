"""An MQTT 5 client of few words, which does what a check tells it and nothing by itself.

Not aiomqtt, because a check must be able to do what a good client never does: leave messages unacknowledged, lose its
connection, and see each packet as it came.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Iterable, Sequence
from typing import Self

from ucmlab.broker.bus import BusEndpoint
from ucmlab.broker.mqtt_codec import Decoder, MalformedPacket, encode
from ucmlab.broker.packets import (
    V5,
    ConnAck,
    Connect,
    ConnectProperties,
    Disconnect,
    Packet,
    PubAck,
    Publish,
    PublishProperties,
    SubAck,
    Subscribe,
    Subscription,
    Will,
)
from ucmlab.cluster.carriers.reaching import tls_context

PATIENCE_S = 10.0
"""Machine time for an answer that MQTT promises."""
SILENCE_S = 0.4
"""Machine time without a packet after which nothing more is expected."""
CHUNK = 20
"""Publishes sent before their acknowledgements are waited for: what every broker takes at once."""
LARGEST = 64 << 20
_READ = 1 << 16


class Gone(Exception):
    """The broker closed the connection, or does not answer; the text says after what."""


class Client:
    """One connection. Use `connect`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Not connected in MQTT's sense."""
        self._reader = reader
        self._writer = writer
        self._decoder = Decoder(V5, max_packet_size=LARGEST)
        self._ids = itertools.cycle(range(1, 60_000))
        self._answers: asyncio.Queue[ConnAck | SubAck | PubAck | None] = asyncio.Queue()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.acknowledges = True
        """Whether messages that come are acknowledged."""
        self.messages: list[Publish] = []
        self.greeting = ConnAck()
        self.farewell: Disconnect | None = None
        """What the broker said when it ended the connection."""
        self.closed = asyncio.Event()

    @classmethod
    async def connect(
        cls,
        endpoint: BusEndpoint,
        name: str,
        *,
        clean: bool = True,
        lasting: int = 0,
        will: Will | None = None,
        acknowledges: bool = True,
    ) -> Self:
        """Connect under the client id `name`; a session outlives its connection by `lasting` seconds.

        Raises:
            Gone: the broker refuses.
            OSError: it cannot be reached.
        """
        context = tls_context(endpoint)
        client = cls(*await asyncio.open_connection(endpoint.host, endpoint.port, ssl=context, limit=_READ))
        client.acknowledges = acknowledges
        client._task = asyncio.get_running_loop().create_task(client._read(), name=f"doctor.{name}")
        client.send(
            Connect(
                name,
                V5,
                clean_start=clean,
                username=endpoint.username or None,
                password=endpoint.password.encode() or None,
                will=will,
                properties=ConnectProperties(session_expiry_interval=lasting) if lasting else None,
            )
        )
        try:
            answer = await client._answer()
        except Gone:
            await client.end()
            raise
        if not isinstance(answer, ConnAck) or answer.reason_code:
            await client.end()
            code = answer.reason_code if isinstance(answer, ConnAck) else 0
            raise Gone(f"it refuses another client (reason {code:#04x})")
        client.greeting = answer
        return client

    def send(self, packet: Packet) -> None:
        """Send a packet as it is."""
        if not self._writer.is_closing():
            self._writer.write(encode(packet, V5))

    async def subscribe(self, *filters: str, qos: int = 1) -> tuple[int, ...]:
        """Subscribe; returns the codes.

        Raises:
            Gone: no answer.
        """
        self.send(Subscribe(next(self._ids), tuple(Subscription(each, qos) for each in filters)))
        answer = await self._answer()
        return answer.reason_codes if isinstance(answer, SubAck) else ()

    async def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, properties: PublishProperties | None = None
    ) -> int:
        """Publish at QoS 1; returns the code of its acknowledgement.

        Raises:
            Gone: none came.
        """
        number = next(self._ids)
        self.send(Publish(topic, payload, 1, retain, packet_id=number, properties=properties))
        answer = await self._answer()
        return answer.reason_code if isinstance(answer, PubAck) else 0

    async def publish_all(self, messages: Sequence[tuple[str, bytes]], *, retain: bool = False) -> int:
        """Publish many at QoS 1, in their order; returns how many were refused.

        Raises:
            Gone: an acknowledgement is missing.
        """
        refused = 0
        for at in range(0, len(messages), CHUNK):
            chunk = messages[at : at + CHUNK]
            for topic, payload in chunk:
                self.send(Publish(topic, payload, 1, retain, packet_id=next(self._ids)))
            for _ in chunk:
                answer = await self._answer()
                refused += isinstance(answer, PubAck) and answer.reason_code >= 0x80  # noqa: PLR2004  failures, 3.4.2.1
        return refused

    def acknowledge(self, messages: Iterable[Publish]) -> None:
        """Acknowledge these."""
        for message in messages:
            if message.qos:
                self.send(PubAck(message.packet_id))

    async def got(self, expected: int = 0) -> list[Publish]:
        """Everything that came: waits for `expected` messages, and then until it is silent."""
        while True:
            self._news.clear()
            try:
                async with asyncio.timeout(PATIENCE_S / 4 if len(self.messages) < expected else SILENCE_S):
                    await self._news.wait()
            except TimeoutError:
                return self.messages

    async def end(self) -> None:
        """Say goodbye and close."""
        if not self.closed.is_set():
            self.send(Disconnect())
            with contextlib.suppress(OSError):
                await self._writer.drain()
        await self._close()

    async def lose(self) -> None:
        """Lose the connection without a word."""
        self._writer.transport.abort()
        await self._close()

    async def _close(self) -> None:
        self._writer.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _answer(self) -> ConnAck | SubAck | PubAck:
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer = await self._answers.get()
        except TimeoutError:
            raise Gone(f"no answer within {PATIENCE_S:g} s") from None
        if answer is None:
            self._answers.put_nowait(None)  # it stays gone
            reason = "" if self.farewell is None else f" (reason {self.farewell.reason_code:#04x})"
            raise Gone(f"it closed the connection{reason}")
        return answer

    async def _read(self) -> None:
        try:
            while data := await self._reader.read(_READ):
                for packet in self._decoder.feed(data):
                    self._take(packet)
        except (OSError, MalformedPacket):
            pass  # as good as closed, for whoever waits
        finally:
            self.closed.set()
            self._answers.put_nowait(None)
            self._news.set()

    def _take(self, packet: Packet) -> None:
        match packet:
            case ConnAck() | SubAck() | PubAck():
                self._answers.put_nowait(packet)
            case Publish():
                self.messages.append(packet)
                if self.acknowledges:
                    self.acknowledge([packet])
                self._news.set()
            case Disconnect():
                self.farewell = packet
            case _:
                pass
