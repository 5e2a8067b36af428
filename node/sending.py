"""What goes out to one server outside: a bounded queue, one exchange at a time, deadlines and retries in lab time.

A server that is dead or slow costs its queue and nothing else: nobody waits for it. The oldest gives way when the queue
is full; after so many failures in a row everything that waits is thrown away, so that no timer runs forever. Of each of
these an operator hears once in an outage, which ends when something is taken.

    idle --put--> sending --taken--> idle, or sending what waits
                  sending --failed, or no answer in time--> waiting --a while--> sending
                  sending --failed too often--> idle, all thrown away
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from ucmlab.node.commands import Exchange, GiveUp
from ucmlab.node.context import Context
from ucmlab.node.events import Sent
from ucmlab.node.instant import MINUTE, SECOND

TIMER = "send:"
Item = TypeVar("Item")


class Channel(msgspec.Struct, Generic[Item], frozen=True, kw_only=True):
    """A way to send: what is made of items, how many are kept for a server, and how long it is waited for.

    [ASSUMED] the numbers: the product's are not public.
    """

    name: str
    """What its alarms begin with: `mail`, `syslog`."""
    queue: int
    """Items that may wait."""
    batch: int
    """Items in one exchange."""
    deadline: int
    """Lab microseconds for an answer."""
    attempts: int = 5
    """Failures in a row after which everything is thrown away."""
    retry: int = MINUTE
    """About how long until the second attempt; each further one takes twice as long to come."""
    exchange: Callable[[Context, str, str, tuple[Item, ...]], Exchange]
    """Makes the command, of a token, a server and items."""
    taken: Callable[[Context, tuple[Item, ...], Sent], None] = lambda context, items, sent: None
    """Hears what the server took."""


class Sending(Generic[Item]):
    """The queue to one server, and what is on its way there."""

    def __init__(self, context: Context, server: str, channel: Channel[Item]) -> None:
        """Nothing is to be sent."""
        self.server = server
        self.timer = f"{TIMER}{channel.name}:{server}"
        """The token of its timer."""
        self._context = context
        self._channel = channel
        self._queue: deque[tuple[Item, str]] = deque()
        """What waits, each with the id of what led to it."""
        self._going: tuple[tuple[Item, str], ...] = ()
        """What the open exchange carries."""
        self._waits = False
        """Whether it is tried again when the timer has run out."""
        self._number = self._failures = 0
        self._told: set[str] = set()
        """Alarms of this outage."""

    @property
    def idle(self) -> bool:
        """Whether there is nothing that waits, and nothing on its way."""
        return not (self._queue or self._going)

    def put(self, item: Item) -> None:
        """Send it when its turn comes."""
        self._queue.append((item, self._context.cause))
        if len(self._queue) > self._channel.queue:
            self._queue.popleft()
            self._lose(1, "the queue is full")
        self._send_next()

    def sent(self, event: Sent) -> bool:
        """The answer to an exchange, if it was the open one of this queue; whether it was."""
        if not self._going or event.token != self._token:
            return False
        self._context.cause = self._going[0][1]
        self._context.cancel_timer(self.timer)
        if event.error and not event.lasting:
            self._failed(event.error)
            return True
        items = _items(self._going)
        self._going, self._failures = (), 0
        self._told.clear()
        if event.error or event.refused:
            self._context.alarm(f"{self._channel.name}_refused", server=self.server, **_why(event))
        if not event.error:
            self._channel.taken(self._context, items, event)
        self._send_next()
        return True

    def due(self) -> None:
        """The timer has run out: the answer is too late, or it is time to try again."""
        if self._going:
            self._context.cause = self._going[0][1]
            self._context.ask(GiveUp(self._token))
            self._failed(f"no answer within {self._channel.deadline // SECOND} s")
        elif self._waits:
            self._waits = False
            self._send_next()

    @property
    def _token(self) -> str:
        return f"{self.timer}:{self._number}"

    def _send_next(self) -> None:
        if not self._queue or self._going or self._waits:
            return
        self._number += 1
        count = min(self._channel.batch, len(self._queue))
        self._going = tuple(self._queue.popleft() for _ in range(count))
        self._context.ask(self._channel.exchange(self._context, self._token, self.server, _items(self._going)))
        self._context.start_timer(self.timer, self._channel.deadline)

    def _failed(self, error: str) -> None:
        # Everything is settled before anybody hears of it: an alarm may bring something to be put here.
        self._queue.extendleft(reversed(self._going))
        self._going = ()
        self._failures += 1
        over = self._failures >= self._channel.attempts
        lost = len(self._queue) if over else max(0, len(self._queue) - self._channel.queue)
        for _ in range(lost):
            self._queue.popleft()
        if over:
            self._failures = 0
        else:
            self._waits = True
            self._context.start_timer(self.timer, self._retry_delay())
        self._tell("unreachable", error=error)
        if lost:
            self._lose(lost, error)

    def _retry_delay(self) -> int:
        longest = self._channel.retry << (self._failures - 1)
        return self._context.draw(longest * 3 // 4, longest, self.timer, self._number)

    def _lose(self, count: int, error: str) -> None:
        self._context.record(f"{self._channel.name}_dropped", server=self.server, count=count)
        self._tell("lost", error=error)

    def _tell(self, what: str, *, error: str) -> None:
        """Once an outage: the message about it may have to go where nothing goes."""
        if what not in self._told:
            self._told.add(what)
            self._context.alarm(f"{self._channel.name}_{what}", server=self.server, error=error)


def _items(going: Sequence[tuple[Item, str]]) -> tuple[Item, ...]:
    return tuple(item for item, _ in going)


def _why(event: Sent) -> dict[str, str]:
    """What a server does not take, for an alarm."""
    return {"error": event.error, "recipients": "; ".join(event.refused)}
