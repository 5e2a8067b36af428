"""Shared subscriptions: each message goes to one member of a group (MQTT 5, section 4.8.2).

The filter is written `$share/NAME/FILTER`; everybody who subscribes to the same text is a member of one group. 3.1.1
does not know them, and its clients get them all the same, as from Mosquitto, EMQX and HiveMQ: the names begin with a
`$`, which the standard leaves to the server.
"""

from ucmlab.broker.filters import InvalidTopic, is_wildcard
from ucmlab.broker.packets import Subscription
from ucmlab.broker.subscriptions import Interest, SubscriptionTree

_PREFIX = "$share/"


def is_shared(filter_: str) -> bool:
    """Whether a SUBSCRIBE with this filter asks for membership of a group."""
    return filter_.startswith(_PREFIX)


def topic_filter(filter_: str) -> str:
    """The part of a subscription's filter that topics are compared with; not validated.

    Raises:
        InvalidTopic: a shared subscription without a name or a filter, or with a wildcard in its name.
    """
    if not is_shared(filter_):
        return filter_
    name, slash, inner = filter_.removeprefix(_PREFIX).partition("/")
    if not name or is_wildcard(name) or not slash or not inner:
        raise InvalidTopic(filter_, "a shared subscription is $share/NAME/FILTER, and the name holds no + and no #")
    return inner


class SharedSubscriptions:
    """All groups."""

    def __init__(self) -> None:
        self.groups: dict[str, dict[str, Interest]] = {}
        """By the whole filter, the members by client id; who was served last is last. To look at, not to change."""
        self._tree = SubscriptionTree()
        """The groups as if they were clients."""

    def add(self, client_id: str, interest: Interest) -> None:
        """Makes the client a member, or gives it other options."""
        filter_ = interest.subscription.filter
        members = self.groups.get(filter_)
        if members is None:
            members = self.groups[filter_] = {}
            self._tree.add(filter_, Interest(Subscription(topic_filter(filter_))))
        members[client_id] = interest

    def remove(self, client_id: str, filter_: str) -> None:
        """Takes a member out; a group without members is gone."""
        members = self.groups[filter_]
        del members[client_id]
        if not members:
            del self.groups[filter_]
            self._tree.remove(filter_, topic_filter(filter_))

    def matching(self, topic: str) -> list[str]:
        """The groups that want messages on this topic, by their filters."""
        return [match.client_id for match in self._tree.match(topic)]

    def served(self, filter_: str, client_id: str) -> None:
        """The member got a message: now it is everybody else's turn."""
        members = self.groups[filter_]
        members[client_id] = members.pop(client_id)
