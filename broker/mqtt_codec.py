"""MQTT packets to bytes and back, for 3.1.1 (protocol level 4) and 5; no I/O.

Why ours, and not a library's. Looked at in the package index, by metadata and stub files:

- `mqtt5` 0.8.0 (Rust, sans-I/O, fast, well kept, what aiomqtt 3 builds on): "the MQTTv5 protocol"; its CONNECT has no
  version.
- `moat-lib-mqtt` 0.8.7, the heir of `mqttproto` (not found in the index under that name): sans-I/O, and raises
  "unsupported protocol version" for everything but 5 (`_types.py`, line 750). It pulls in anyio, attrs, httpx-ws and
  stamina.
- `mqtt-codec` 1.0.2: its one release is of January 2019, before MQTT 5 was a standard; not opened for that reason.
- The clients (paho, gmqtt, zmqtt, aiomqtt) parse inside their connection objects; amqtt is asyncio throughout and 3.1.1
  only.

None speaks both, and 3.1.1 is what aiomqtt 2 and mosquitto_sub speak unless told otherwise. Two libraries with two
packet models would cost more than these lines. When 3.1.1 may go, `mqtt5` can take this module's place.

What is checked here is what concerns one packet alone: form, reserved bits, strings, properties that may not be there.
What depends on the connection (topic aliases, who may send what) is the core's. Length fields longer than they need be
are accepted: small devices pad the remaining length, and nothing can be hidden in it.
"""
# ruff: noqa: PLR2004  the numbers are bits and lengths of the wire format, next to the clause that they come from

from collections.abc import Callable
from typing import Any, Final, TypeVar

from ucmlab.broker.mqtt_wire import (
    MAX_VARINT,
    MalformedPacket,
    Reader,
    binary,
    decode_properties,
    decode_text,
    encode_properties,
    forbidden,
    malformed,
    text,
    u16,
    varint,
)
from ucmlab.broker.packets import (
    REASONS,
    V5,
    V311,
    AckProperties,
    Auth,
    AuthProperties,
    ConnAck,
    ConnAckProperties,
    Connect,
    ConnectProperties,
    Disconnect,
    DisconnectProperties,
    Packet,
    PingReq,
    PingResp,
    PubAck,
    PubComp,
    Publish,
    PublishProperties,
    PubRec,
    PubRel,
    Reason,
    SubAck,
    Subscribe,
    SubscribeProperties,
    Subscription,
    UnsubAck,
    Unsubscribe,
    UnsubscribeProperties,
    Will,
    WillProperties,
)

__all__ = ["MAX_PACKET_SIZE", "Decoder", "MalformedPacket", "encode", "encoded_size"]

MAX_PACKET_SIZE: Final = 5 + MAX_VARINT
"""The largest packet that MQTT can express, in bytes."""

_Ack = TypeVar("_Ack", PubAck, PubRec, PubRel, PubComp)
# Fixed header flags that the standard reserves (table 2-2); PUBLISH uses its own.
_FLAGS: Final = {6: 2, 8: 2, 10: 2}
_SUBSCRIBE_BITS: Final = {V311: 0xFC, V5: 0xC0}


# --- encoding ---------------------------------------------------------------------------------------------------------


def encode(packet: Packet, version: int) -> bytes:
    """The packet as bytes of the given protocol level; properties are left out of 3.1.1.

    Raises:
        ValueError: a field does not fit its place on the wire, or the version has no such packet.
    """
    return _ENCODERS[type(packet)](packet, version)


def encoded_size(packet: Publish, version: int) -> int:
    """How many bytes `encode` makes of it, without copying the payload."""
    size = len(packet.topic.encode()) + 2 + len(packet.payload)
    if packet.qos:
        size += 2
    if version == V5:
        size += len(encode_properties(packet.properties))
    return size + 1 + len(varint(size))


def _frame(first: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return first.to_bytes(1, "big") + varint(len(body)) + body


def _encode_publish(packet: Publish, version: int) -> bytes:
    # The one encoder that is hot: one join, no helper calls but the inevitable.
    topic = packet.topic.encode()
    length = len(topic)
    if length > 0xFFFF:
        raise ValueError(f"a topic of {length} bytes does not fit into a field of 65535")
    first = 0x30 | (packet.dup << 3) | (packet.qos << 1) | packet.retain
    head = topic + packet.packet_id.to_bytes(2, "big") if packet.qos else topic
    if version == V5:
        head += b"\0" if packet.properties is None else encode_properties(packet.properties)
    payload = packet.payload
    size = varint(2 + len(head) + len(payload))
    return b"".join((first.to_bytes(1, "big"), size, length.to_bytes(2, "big"), head, payload))


def _encode_ack(kind: int) -> Callable[[Any, int], bytes]:
    first = kind << 4 | _FLAGS.get(kind, 0)
    short = bytes((first, 2))

    def encode_ack(packet: PubAck | PubRec | PubRel | PubComp, version: int) -> bytes:
        # The short form stands for success without properties (3.4.2.1), and is the only one of 3.1.1.
        if version != V5 or not (packet.reason_code or packet.properties):
            return short + packet.packet_id.to_bytes(2, "big")
        parts = [u16(packet.packet_id), packet.reason_code.to_bytes(1, "big")]
        if packet.properties is not None:
            parts.append(encode_properties(packet.properties))
        return _frame(first, *parts)

    return encode_ack


def _encode_connect(packet: Connect, _version: int) -> bytes:
    flags = packet.clean_start << 1
    parts = [text(packet.client_id)]
    if packet.will is not None:
        flags |= 0x04 | packet.will.qos << 3 | packet.will.retain << 5
        if packet.version == V5:
            parts.append(encode_properties(packet.will.properties))
        parts += [text(packet.will.topic), binary(packet.will.payload)]
    if packet.username is not None:
        flags |= 0x80
        parts.append(text(packet.username))
    if packet.password is not None:
        flags |= 0x40
        parts.append(binary(packet.password))
    head = text("MQTT") + bytes((packet.version, flags)) + u16(packet.keep_alive)
    if packet.version == V5:
        head += encode_properties(packet.properties)
    return _frame(0x10, head, *parts)


def _encode_connack(packet: ConnAck, version: int) -> bytes:
    head = bytes((packet.session_present, packet.reason_code))
    return _frame(0x20, head, encode_properties(packet.properties) if version == V5 else b"")


def _encode_subscribe(packet: Subscribe, version: int) -> bytes:
    parts = [u16(packet.packet_id)]
    if version == V5:
        parts.append(encode_properties(packet.properties))
    for each in packet.subscriptions:
        options = each.qos
        if version == V5:
            options |= each.no_local << 2 | each.retain_as_published << 3 | each.retain_handling << 4
        parts += [text(each.filter), options.to_bytes(1, "big")]
    return _frame(0x82, *parts)


def _encode_suback(packet: SubAck, version: int) -> bytes:
    properties = encode_properties(packet.properties) if version == V5 else b""
    return _frame(0x90, u16(packet.packet_id), properties, bytes(packet.reason_codes))


def _encode_unsubscribe(packet: Unsubscribe, version: int) -> bytes:
    properties = encode_properties(packet.properties) if version == V5 else b""
    return _frame(0xA2, u16(packet.packet_id), properties, *map(text, packet.filters))


def _encode_unsuback(packet: UnsubAck, version: int) -> bytes:
    if version != V5:
        return _frame(0xB0, u16(packet.packet_id))
    return _frame(0xB0, u16(packet.packet_id), encode_properties(packet.properties), bytes(packet.reason_codes))


def _encode_disconnect(packet: Disconnect, version: int) -> bytes:
    return b"\xe0\x00" if version != V5 else _reason_frame(0xE0, packet)


def _encode_auth(packet: Auth, version: int) -> bytes:
    if version != V5:
        raise ValueError("MQTT 3.1.1 has no AUTH packet")
    return _reason_frame(0xF0, packet)


def _reason_frame(first: int, packet: Disconnect | Auth) -> bytes:
    if packet.properties is not None:
        return _frame(first, packet.reason_code.to_bytes(1, "big"), encode_properties(packet.properties))
    return _frame(first, packet.reason_code.to_bytes(1, "big") if packet.reason_code else b"")


# Each encoder takes its own packet class, which a dictionary's type cannot say.
_ENCODERS: dict[type[Packet], Callable[[Any, int], bytes]] = {
    Connect: _encode_connect,
    ConnAck: _encode_connack,
    Publish: _encode_publish,
    PubAck: _encode_ack(4),
    PubRec: _encode_ack(5),
    PubRel: _encode_ack(6),
    PubComp: _encode_ack(7),
    Subscribe: _encode_subscribe,
    SubAck: _encode_suback,
    Unsubscribe: _encode_unsubscribe,
    UnsubAck: _encode_unsuback,
    PingReq: lambda _packet, _version: b"\xc0\x00",
    PingResp: lambda _packet, _version: b"\xd0\x00",
    Disconnect: _encode_disconnect,
    Auth: _encode_auth,
}


# --- decoding ---------------------------------------------------------------------------------------------------------


class Decoder:
    """Cuts a byte stream into packets.

    Args:
        version: the protocol level to read with; `None` takes it from the CONNECT that must come first, as servers do.
        max_packet_size: the largest packet taken, in bytes; a larger one is refused as soon as its length is known.
    """

    def __init__(self, version: int | None = None, max_packet_size: int = MAX_PACKET_SIZE) -> None:
        self.version = version
        self._max = max_packet_size
        self._buffer = bytearray()
        self._need = 0
        self._fault: MalformedPacket | None = None

    @property
    def pending(self) -> bool:
        """Whether a packet has begun and not ended."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[Packet]:
        """The packets that these bytes complete, oldest first.

        Raises:
            MalformedPacket: the stream is broken and stays so; `packets` holds what was complete before the fault.
        """
        if self._fault is not None:
            raise MalformedPacket(self._fault.reason_code, self._fault.text)
        if self._buffer:
            # Joined only when the first packet is complete: else a large one in small pieces is copied over and over.
            self._buffer += data
            if len(self._buffer) < self._need:
                return []
            data = bytes(self._buffer)
            self._buffer.clear()
        packets: list[Packet] = []
        try:
            rest = self._read_all(data, packets)
        except MalformedPacket as fault:
            self._fault = fault
            fault.packets = packets
            raise
        if rest < len(data):
            self._buffer += data[rest:]
        return packets

    def _read_all(self, data: bytes, packets: list[Packet]) -> int:
        """Appends the complete packets; returns where the incomplete one begins."""
        pos = 0
        size = len(data)
        while size - pos >= 2:
            if self.version is None and data[pos] >> 4 != 1:
                # Said at once: of a stranger's noise no complete packet may ever come.
                raise forbidden("the first packet is not CONNECT")
            # Nearly all packets of a bus have a remaining length of one or two bytes.
            length = data[pos + 1]
            body = pos + 2
            if length > 0x7F:
                parsed = self._long_length(data, pos + 1)
                if parsed is None:
                    break
                length, body = parsed
            end = body + length
            if end - pos > self._max:
                raise MalformedPacket(
                    Reason.PACKET_TOO_LARGE, f"a packet of {end - pos} bytes, {self._max} are allowed"
                )
            if end > size:
                self._need = end - pos
                return pos
            packets.append(self._read_one(data[pos], data, body, end))
            pos = end
        self._need = 0
        return pos

    def _long_length(self, data: bytes, pos: int) -> tuple[int, int] | None:
        value = 0
        for index, byte in enumerate(data[pos : pos + 4]):
            value |= (byte & 0x7F) << 7 * index
            if byte < 0x80:
                return value, pos + index + 1
        if len(data) - pos >= 4:
            raise malformed("the remaining length has more than four bytes")
        return None

    def _read_one(self, first: int, data: bytes, pos: int, end: int) -> Packet:
        kind = first >> 4
        version = self.version
        if kind == 3 and version is not None:
            return _decode_publish(first & 0x0F, data, pos, end, version)
        if first & 0x0F != _FLAGS.get(kind, 0):
            raise malformed("reserved flags are set in the fixed header")
        read = _DECODERS.get(kind)
        if read is None:
            raise malformed(f"there is no packet type {kind}")
        reader = Reader(data, pos, end)
        packet = read(reader, version or V311)
        reader.finish()
        if version is None and isinstance(packet, Connect):
            self.version = packet.version
        return packet


def _decode_publish(flags: int, data: bytes, pos: int, end: int, version: int) -> Publish:
    # Without Reader: this one is hot.
    qos = flags >> 1 & 3
    topic_at = pos + 2
    if topic_at > end or (pos := topic_at + (data[pos] << 8 | data[pos + 1])) > end:
        raise malformed("a topic reaches past the end of its packet")
    topic = decode_text(data[topic_at:pos])
    packet_id = 0
    if qos:
        if pos + 2 > end:
            raise malformed("the packet identifier is missing")
        packet_id = data[pos] << 8 | data[pos + 1]
        pos += 2
        if not packet_id or qos == 3:
            raise malformed("packet identifier 0" if qos != 3 else "QoS 3")
    elif flags & 8:
        raise malformed("DUP at QoS 0")
    properties = None
    if version == V5:
        if pos < end and not data[pos]:
            pos += 1
        else:
            reader = Reader(data, pos, end)
            properties = decode_properties(reader, PublishProperties)
            pos = reader.pos
    return Publish(topic, data[pos:end], qos, bool(flags & 1), bool(flags & 8), packet_id, properties)


def _decode_connect(reader: Reader, _version: int) -> Connect:
    name = reader.binary()
    version = reader.byte()
    if name != b"MQTT" or version not in (V311, V5):
        raise MalformedPacket(Reason.UNSUPPORTED_VERSION, f"protocol {name[:8]!r} level {version} is not spoken here")
    flags = reader.byte()
    keep_alive = reader.u16()
    _check_connect_flags(flags, version)
    properties = decode_properties(reader, ConnectProperties) if version == V5 else None
    client_id = reader.text()
    will = _decode_will(reader, flags, version) if flags & 0x04 else None
    username = reader.text() if flags & 0x80 else None
    password = reader.binary() if flags & 0x40 else None
    return Connect(client_id, version, bool(flags & 0x02), keep_alive, username, password, will, properties)


def _check_connect_flags(flags: int, version: int) -> None:
    if flags & 0x01:
        raise malformed("the reserved flag of CONNECT is set")
    if flags & 0x18 == 0x18:
        raise malformed("a will at QoS 3")
    if not flags & 0x04 and flags & 0x38:
        raise malformed("will flags without a will")
    if version == V311 and flags & 0xC0 == 0x40:
        raise malformed("a password without a user name")


def _decode_will(reader: Reader, flags: int, version: int) -> Will:
    properties = decode_properties(reader, WillProperties) if version == V5 else None
    topic = reader.text()
    return Will(topic, reader.binary(), flags >> 3 & 3, bool(flags & 0x20), properties)


def _decode_connack(reader: Reader, version: int) -> ConnAck:
    flags = reader.byte()
    if flags > 1:
        raise malformed("reserved flags are set in CONNACK")
    code = reader.byte()
    return ConnAck(bool(flags), code, decode_properties(reader, ConnAckProperties) if version == V5 else None)


def _decode_ack(cls: type[_Ack]) -> Callable[[Reader, int], _Ack]:
    def decode_ack(reader: Reader, version: int) -> _Ack:
        packet_id = reader.packet_id()
        if version != V5 or reader.pos == reader.end:
            return cls(packet_id)
        code = _reason(reader, cls)
        if reader.pos == reader.end:
            return cls(packet_id, code)
        return cls(packet_id, code, decode_properties(reader, AckProperties))

    return decode_ack


def _reason(reader: Reader, cls: type[Packet]) -> int:
    code = reader.byte()
    if code not in REASONS[cls]:
        raise forbidden(f"{cls.__name__} cannot have reason code 0x{code:02X}")
    return code


def _decode_subscribe(reader: Reader, version: int) -> Subscribe:
    packet_id = reader.packet_id()
    properties = decode_properties(reader, SubscribeProperties) if version == V5 else None
    subscriptions: list[Subscription] = []
    while reader.pos < reader.end:
        subscriptions.append(_decode_subscription(reader, version))
    if not subscriptions:
        raise forbidden("SUBSCRIBE without a filter")
    return Subscribe(packet_id, tuple(subscriptions), properties)


def _decode_subscription(reader: Reader, version: int) -> Subscription:
    filter_ = reader.text()
    options = reader.byte()
    if options & _SUBSCRIBE_BITS[version] or options & 3 == 3:
        raise malformed("reserved bits are set in the subscription options")
    if options & 0x30 == 0x30:
        raise forbidden("retain handling 3")
    return Subscription(filter_, options & 3, bool(options & 4), bool(options & 8), options >> 4 & 3)


def _decode_suback(reader: Reader, version: int) -> SubAck:
    packet_id = reader.packet_id()
    properties = decode_properties(reader, AckProperties) if version == V5 else None
    return SubAck(packet_id, tuple(reader.rest()), properties)


def _decode_unsubscribe(reader: Reader, version: int) -> Unsubscribe:
    packet_id = reader.packet_id()
    properties = decode_properties(reader, UnsubscribeProperties) if version == V5 else None
    filters: list[str] = []
    while reader.pos < reader.end:
        filters.append(reader.text())
    if not filters:
        raise forbidden("UNSUBSCRIBE without a filter")
    return Unsubscribe(packet_id, tuple(filters), properties)


def _decode_unsuback(reader: Reader, version: int) -> UnsubAck:
    packet_id = reader.packet_id()
    if version != V5:
        return UnsubAck(packet_id)
    properties = decode_properties(reader, AckProperties)
    return UnsubAck(packet_id, tuple(reader.rest()), properties)


def _decode_disconnect(reader: Reader, version: int) -> Disconnect:
    if version != V5 or reader.pos == reader.end:
        return Disconnect()
    code = _reason(reader, Disconnect)
    return Disconnect(code, None if reader.pos == reader.end else decode_properties(reader, DisconnectProperties))


def _decode_auth(reader: Reader, version: int) -> Auth:
    if version != V5:
        raise malformed("AUTH does not exist in 3.1.1")
    if reader.pos == reader.end:
        return Auth()
    code = _reason(reader, Auth)
    return Auth(code, None if reader.pos == reader.end else decode_properties(reader, AuthProperties))


_DECODERS: dict[int, Callable[[Reader, int], Packet]] = {
    1: _decode_connect,
    2: _decode_connack,
    4: _decode_ack(PubAck),
    5: _decode_ack(PubRec),
    6: _decode_ack(PubRel),
    7: _decode_ack(PubComp),
    8: _decode_subscribe,
    9: _decode_suback,
    10: _decode_unsubscribe,
    11: _decode_unsuback,
    12: lambda _reader, _version: PingReq(),
    13: lambda _reader, _version: PingResp(),
    14: _decode_disconnect,
    15: _decode_auth,
}
