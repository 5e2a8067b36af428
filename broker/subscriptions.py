"""Who subscribed to what: filters in a tree of levels, so that a topic need not try every filter."""

import msgspec

from ucmlab.broker.packets import Subscription


class Interest(msgspec.Struct, frozen=True, gc=False):
    """One subscription as it was granted; `identifier` is version 5's, 0 for none."""

    subscription: Subscription
    identifier: int = 0


class Match(msgspec.Struct, frozen=True, gc=False):
    """What one client's subscriptions make of one topic, taken together.

    Overlapping subscriptions deliver one copy at the highest QoS: 3.1.1 asks for that (3.3.5-1) and 5 permits it. The
    options follow suit: one subscription that wants the client's own messages, or the retain flag kept, is enough.
    """

    client_id: str
    qos: int
    no_local: bool
    retain_as_published: bool
    identifiers: tuple[int, ...]


class _Level:
    __slots__ = ("below", "here")

    def __init__(self) -> None:
        self.below: dict[str, _Level] = {}
        self.here: dict[str, tuple[Interest, Match]] = {}
        """By client, the subscription to this filter and what it is when no other one matches as well."""


class SubscriptionTree:
    """All subscriptions of all sessions. The order of answers depends on the history alone, not on hash seeds."""

    def __init__(self) -> None:
        self._root = _Level()

    def add(self, client_id: str, interest: Interest) -> None:
        """Adds the subscription or puts it in the place of the one with the same filter."""
        level = self._root
        for name in interest.subscription.filter.split("/"):
            below = level.below.get(name)
            if below is None:
                below = level.below[name] = _Level()
            level = below
        level.here[client_id] = (interest, _merged(None, client_id, interest))

    def remove(self, client_id: str, filter_: str) -> None:
        """Removes a subscription that exists, and branches that it leaves empty."""
        path = [self._root]
        names = filter_.split("/")
        for name in names:
            path.append(path[-1].below[name])
        del path[-1].here[client_id]
        for parent, name, level in zip(path[-2::-1], reversed(names), path[:0:-1], strict=True):
            if level.here or level.below:
                return
            del parent.below[name]

    def match(self, topic: str) -> list[Match]:
        """One entry per client that wants this topic."""
        found: dict[str, Match] = {}
        for here in self._levels(topic.split("/")):
            for client_id, (interest, alone) in here.items():
                before = found.get(client_id)
                found[client_id] = alone if before is None else _merged(before, client_id, interest)
        return list(found.values())

    def _levels(self, names: list[str]) -> list[dict[str, tuple[Interest, Match]]]:
        found: list[dict[str, tuple[Interest, Match]]] = []
        front = [self._root]
        # 4.7.2: wildcards at the first level do not see topics that begin with $.
        wild = names[0][:1] != "$"
        for name in names:
            ahead: list[_Level] = []
            for level in front:
                if wild and (rest := level.below.get("#")):
                    found.append(rest.here)
                if wild and (any_one := level.below.get("+")):
                    ahead.append(any_one)
                if exact := level.below.get(name):
                    ahead.append(exact)
            front = ahead
            wild = True
        for level in front:
            found.append(level.here)
            if rest := level.below.get("#"):
                found.append(rest.here)
        return found


def _merged(before: Match | None, client_id: str, interest: Interest) -> Match:
    one = interest.subscription
    ids = (interest.identifier,) if interest.identifier else ()
    if before is None:
        return Match(client_id, one.qos, one.no_local, one.retain_as_published, ids)
    return Match(
        client_id,
        max(before.qos, one.qos),
        before.no_local and one.no_local,
        before.retain_as_published or one.retain_as_published,
        before.identifiers + ids,
    )
