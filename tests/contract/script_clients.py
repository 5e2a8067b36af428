"""Who plays op-scripts: our own packets on a bare socket, and paho, which shares no code with our broker."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TypeVar

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.contract.scripts import Gone, Heard, Step
from tests.unit.broker.wire_client import PATIENCE
from ucmlab.broker.mqtt_codec import Decoder, encode
from ucmlab.broker.packets import (
    V5,
    ConnAck,
    Connect,
    ConnectProperties,
    Disconnect,
    Packet,
    PingReq,
    PingResp,
    PubAck,
    PubComp,
    Publish,
    PublishProperties,
    PubRec,
    PubRel,
    SubAck,
    Subscribe,
    SubscribeProperties,
    Subscription,
    UnsubAck,
    Unsubscribe,
    Will,
    WillProperties,
)

_P = TypeVar("_P", bound=Packet)
ROUNDS = 3
"""Answers without a message after which there is none: a message at QoS 2 takes two."""


class WireScriptClient:
    """Plays with packets of our own codec, which lets it do what no library would."""

    def __init__(self, port: int, name: str, version: int) -> None:
        self._port = port
        self._name = name
        self._version = version
        self._reader = asyncio.StreamReader()
        self._writer: asyncio.StreamWriter | None = None
        self._decoder = Decoder(version)
        self._packets: list[Packet] = []
        self._heard: list[Heard] = []
        self._hold = ""
        self._last_id = 100

    async def connect(self, step: Step) -> tuple[int, bool]:
        await self.drop()
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._decoder = Decoder(self._version)
        self._packets, self._heard, self._hold = [], [], step.hold
        properties = None
        if self._version == V5:
            asked = ConnectProperties(step.session_expiry, step.receive_maximum, step.max_packet)
            properties = None if asked == ConnectProperties() else asked
        name = self._name if step.client_id is None else step.client_id
        self._send(Connect(name, self._version, step.clean, 60, will=self._will(step), properties=properties))
        answer = await self._until(ConnAck)
        return (answer.reason_code, answer.session_present)

    def _will(self, step: Step) -> Will | None:
        if step.will is None:
            return None
        asked = None if step.will.delay is None else WillProperties(step.will.delay)
        return Will(step.will.topic, step.will.payload.encode(), step.will.qos, step.will.retain, asked)

    async def subscribe(self, step: Step) -> tuple[int, ...]:
        options = (step.qos, step.no_local, step.as_published, step.handling)
        properties = None if step.identifier is None else SubscribeProperties(step.identifier)
        self._send(Subscribe(1, tuple(Subscription(each, *options) for each in step.filters), properties))
        return tuple(map(int, (await self._until(SubAck)).reason_codes))

    async def unsubscribe(self, step: Step) -> tuple[int, ...]:
        self._send(Unsubscribe(1, step.filters))
        return tuple(map(int, (await self._until(UnsubAck)).reason_codes))

    async def publish(self, step: Step, payload: bytes) -> int:
        self._last_id += 1
        packet_id = (step.packet_id or self._last_id) if step.qos else 0
        properties = PublishProperties(
            payload_format_indicator=int(step.text) or None,
            message_expiry_interval=step.expiry,
            topic_alias=step.alias,
            response_topic=step.response_topic,
            correlation_data=None if step.correlation is None else step.correlation.encode(),
            content_type=step.content_type,
            user_properties=step.user,
        )
        carried = None if properties == PublishProperties() or self._version != V5 else properties
        self._send(Publish(step.topic, payload, step.qos, step.retain, step.dup, packet_id, carried))
        if step.qos == 0:
            await self._ping()
            return 0
        if step.qos == 1:
            return (await self._until(PubAck)).reason_code
        answer = await self._until(PubRec)
        if not step.packet_id and answer.reason_code < 0x80:
            self._send(PubRel(packet_id))
            await self._until(PubComp)
        return answer.reason_code

    async def release(self, step: Step) -> int:
        self._send(PubRel(step.packet_id))
        return (await self._until(PubComp)).reason_code

    async def hear(self) -> list[Heard]:
        for _ in range(ROUNDS):
            await self._ping()
        heard, self._heard = self._heard, []
        return heard

    async def disconnect(self, step: Step) -> None:
        self._send(Disconnect(step.reason))
        with suppress(Gone):
            await self._until(ConnAck)
        await self.drop()

    async def drop(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
            with suppress(ConnectionError):
                await self._writer.wait_closed()
            self._writer = None

    async def closed(self) -> None:
        await self._until(ConnAck)

    async def _ping(self) -> None:
        self._send(PingReq())
        await self._until(PingResp)

    def _send(self, packet: Packet) -> None:
        assert self._writer is not None
        self._writer.write(encode(packet, self._version))

    async def _until(self, kind: type[_P]) -> _P:
        """The next packet of the kind; messages before it are noted and answered."""
        async with asyncio.timeout(PATIENCE):
            while True:
                while self._packets:
                    packet = self._packets.pop(0)
                    if isinstance(packet, kind):
                        return packet
                    if isinstance(packet, Disconnect):
                        raise Gone(packet.reason_code)
                    self._note(packet)
                try:
                    data = await self._reader.read(65_536)
                except ConnectionResetError:
                    data = b""  # closed on top of what it had not read: as gone as by an end of file
                if not data:
                    raise Gone(0)
                self._packets += self._decoder.feed(data)

    def _note(self, packet: Packet) -> None:
        if isinstance(packet, Publish):
            self._heard.append(_seen(packet))
        elif isinstance(packet, PubRel):
            self._heard.append(Heard("", "released", 2, retain=False, dup=False))
        if self._hold == "all" or (self._hold and isinstance(packet, PubRel)):
            return
        match packet:
            case Publish(_, _, 1):
                self._send(PubAck(packet.packet_id))
            case Publish(_, _, 2):
                self._send(PubRec(packet.packet_id))
            case PubRel():
                self._send(PubComp(packet.packet_id))
            case _:
                pass


def _left(expiry: int | None) -> int | None:
    """What is left of an expiry interval, to ten seconds: which second it is depends on when each broker was asked."""
    return None if expiry is None else -(-expiry // 10) * 10


def _seen(packet: Publish) -> Heard:
    carried = packet.properties or PublishProperties()
    return Heard(
        packet.topic,
        _shown(packet.payload),
        packet.qos,
        packet.retain,
        packet.dup,
        _left(carried.message_expiry_interval),
        carried.payload_format_indicator == 1,
        carried.content_type,
        carried.response_topic,
        None if carried.correlation_data is None else carried.correlation_data.decode(),
        carried.user_properties,
        tuple(sorted(carried.subscription_identifiers)),
    )


def _shown(payload: bytes | bytearray) -> str:
    return payload.decode(errors="replace")


class PahoScriptClient:
    """Plays with paho, whose network loop is run here, step by step, in a thread."""

    def __init__(self, port: int, name: str, version: int) -> None:
        self._port = port
        self._name = name
        self._v5 = version == V5
        self._client: paho.Client | None = None
        self._answers: dict[tuple[str, int], tuple[int, ...]] = {}
        self._heard: list[Heard] = []
        self._ended: int | None = None

    async def connect(self, step: Step) -> tuple[int, bool]:
        await self.drop()
        return await asyncio.to_thread(self._connect, step)

    def _connect(self, step: Step) -> tuple[int, bool]:
        protocol = MQTTProtocolVersion.MQTTv5 if self._v5 else MQTTProtocolVersion.MQTTv311
        name = self._name if step.client_id is None else step.client_id
        clean = None if self._v5 else step.clean
        client = self._client = paho.Client(
            CallbackAPIVersion.VERSION2, name, clean, protocol=protocol, reconnect_on_failure=False
        )
        self._answers, self._heard, self._ended = {}, [], None
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = lambda _c, _u, mid, codes, _p: self._answer("subscribe", mid, codes)
        client.on_unsubscribe = lambda _c, _u, mid, codes, _p: self._answer("unsubscribe", mid, codes)
        client.on_publish = lambda _c, _u, mid, code, _p: self._answer("publish", mid, [code])
        client.on_message = lambda _c, _u, message: self._heard.append(_paho_seen(message))
        if step.will is not None:
            delay = {} if step.will.delay is None else {"WillDelayInterval": step.will.delay}
            asked = self._properties(PacketTypes.WILLMESSAGE, delay)
            client.will_set(step.will.topic, step.will.payload, step.will.qos, step.will.retain, asked)
        wanted = {
            "SessionExpiryInterval": step.session_expiry,
            "ReceiveMaximum": step.receive_maximum,
            "MaximumPacketSize": step.max_packet,
        }
        properties = self._properties(PacketTypes.CONNECT, wanted)
        if self._v5:
            client.connect("127.0.0.1", self._port, 60, clean_start=step.clean, properties=properties)
        else:
            client.connect("127.0.0.1", self._port, 60)
        self._loop(lambda: ("connect", 0) in self._answers)
        code, present = self._answers["connect", 0]
        return code, bool(present)

    async def subscribe(self, step: Step) -> tuple[int, ...]:
        return await asyncio.to_thread(self._subscribe, step)

    def _subscribe(self, step: Step) -> tuple[int, ...]:
        if not self._v5:
            return self._asked("subscribe", self._there.subscribe([(each, step.qos) for each in step.filters])[1])
        options = SubscribeOptions(step.qos, step.no_local, step.as_published, step.handling)
        properties = self._properties(PacketTypes.SUBSCRIBE, {"SubscriptionIdentifier": step.identifier})
        filters = [(each, options) for each in step.filters]
        return self._asked("subscribe", self._there.subscribe(filters, properties=properties)[1])

    async def unsubscribe(self, step: Step) -> tuple[int, ...]:
        return await asyncio.to_thread(self._unsubscribe, list(step.filters))

    def _unsubscribe(self, filters: list[str]) -> tuple[int, ...]:
        return self._asked("unsubscribe", self._there.unsubscribe(filters)[1])

    async def publish(self, step: Step, payload: bytes) -> int:
        return await asyncio.to_thread(self._publish, step, payload)

    def _publish(self, step: Step, payload: bytes) -> int:
        carried = {
            "PayloadFormatIndicator": int(step.text) or None,
            "MessageExpiryInterval": step.expiry,
            "TopicAlias": step.alias,
            "ResponseTopic": step.response_topic,
            "CorrelationData": None if step.correlation is None else step.correlation.encode(),
            "ContentType": step.content_type,
            "UserProperty": list(step.user) or None,
        }
        properties = self._properties(PacketTypes.PUBLISH, carried)
        told = self._there.publish(step.topic, payload, step.qos, step.retain, properties)
        (code,) = self._asked("publish", told.mid)
        self._unsubscribe(["nothing"])
        return code

    async def release(self, step: Step) -> int:
        raise NotImplementedError(f"paho releases by itself: {step}")

    async def hear(self) -> list[Heard]:
        return await asyncio.to_thread(self._hear)

    def _hear(self) -> list[Heard]:
        for _ in range(ROUNDS):
            self._unsubscribe(["nothing"])
        heard, self._heard = self._heard, []
        return heard

    async def disconnect(self, step: Step) -> None:
        await asyncio.to_thread(self._disconnect, step.reason)

    def _disconnect(self, reason: int) -> None:
        if self._v5:
            self._there.disconnect(ReasonCode(PacketTypes.DISCONNECT, identifier=reason))
        else:
            self._there.disconnect()
        self._loop(lambda: self._ended is not None)

    async def drop(self) -> None:
        if self._client is not None:
            if (raw := self._client.socket()) is not None:
                raw.close()
            self._client = None

    async def closed(self) -> None:
        await asyncio.to_thread(self._loop, lambda: False)

    @property
    def _there(self) -> paho.Client:
        assert self._client is not None
        return self._client

    def _asked(self, kind: str, mid: int | None) -> tuple[int, ...]:
        assert mid is not None
        self._loop(lambda: (kind, mid) in self._answers)
        return self._answers[kind, mid]

    def _loop(self, done: Callable[[], bool]) -> None:
        for _ in range(int(PATIENCE / 0.1)):
            if done():
                return
            if self._ended is not None:
                raise Gone(self._ended)
            self._there.loop(0.1)
        raise TimeoutError

    def _answer(self, kind: str, mid: int, codes: list[ReasonCode]) -> None:
        self._answers[kind, mid] = tuple(code.value for code in codes)

    def _on_connect(
        self, _client: object, _data: object, flags: paho.ConnectFlags, code: ReasonCode, _properties: object
    ) -> None:
        self._answers["connect", 0] = (code.value, flags.session_present)

    def _on_disconnect(
        self, _client: object, _data: object, flags: paho.DisconnectFlags, code: ReasonCode, _properties: object
    ) -> None:
        self._ended = code.value if flags.is_disconnect_packet_from_server else 0

    def _properties(self, kind: int, values: Mapping[str, object]) -> Properties | None:
        given = {name: value for name, value in values.items() if value is not None}
        if not self._v5 or not given:
            return None
        properties = Properties(kind)  # type: ignore[no-untyped-call]  # paho leaves it untyped
        for name, value in given.items():
            setattr(properties, name, value)
        return properties


def _paho_seen(message: paho.MQTTMessage) -> Heard:
    carried = message.properties
    correlation = getattr(carried, "CorrelationData", None)
    return Heard(
        message.topic,
        _shown(message.payload),
        message.qos,
        message.retain,
        message.dup,
        getattr(carried, "MessageExpiryInterval", None),
        getattr(carried, "PayloadFormatIndicator", 0) == 1,
        getattr(carried, "ContentType", None),
        getattr(carried, "ResponseTopic", None),
        None if correlation is None else correlation.decode(),
        tuple(getattr(carried, "UserProperty", ())),
        tuple(sorted(getattr(carried, "SubscriptionIdentifier", ()))),
    )
