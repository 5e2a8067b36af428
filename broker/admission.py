"""CONNECT and its answer: what a client may ask for, and the words in which it is refused or welcomed."""

from ucmlab.broker.filters import InvalidTopic, validate_topic
from ucmlab.broker.incoming import is_as_announced, may_be_answered
from ucmlab.broker.limits import Limits
from ucmlab.broker.packets import (
    V5,
    V311,
    ConnAck,
    ConnAckProperties,
    Connect,
    ConnectProperties,
    Reason,
    ReturnCode,
    Will,
)

# 3.1.1 says less: every other reason is "server unavailable" there.
_RETURN_CODES = {
    Reason.UNSUPPORTED_VERSION: ReturnCode.UNACCEPTABLE_VERSION,
    Reason.CLIENT_ID_NOT_VALID: ReturnCode.IDENTIFIER_REJECTED,
    Reason.BAD_USERNAME_OR_PASSWORD: ReturnCode.BAD_USERNAME_OR_PASSWORD,
    Reason.NOT_AUTHORIZED: ReturnCode.NOT_AUTHORIZED,
}


class Refusal(Exception):
    """A CONNECT that is answered with a failure.

    Args:
        reason: what a version 5 client is told.
        text: the same in words.
    """

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text


def check_form(packet: Connect) -> None:
    """Whether this can be a client of this broker at all, whoever it is.

    Raises:
        Refusal: it cannot.
    """
    if packet.version not in (V311, V5):
        raise Refusal(Reason.UNSUPPORTED_VERSION, "MQTT 3.1.1 and 5 are spoken here")
    asked = packet.properties or ConnectProperties()
    if asked.authentication_method is not None:
        raise Refusal(Reason.BAD_AUTHENTICATION_METHOD, "extended authentication is not supported")
    if asked.authentication_data is not None:
        raise Refusal(Reason.PROTOCOL_ERROR, "authentication data without a method")
    if packet.version == V311 and not packet.client_id and not packet.clean_start:
        # 3.1.3-8: a session that lasts needs a name to come back to. In 5 it learns the name that it is given.
        raise Refusal(Reason.CLIENT_ID_NOT_VALID, "a persistent session needs a client id")
    if packet.will is not None:
        _check_will(packet.will)


def _check_will(will: Will) -> None:
    try:
        validate_topic(will.topic)
    except InvalidTopic as fault:
        raise Refusal(Reason.TOPIC_INVALID, f"will: {fault.why}") from None
    if will.properties is None:
        return
    if not may_be_answered(will.properties):
        raise Refusal(Reason.PROTOCOL_ERROR, "the will's response topic is not a topic name")
    if not is_as_announced(will.payload, will.properties):
        raise Refusal(Reason.PAYLOAD_FORMAT_INVALID, "the will is said to be text and is not UTF-8")


def refusal_answer(packet: Connect, refusal: Refusal) -> ConnAck:
    """The CONNACK that refuses."""
    if packet.version == V5:
        # Words must not make the packet larger than the client takes (3.2.2-19); a limit means: code only.
        limited = packet.properties is not None and packet.properties.maximum_packet_size is not None
        words = None if limited else ConnAckProperties(reason_string=refusal.text)
        return ConnAck(reason_code=refusal.reason, properties=words)
    return ConnAck(reason_code=_RETURN_CODES.get(refusal.reason, ReturnCode.SERVER_UNAVAILABLE))


def welcome(packet: Connect, client_id: str, limits: Limits, *, resumed: bool) -> ConnAck:
    """The CONNACK that accepts; what is not named in it is there without a bound (3.2.2.3)."""
    if packet.version != V5:
        return ConnAck(resumed)
    asked = packet.properties or ConnectProperties()
    answer_to = limits.response_information if asked.request_response_information else None
    properties = ConnAckProperties(
        receive_maximum=limits.receive_maximum,
        maximum_packet_size=limits.max_packet_size,
        assigned_client_identifier=None if packet.client_id else client_id,
        topic_alias_maximum=limits.topic_alias_maximum,
        server_keep_alive=limits.server_keep_alive,
        response_information=None if answer_to is None else answer_to.replace("%c", client_id),
    )
    return ConnAck(resumed, Reason.SUCCESS, properties)
