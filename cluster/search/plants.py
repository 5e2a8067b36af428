"""Planted bugs: each takes one safety mechanism out of the real cores, so that finding nothing means something."""

from collections.abc import Callable

import msgspec

from ucmlab.broker.messages import LogEntry
from ucmlab.node.commands import AnyCommand, AppendLog
from ucmlab.node.core import NodeCore
from ucmlab.node.events import AnyEvent
from ucmlab.node.following import Follower
from ucmlab.node.instant import MINUTE, Instant
from ucmlab.node.operations import Operations
from ucmlab.publisher.core import PublisherCore


class SkippingFollower(Follower):
    """Takes whatever comes, in whatever order."""

    def is_next(self, entry: LogEntry) -> bool:
        """Everything later is next."""
        return (entry.epoch, entry.seq) > self._tail[:2]


class OutOfOrderNode(NodeCore):
    """Applies out of order."""

    follower_class = SkippingFollower


class HastyPublisher(PublisherCore):
    """Acknowledges before the append: what must be durable first is performed last."""

    def handle(self, event: AnyEvent, now: Instant) -> list[AnyCommand]:
        """The same commands, appends at the end."""
        wanted = super().handle(event, now)
        return [each for each in wanted if type(each) is not AppendLog] + [
            each for each in wanted if type(each) is AppendLog
        ]


class ForgetfulPublisher(PublisherCore):
    """Drops tombstones by time, whoever has not seen the delete yet."""

    def _floor(self) -> int:
        floor = super()._floor()
        for entry_seq, appended in self._appended_at():
            if self.context.now.lab - appended > 10 * MINUTE:
                floor = max(floor, entry_seq)
        return floor

    def _appended_at(self) -> list[tuple[int, int]]:
        times: dict[int, int] = self.__dict__.setdefault("_times", {})
        times.setdefault(self.log.head[1], self.context.now.lab)
        return list(times.items())


class RepeatingOperations(Operations):
    """Forgets to close what it has answered."""

    def _close(self, op_id: str) -> None:
        """It stays open."""


def _repeating(base: type[NodeCore]) -> type[NodeCore]:
    class Repeating(base):  # type: ignore[valid-type,misc]  # a node or a publisher
        operations_class = RepeatingOperations

    return Repeating


class Plant(msgspec.Struct, frozen=True):
    """A bug to plant: what it does, who must notice, and the cores that have it."""

    text: str
    invariant: str
    node: Callable[..., NodeCore] = NodeCore
    publisher: Callable[..., NodeCore] = PublisherCore


PLANTS = {
    "out-of-order": Plant("a follower applies entries out of order", "S1", node=OutOfOrderNode),
    "ack-before-append": Plant("the publisher answers before the log is durable", "S6", publisher=HastyPublisher),
    "tombstone-by-time": Plant("tombstones are dropped by time", "S3", publisher=ForgetfulPublisher),
    "replies-twice": Plant(
        "an operation is answered more than once",
        "replies",
        node=_repeating(NodeCore),
        publisher=_repeating(PublisherCore),
    ),
}
