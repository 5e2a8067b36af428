"""What a version 5 PUBLISH may carry, and what of it ends at this broker."""

from msgspec.structs import replace

from ucmlab.broker.filters import is_wildcard
from ucmlab.broker.packets import Publish, PublishProperties, Reason, WillProperties
from ucmlab.broker.sessions import Connection
from ucmlab.broker.violations import Violation


def take_properties(link: Connection, packet: Publish, alias_maximum: int) -> tuple[str, PublishProperties | None]:
    """The topic in full, and the properties to pass on; remembers an alias that the packet sets.

    Raises:
        Violation: properties that only a server may send, or that make no sense.
    """
    properties = packet.properties or PublishProperties()
    if properties.subscription_identifiers:
        raise Violation(Reason.PROTOCOL_ERROR, "subscription identifiers are the server's to send")
    if not may_be_answered(properties):
        raise Violation(Reason.PROTOCOL_ERROR, "the response topic is not a topic name")
    alias = properties.topic_alias
    if alias is None:
        if not packet.topic:
            raise Violation(Reason.PROTOCOL_ERROR, "neither topic nor topic alias")
        return packet.topic, properties
    if not 1 <= alias <= alias_maximum:
        raise Violation(Reason.TOPIC_ALIAS_INVALID, f"topic alias {alias} is out of range")
    if packet.topic:
        link.aliases[alias] = packet.topic
    elif alias not in link.aliases:
        raise Violation(Reason.PROTOCOL_ERROR, f"topic alias {alias} was never set")
    rest = replace(properties, topic_alias=None)
    return link.aliases[alias], None if rest == PublishProperties() else rest


def may_be_answered(properties: PublishProperties | WillProperties) -> bool:
    """Whether the response topic, if there is one, is a name that can be published under (3.3.2-14)."""
    topic = properties.response_topic
    return topic is None or (bool(topic) and not is_wildcard(topic))


def is_as_announced(payload: bytes, properties: PublishProperties | WillProperties) -> bool:
    """Whether a payload that is said to be text is UTF-8; of content types the standard gives no more than the name."""
    if properties.payload_format_indicator != 1:
        return True
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
