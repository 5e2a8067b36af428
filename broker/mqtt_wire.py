"""The primitives of MQTT's wire format: integers, strings, and version 5's properties.

The properties are a table: identifier, field, kind. Which of them a packet may carry is read off its properties class,
so class and table cannot disagree. Used by `mqtt_codec` only.
"""
# ruff: noqa: PLR2004  the numbers are bits and lengths of the wire format

from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from ucmlab.broker.packets import (
    AckProperties,
    AuthProperties,
    ConnAckProperties,
    ConnectProperties,
    DisconnectProperties,
    Packet,
    Properties,
    PublishProperties,
    Reason,
    SubscribeProperties,
    UnsubscribeProperties,
    WillProperties,
)

MAX_VARINT: Final = 268_435_455
_P = TypeVar("_P", bound=msgspec.Struct)


class MalformedPacket(Exception):
    """Bytes that are no MQTT packet, or one that the protocol forbids.

    Args:
        reason_code: what to tell a version 5 peer, a `Reason`.
        text: the same in words.

    `packets` holds what the same call decoded before it met the fault; those packets arrived and count.
    """

    def __init__(self, reason_code: int, text: str) -> None:
        super().__init__(f"{text} (0x{reason_code:02X})")
        self.reason_code = reason_code
        self.text = text
        self.packets: list[Packet] = []


def malformed(text: str) -> MalformedPacket:
    """The bytes do not parse."""
    return MalformedPacket(Reason.MALFORMED_PACKET, text)


def forbidden(text: str) -> MalformedPacket:
    """The bytes parse, and say what the protocol forbids."""
    return MalformedPacket(Reason.PROTOCOL_ERROR, text)


class Reader:
    """Reads one packet's body; every read past its end is a `MalformedPacket`."""

    __slots__ = ("data", "end", "pos")

    def __init__(self, data: bytes, pos: int, end: int) -> None:
        self.data = data
        self.pos = pos
        self.end = end

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        start = self.pos
        self.pos = start + count
        if self.pos > self.end:
            raise malformed("a field reaches past the end of its packet")
        return self.data[start : self.pos]

    def byte(self) -> int:
        """One byte."""
        return self.take(1)[0]

    def u16(self) -> int:
        """A two byte integer."""
        return int.from_bytes(self.take(2), "big")

    def u32(self) -> int:
        """A four byte integer."""
        return int.from_bytes(self.take(4), "big")

    def varint(self) -> int:
        """A variable byte integer (1.5.5)."""
        value = 0
        for shift in (0, 7, 14, 21):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise malformed("a variable byte integer has more than four bytes")

    def binary(self) -> bytes:
        """Length and bytes."""
        return self.take(self.u16())

    def text(self) -> str:
        """A UTF-8 string; no null character, no surrogates (1.5.4)."""
        return decode_text(self.binary())

    def packet_id(self) -> int:
        """A packet identifier, which is never 0 (2.2.1)."""
        value = self.u16()
        if not value:
            raise forbidden("packet identifier 0")
        return value

    def rest(self) -> bytes:
        """Everything that is left."""
        return self.take(self.end - self.pos)

    def finish(self) -> None:
        """Raises unless all bytes are used."""
        if self.pos != self.end:
            raise malformed("bytes are left over at the end of a packet")


def decode_text(raw: bytes) -> str:
    """A UTF-8 string of the wire; no null character, no surrogates (1.5.4)."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise malformed("a string is not UTF-8") from None
    if "\0" in text:
        raise malformed("a string holds a null character")
    return text


def u16(value: int) -> bytes:
    """A two byte integer."""
    return value.to_bytes(2, "big")


def u32(value: int) -> bytes:
    """A four byte integer."""
    return value.to_bytes(4, "big")


def varint(value: int) -> bytes:
    """A variable byte integer.

    Raises:
        ValueError: it does not fit into four bytes.
    """
    if value < 0x80:
        return value.to_bytes(1, "big")
    if value > MAX_VARINT:
        raise ValueError(f"{value} does not fit into a variable byte integer")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def binary(value: bytes) -> bytes:
    """Length and bytes.

    Raises:
        ValueError: longer than 65,535 bytes.
    """
    if len(value) > 0xFFFF:
        raise ValueError(f"{len(value)} bytes do not fit into a field of 65535")
    return u16(len(value)) + value


def text(value: str) -> bytes:
    """A UTF-8 string.

    Raises:
        ValueError: longer than 65,535 bytes, or not expressible in UTF-8.
    """
    return binary(value.encode())


def _flag(reader: Reader) -> int:
    value = reader.byte()
    if value > 1:
        raise forbidden(f"a property that is 0 or 1 holds {value}")
    return value


def _positive(read: Callable[[Reader], int]) -> Callable[[Reader], int]:
    def checked(reader: Reader) -> int:
        value = read(reader)
        if not value:
            raise forbidden("a property that must not be 0 is 0")
        return value

    return checked


def _byte(value: int) -> bytes:
    return value.to_bytes(1, "big")


# The values of a property are numbers, strings or bytes by its kind; `Any` is confined to this table and its two users.
_Kind = tuple[Callable[[Any], bytes], Callable[[Reader], Any]]
_FLAG: _Kind = (_byte, _flag)
_U16: _Kind = (u16, Reader.u16)
_U16_POSITIVE: _Kind = (u16, _positive(Reader.u16))
_U32: _Kind = (u32, Reader.u32)
_U32_POSITIVE: _Kind = (u32, _positive(Reader.u32))
_TEXT: _Kind = (text, Reader.text)
_BINARY: _Kind = (binary, Reader.binary)
_ID: _Kind = (varint, _positive(Reader.varint))
_PAIR: _Kind = (lambda pair: text(pair[0]) + text(pair[1]), lambda reader: (reader.text(), reader.text()))

# Table 2-4 of the standard. Topic alias 0 is left to the broker, which has a reason code of its own for it.
_TABLE: tuple[tuple[int, str, _Kind], ...] = (
    (0x01, "payload_format_indicator", _FLAG),
    (0x02, "message_expiry_interval", _U32),
    (0x03, "content_type", _TEXT),
    (0x08, "response_topic", _TEXT),
    (0x09, "correlation_data", _BINARY),
    (0x0B, "subscription_identifier", _ID),
    (0x0B, "subscription_identifiers", _ID),
    (0x11, "session_expiry_interval", _U32),
    (0x12, "assigned_client_identifier", _TEXT),
    (0x13, "server_keep_alive", _U16),
    (0x15, "authentication_method", _TEXT),
    (0x16, "authentication_data", _BINARY),
    (0x17, "request_problem_information", _FLAG),
    (0x18, "will_delay_interval", _U32),
    (0x19, "request_response_information", _FLAG),
    (0x1A, "response_information", _TEXT),
    (0x1C, "server_reference", _TEXT),
    (0x1F, "reason_string", _TEXT),
    (0x21, "receive_maximum", _U16_POSITIVE),
    (0x22, "topic_alias_maximum", _U16),
    (0x23, "topic_alias", _U16),
    (0x24, "maximum_qos", _FLAG),
    (0x25, "retain_available", _FLAG),
    (0x26, "user_properties", _PAIR),
    (0x27, "maximum_packet_size", _U32_POSITIVE),
    (0x28, "wildcard_subscription_available", _FLAG),
    (0x29, "subscription_identifier_available", _FLAG),
    (0x2A, "shared_subscription_available", _FLAG),
)
_REPEATED: Final = frozenset({"subscription_identifiers", "user_properties"})
_CLASSES: tuple[type[msgspec.Struct], ...] = (
    ConnectProperties,
    WillProperties,
    ConnAckProperties,
    PublishProperties,
    AckProperties,
    SubscribeProperties,
    UnsubscribeProperties,
    DisconnectProperties,
    AuthProperties,
)
_ROWS: dict[type[msgspec.Struct], dict[int, tuple[str, _Kind]]] = {
    cls: {number: (name, kind) for number, name, kind in _TABLE if name in cls.__struct_fields__} for cls in _CLASSES
}


def encode_properties(properties: Properties | None) -> bytes:
    """The property section with its length in front; `None` is the empty one."""
    if properties is None:
        return b"\0"
    out = bytearray()
    for number, (name, (write, _)) in _ROWS[type(properties)].items():
        value = getattr(properties, name)
        if name in _REPEATED:
            for each in value:
                out.append(number)
                out += write(each)
        elif value is not None:
            out.append(number)
            out += write(value)
    return varint(len(out)) + out


def decode_properties(reader: Reader, cls: type[_P]) -> _P | None:
    """Reads the property section of a packet that may carry `cls`; an empty one is `None`.

    Raises:
        MalformedPacket: a property unknown or not allowed here, given twice, or cut short.
    """
    end = reader.varint() + reader.pos
    if end == reader.pos:
        return None
    if end > reader.end:
        raise malformed("the properties reach past the end of their packet")
    section = Reader(reader.data, reader.pos, end)
    reader.pos = end
    rows = _ROWS[cls]
    values: dict[str, Any] = {}
    while section.pos < end:
        _decode_one(section, rows, values)
    for name in _REPEATED & values.keys():
        values[name] = tuple(values[name])
    return cls(**values)


def _decode_one(section: Reader, rows: dict[int, tuple[str, _Kind]], values: dict[str, Any]) -> None:
    number = section.varint()
    row = rows.get(number)
    if row is None:
        raise malformed(f"property 0x{number:02X} does not belong here")
    name, (_, read) = row
    if name in _REPEATED:
        values.setdefault(name, []).append(read(section))
    elif name in values:
        raise forbidden(f"property {name} is given twice")
    else:
        values[name] = read(section)
