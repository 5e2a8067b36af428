"""Messages under way inside the broker, and the retained ones, one a topic."""

from functools import lru_cache

import msgspec

from ucmlab.broker.filters import filter_matches, is_wildcard
from ucmlab.broker.packets import PublishProperties

MICROSECONDS = 1_000_000

# Members come back with the filters that they had, and topics stay: the question is nearly always an old one.
# Only short filters are kept in mind, so that a peer who invents long ones costs no memory.
_covers = lru_cache(maxsize=4096)(filter_matches)
_SHORT = 200


class Message(msgspec.Struct, frozen=True, gc=False):
    """A message as its publisher gave it, without packet identifier and topic alias. `expires_at` in microseconds."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    properties: PublishProperties | None
    sender: str
    expires_at: int | None = None

    def expired(self, now: int) -> bool:
        """Whether its time is over (3.3.2.3.3); it must not be given to anybody new."""
        return self.expires_at is not None and self.expires_at <= now


class RetainedMessages:
    """The last retained message of every topic that has one.

    Args:
        limit: how many topics may have one.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._by_topic: dict[str, Message] = {}

    def __len__(self) -> int:
        """How many topics have a retained message."""
        return len(self._by_topic)

    def put(self, message: Message) -> bool:
        """Keeps the message, or forgets the topic's one if the payload is empty; false if there is no room."""
        topic = message.topic
        if not message.payload:
            self._by_topic.pop(topic, None)
            return True
        if topic not in self._by_topic and len(self._by_topic) >= self._limit:
            return False
        self._by_topic[topic] = message
        return True

    def matching(self, filter_: str, now: int) -> list[Message]:
        """Every retained message that a new subscription with this filter is owed, all of them."""
        if not is_wildcard(filter_):
            found = self._by_topic.get(filter_)
            return [] if found is None or found.expired(now) else [found]
        covers = _covers if len(filter_) <= _SHORT else filter_matches
        # A filter of one member's own, as most are, has few topics below its first levels: the others cost no more
        # than a look at their beginning, so a member that joins thousands is not asked about all that they retain.
        begins = _before_wildcard(filter_)
        return [
            message
            for topic, message in self._by_topic.items()
            if topic.startswith(begins) and covers(filter_, topic) and not message.expired(now)
        ]

    def purge(self, now: int) -> None:
        """Forgets what has expired."""
        expired = [topic for topic, message in self._by_topic.items() if message.expired(now)]
        for topic in expired:
            del self._by_topic[topic]


def _before_wildcard(filter_: str) -> str:
    """What every topic that a filter matches begins with; `a/#` matches `a` as well, so without the last `/`."""
    return filter_.partition("#")[0].partition("+")[0].rstrip("/")
