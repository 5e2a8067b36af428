"""Wills: what a client leaves to be published when it is lost, at once or after a delay."""

from collections.abc import Iterator

import msgspec

from ucmlab.broker.packets import Publish, PublishProperties, Will, WillProperties
from ucmlab.broker.retained import MICROSECONDS
from ucmlab.broker.sessions import Session


class DelayedWill(msgspec.Struct, frozen=True, gc=False):
    """A will that waits for its client to come back; `due` in microseconds."""

    client_id: str
    will: Will
    due: int


class DelayedWills:
    """The wills of lost clients whose sessions go on, at most one a client."""

    def __init__(self) -> None:
        self._waiting: dict[str, DelayedWill] = {}

    def put(self, session: Session, will: Will, now: int) -> bool:
        """Lets a lost client's will wait; false if it is to be published at once.

        It is when it asks for no delay, and when the session ends with its connection: whatever comes first counts
        (5, 3.1.3.2.2). 3.1.1 knows no delay.
        """
        delay = 0 if will.properties is None else will.properties.will_delay_interval or 0
        if not delay or session.expiry_interval == 0:
            return False
        self._waiting[session.client_id] = DelayedWill(session.client_id, will, now + delay * MICROSECONDS)
        return True

    def take(self, client_id: str) -> Will | None:
        """The client's waiting will, which waits no longer."""
        waiting = self._waiting.pop(client_id, None)
        return None if waiting is None else waiting.will

    def take_due(self, now: int) -> Iterator[DelayedWill]:
        """Those whose delay is over, in the order of their ends."""
        for each in sorted((each for each in self._waiting.values() if each.due <= now), key=lambda each: each.due):
            del self._waiting[each.client_id]
            yield each

    def next_due(self) -> int | None:
        """When the first delay is over, in microseconds."""
        return min((each.due for each in self._waiting.values()), default=None)

    def clear(self) -> None:
        """Forgets them all."""
        self._waiting.clear()


def as_publish(will: Will) -> Publish:
    """The message that the client would have published; without packet identifier, for it never does."""
    if will.properties is None:
        return Publish(will.topic, will.payload, will.qos, will.retain)
    asked: WillProperties = will.properties
    properties = PublishProperties(
        payload_format_indicator=asked.payload_format_indicator,
        message_expiry_interval=asked.message_expiry_interval,
        response_topic=asked.response_topic,
        correlation_data=asked.correlation_data,
        content_type=asked.content_type,
        user_properties=asked.user_properties,
    )
    passed_on = None if properties == PublishProperties() else properties
    return Publish(will.topic, will.payload, will.qos, will.retain, properties=passed_on)
