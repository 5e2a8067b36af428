"""Every MQTT control packet, of 3.1.1 and of 5, as a frozen value.

One class serves both protocol versions: what only version 5 carries is optional and stays at its default in 3.1.1.
The codec turns these into bytes and back, the broker core takes and gives them, and the simulation hands them over as
they are. They are built by the hundred thousand, hence positional fields in the order of use and `gc=False`: a frozen
value that holds only strings, bytes, numbers and other such values cannot be part of a reference cycle.
"""

from collections.abc import Mapping
from enum import IntEnum

import msgspec

V311 = 4
"""Protocol level of MQTT 3.1.1, as CONNECT carries it."""
V5 = 5
"""Protocol level of MQTT 5."""

NEVER_EXPIRES = 0xFFFFFFFF
"""The session expiry interval of MQTT 5 that means "no end" (3.1.2.11.2)."""


class Reason(IntEnum):
    """Reason codes of MQTT 5 that this broker sends or its clients are told by others (section 2.4)."""

    SUCCESS = 0x00
    DISCONNECT_WITH_WILL = 0x04
    NO_MATCHING_SUBSCRIBERS = 0x10
    NO_SUBSCRIPTION_EXISTED = 0x11
    UNSPECIFIED = 0x80
    MALFORMED_PACKET = 0x81
    PROTOCOL_ERROR = 0x82
    UNSUPPORTED_VERSION = 0x84
    CLIENT_ID_NOT_VALID = 0x85
    BAD_USERNAME_OR_PASSWORD = 0x86
    NOT_AUTHORIZED = 0x87
    SERVER_BUSY = 0x89
    SHUTTING_DOWN = 0x8B
    BAD_AUTHENTICATION_METHOD = 0x8C
    KEEP_ALIVE_TIMEOUT = 0x8D
    SESSION_TAKEN_OVER = 0x8E
    FILTER_INVALID = 0x8F
    TOPIC_INVALID = 0x90
    PACKET_ID_NOT_FOUND = 0x92
    RECEIVE_MAXIMUM_EXCEEDED = 0x93
    TOPIC_ALIAS_INVALID = 0x94
    PACKET_TOO_LARGE = 0x95
    QUOTA_EXCEEDED = 0x97
    PAYLOAD_FORMAT_INVALID = 0x99
    QOS_NOT_SUPPORTED = 0x9B
    SHARED_NOT_SUPPORTED = 0x9E


class ReturnCode(IntEnum):
    """CONNACK return codes of MQTT 3.1.1 (table 3.1)."""

    ACCEPTED = 0
    UNACCEPTABLE_VERSION = 1
    IDENTIFIER_REJECTED = 2
    SERVER_UNAVAILABLE = 3
    BAD_USERNAME_OR_PASSWORD = 4
    NOT_AUTHORIZED = 5


class ConnectProperties(msgspec.Struct, frozen=True, gc=False):
    """Properties of CONNECT; intervals in seconds."""

    session_expiry_interval: int | None = None
    receive_maximum: int | None = None
    maximum_packet_size: int | None = None
    topic_alias_maximum: int | None = None
    request_response_information: int | None = None
    request_problem_information: int | None = None
    authentication_method: str | None = None
    authentication_data: bytes | None = None
    user_properties: tuple[tuple[str, str], ...] = ()


class WillProperties(msgspec.Struct, frozen=True, gc=False):
    """Properties of the will inside CONNECT; intervals in seconds."""

    will_delay_interval: int | None = None
    payload_format_indicator: int | None = None
    message_expiry_interval: int | None = None
    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    user_properties: tuple[tuple[str, str], ...] = ()


class ConnAckProperties(msgspec.Struct, frozen=True, gc=False):
    """Properties of CONNACK: what the server can do and what it decided for this client."""

    session_expiry_interval: int | None = None
    receive_maximum: int | None = None
    maximum_qos: int | None = None
    retain_available: int | None = None
    maximum_packet_size: int | None = None
    assigned_client_identifier: str | None = None
    topic_alias_maximum: int | None = None
    reason_string: str | None = None
    wildcard_subscription_available: int | None = None
    subscription_identifier_available: int | None = None
    shared_subscription_available: int | None = None
    server_keep_alive: int | None = None
    response_information: str | None = None
    server_reference: str | None = None
    authentication_method: str | None = None
    authentication_data: bytes | None = None
    user_properties: tuple[tuple[str, str], ...] = ()


class PublishProperties(msgspec.Struct, frozen=True, gc=False):
    """Properties of PUBLISH; `message_expiry_interval` in seconds."""

    payload_format_indicator: int | None = None
    message_expiry_interval: int | None = None
    topic_alias: int | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    subscription_identifiers: tuple[int, ...] = ()
    content_type: str | None = None
    user_properties: tuple[tuple[str, str], ...] = ()


class AckProperties(msgspec.Struct, frozen=True, gc=False):
    """Properties of the acknowledgements: PUBACK to PUBCOMP, SUBACK, UNSUBACK."""

    reason_string: str | None = None
    user_properties: tuple[tuple[str, str], ...] = ()


class SubscribeProperties(msgspec.Struct, frozen=True, gc=False):
    """Properties of SUBSCRIBE."""

    subscription_identifier: int | None = None
    user_properties: tuple[tuple[str, str], ...] = ()


class UnsubscribeProperties(msgspec.Struct, frozen=True, gc=False):
    """Properties of UNSUBSCRIBE."""

    user_properties: tuple[tuple[str, str], ...] = ()


class DisconnectProperties(msgspec.Struct, frozen=True, gc=False):
    """Properties of DISCONNECT."""

    session_expiry_interval: int | None = None
    reason_string: str | None = None
    server_reference: str | None = None
    user_properties: tuple[tuple[str, str], ...] = ()


class AuthProperties(msgspec.Struct, frozen=True, gc=False):
    """Properties of AUTH."""

    authentication_method: str | None = None
    authentication_data: bytes | None = None
    reason_string: str | None = None
    user_properties: tuple[tuple[str, str], ...] = ()


class Will(msgspec.Struct, frozen=True, gc=False):
    """The message that the broker publishes when it loses the client."""

    topic: str
    payload: bytes = b""
    qos: int = 0
    retain: bool = False
    properties: WillProperties | None = None


class Connect(msgspec.Struct, frozen=True, gc=False):
    """A client asks for a session; `clean_start` is 3.1.1's clean session; `keep_alive` in seconds, 0 for none."""

    client_id: str
    version: int = V311
    clean_start: bool = True
    keep_alive: int = 0
    username: str | None = None
    password: bytes | None = None
    will: Will | None = None
    properties: ConnectProperties | None = None


class ConnAck(msgspec.Struct, frozen=True, gc=False):
    """The answer to CONNECT; `reason_code` is a `ReturnCode` in 3.1.1 and a `Reason` in 5."""

    session_present: bool = False
    reason_code: int = 0
    properties: ConnAckProperties | None = None


class Publish(msgspec.Struct, frozen=True, gc=False):
    """One message on its way; `packet_id` is 0 at QoS 0."""

    topic: str
    payload: bytes = b""
    qos: int = 0
    retain: bool = False
    dup: bool = False
    packet_id: int = 0
    properties: PublishProperties | None = None


class PubAck(msgspec.Struct, frozen=True, gc=False):
    """QoS 1: the receiver has the message."""

    packet_id: int
    reason_code: int = 0
    properties: AckProperties | None = None


class PubRec(msgspec.Struct, frozen=True, gc=False):
    """QoS 2, first answer."""

    packet_id: int
    reason_code: int = 0
    properties: AckProperties | None = None


class PubRel(msgspec.Struct, frozen=True, gc=False):
    """QoS 2, the sender's release."""

    packet_id: int
    reason_code: int = 0
    properties: AckProperties | None = None


class PubComp(msgspec.Struct, frozen=True, gc=False):
    """QoS 2, last answer."""

    packet_id: int
    reason_code: int = 0
    properties: AckProperties | None = None


class Subscription(msgspec.Struct, frozen=True, gc=False):
    """One filter inside SUBSCRIBE with its options; all but `qos` exist in version 5 only."""

    filter: str
    qos: int = 0
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0


class Subscribe(msgspec.Struct, frozen=True, gc=False):
    """A client asks for messages."""

    packet_id: int
    subscriptions: tuple[Subscription, ...]
    properties: SubscribeProperties | None = None


class SubAck(msgspec.Struct, frozen=True, gc=False):
    """One code per filter asked for: the QoS granted, or a failure from 0x80 on."""

    packet_id: int
    reason_codes: tuple[int, ...]
    properties: AckProperties | None = None


class Unsubscribe(msgspec.Struct, frozen=True, gc=False):
    """A client wants no more of these filters."""

    packet_id: int
    filters: tuple[str, ...]
    properties: UnsubscribeProperties | None = None


class UnsubAck(msgspec.Struct, frozen=True, gc=False):
    """The answer to UNSUBSCRIBE; 3.1.1 has no codes in it."""

    packet_id: int
    reason_codes: tuple[int, ...] = ()
    properties: AckProperties | None = None


class PingReq(msgspec.Struct, frozen=True, gc=False):
    """A client shows that it lives."""


class PingResp(msgspec.Struct, frozen=True, gc=False):
    """The broker shows that it lives."""


class Disconnect(msgspec.Struct, frozen=True, gc=False):
    """The end of a connection, said; the server says it in version 5 only."""

    reason_code: int = 0
    properties: DisconnectProperties | None = None


class Auth(msgspec.Struct, frozen=True, gc=False):
    """Extended authentication, version 5 only."""

    reason_code: int = 0
    properties: AuthProperties | None = None


Properties = (
    ConnectProperties
    | WillProperties
    | ConnAckProperties
    | PublishProperties
    | AckProperties
    | SubscribeProperties
    | UnsubscribeProperties
    | DisconnectProperties
    | AuthProperties
)

Packet = (
    Connect
    | ConnAck
    | Publish
    | PubAck
    | PubRec
    | PubRel
    | PubComp
    | Subscribe
    | SubAck
    | Unsubscribe
    | UnsubAck
    | PingReq
    | PingResp
    | Disconnect
    | Auth
)

_TAKEN = frozenset({0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99})
_RELEASED = frozenset({0x00, 0x92})
_CLIENTS_GOODBYE = frozenset({0x00, 0x04, *range(0x80, 0x84), 0x90, *range(0x93, 0x9A)})
_SERVERS_GOODBYE = frozenset({0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, *range(0x9A, 0xA3)})
REASONS: Mapping[type[Packet], frozenset[int]] = {
    PubAck: _TAKEN,
    PubRec: _TAKEN,
    PubRel: _RELEASED,
    PubComp: _RELEASED,
    Disconnect: _CLIENTS_GOODBYE | _SERVERS_GOODBYE,
    Auth: frozenset({0x00, 0x18, 0x19}),
}
"""Reason codes that a client's packet may carry (table 2-6); of DISCONNECT the server's too, for it is read as well."""
