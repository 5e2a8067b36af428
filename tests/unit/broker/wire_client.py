"""A client of few words on a real socket: it sends and shows every packet, and does nothing by itself."""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Self

from ucmlab.broker.mqtt_codec import Decoder, encode
from ucmlab.broker.packets import (
    ConnAck,
    Connect,
    Packet,
    PingReq,
    PingResp,
    PubAck,
    Publish,
    SubAck,
    Subscribe,
    Subscription,
)

PATIENCE = 10.0
"""Seconds after which a test gives up; nothing waits this long when all is well."""


class WireClient:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, version: int) -> None:
        self._reader = reader
        self._writer = writer
        self._version = version
        self._decoder = Decoder(version)
        self._arrived: deque[Packet] = deque()

    @classmethod
    async def connected(cls, port: int, packet: Connect) -> tuple[Self, ConnAck]:
        """Connects and returns the client with the broker's answer."""
        client = cls(*await asyncio.open_connection("127.0.0.1", port), packet.version)
        client.send(packet)
        answer = await client.receive()
        assert isinstance(answer, ConnAck)
        return client, answer

    def send(self, packet: Packet) -> None:
        self._writer.write(encode(packet, self._version))

    def send_bytes(self, data: bytes) -> None:
        """Sends bytes that need not be a packet."""
        self._writer.write(data)

    async def receive(self) -> Packet:
        """The next packet.

        Raises:
            EOFError: the broker closed the connection.
        """
        async with asyncio.timeout(PATIENCE):
            while not self._arrived:
                data = await self._reader.read(65_536)
                if not data:
                    raise EOFError
                self._arrived.extend(self._decoder.feed(data))
        return self._arrived.popleft()

    async def subscribe(self, *subscriptions: Subscription) -> tuple[int, ...]:
        self.send(Subscribe(1, subscriptions))
        answer = await self.receive()
        assert isinstance(answer, SubAck)
        return answer.reason_codes

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """Publishes at QoS 1 and returns the code of the PUBACK."""
        self.send(Publish(topic, payload, 1, retain, packet_id=1))
        answer = await self.receive()
        assert isinstance(answer, PubAck)
        return answer.reason_code

    async def messages(self, count: int) -> list[Publish]:
        """The next messages, acknowledged."""
        return [await self._message() for _ in range(count)]

    async def all_messages(self) -> list[Publish]:
        """Every message that the broker has sent by the time it answers a ping; acknowledged."""
        found: list[Publish] = []
        self.send(PingReq())
        while not isinstance(packet := await self.receive(), PingResp):
            found.append(self._taken(packet))
        return found

    async def closed(self) -> None:
        """Returns when the broker has closed the connection."""
        try:
            while True:
                await self.receive()
        except (EOFError, ConnectionError):
            self._writer.close()

    def abort(self) -> None:
        """Loses the connection without a word."""
        self._writer.transport.abort()

    async def dispose(self) -> None:
        """Ends the connection if it is still there."""
        self.abort()
        with suppress(ConnectionError):
            await self._writer.wait_closed()

    async def _message(self) -> Publish:
        return self._taken(await self.receive())

    def _taken(self, packet: Packet) -> Publish:
        assert isinstance(packet, Publish)
        if packet.qos:
            self.send(PubAck(packet.packet_id))
        return packet


class Clients:
    """Clients of one test; leaving ends those that are still connected."""

    def __init__(self) -> None:
        self._made: list[WireClient] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in self._made:
            await client.dispose()

    async def connect(self, port: int, packet: Connect) -> WireClient:
        """A client that the broker accepted."""
        client, answer = await WireClient.connected(port, packet)
        self._made.append(client)
        assert answer.reason_code == 0
        return client

    async def resume(self, port: int, packet: Connect) -> WireClient:
        """A client whose session the broker still had."""
        client, answer = await WireClient.connected(port, packet)
        self._made.append(client)
        assert answer.session_present
        return client
