"""Open TLS ports of one real node, and who stands at each: how many at once, and who has to go when more come.

Who says nothing must keep nobody out: neither from another port nor, as long as one of them is at the door, from the
same one. So whoever came first of those that have not come to the end of their handshake, or who ask for nothing, goes
for whoever comes.
"""

import asyncio
import socket
import ssl
from collections.abc import Collection

from ucmlab.node.listeners import Endpoint

CONNECTIONS = 256
"""At once, of one node: each is a descriptor, and a process has a thousand, without which it can write no file."""
AT_A_PORT = 64
"""At once, at one port."""


class Door:
    """One open port."""

    def __init__(self, service: str, endpoint: Endpoint, sock: socket.socket) -> None:
        """Nobody is there yet."""
        self.service = service
        self.endpoint = endpoint
        self.sock = sock
        self.context: ssl.SSLContext | None = None
        """Made for the first connection that sees this endpoint."""
        self._knocking: dict[asyncio.Task[None], None] = {}
        """Whose handshakes are not over, or who ask for nothing just now, in the order in which they came to it."""
        self._inside: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """How many are there."""
        return len(self._knocking) + len(self._inside)

    @property
    def knocking(self) -> int:
        """How many can be turned away."""
        return len(self._knocking)

    def come(self, task: asyncio.Task[None]) -> None:
        """A client is there, whom the task receives until he goes."""
        self._knocking[task] = None
        task.add_done_callback(self._gone)

    def let_in(self, task: asyncio.Task[None] | None) -> None:
        """It is served from here on."""
        if task is not None and task in self._knocking:
            del self._knocking[task]
            self._inside.add(task)

    def let_out(self, task: asyncio.Task[None] | None) -> None:
        """It has been served, and may ask for more."""
        if task is not None and task in self._inside:
            self._inside.remove(task)
            self._knocking[task] = None

    def turn_away(self) -> bool:
        """Have the one go that has knocked longest; False, nobody knocks."""
        task = next(iter(self._knocking), None)
        if task is not None:
            self._gone(task)
            task.cancel()
        return task is not None

    def clear(self) -> None:
        """Have everybody go."""
        for task in (*self._knocking, *self._inside):
            task.cancel()

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._knocking.pop(task, None)
        self._inside.discard(task)


def make_room(doors: Collection[Door], door: Door) -> bool:
    """Whether there is room for one more at a door; somebody may have to go for him.

    Args:
        doors: all of the node.
        door: one of them.
    """
    if len(door) >= AT_A_PORT:
        return door.turn_away()
    if sum(map(len, doors)) >= CONNECTIONS:
        return max(doors, key=lambda each: each.knocking).turn_away()
    return True
