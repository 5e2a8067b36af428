"""Noticing that the other end of a connection is gone, although it has said before that it will say no more.

Such a socket is at its end for good, and asyncio looks at it no further: that its peer then gives up (a reset) is seen
by nobody. The kernel tells it to an epoll that asks for nothing else, and that has a descriptor of its own.
"""

import asyncio
import os
import select
import socket
import struct
import sys
from collections.abc import Callable

RESET_AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER: on, no time. Whoever lets go of such a socket resets the connection if its peer still waits."""


def reset_when_left(sock: socket.socket) -> None:
    """Have the peer notice, whichever way this end of a connection goes (also: with its process)."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_ONCE)


class HangUp:
    """Watches one socket until `close`. Where there is no epoll it sees nothing."""

    def __init__(self, sock: socket.socket, gone: Callable[[], None]) -> None:
        """`gone` is called once, when the peer is."""
        self._gone = gone
        self._descriptor = -1
        if sys.platform == "linux":
            # A duplicate: the socket's own number is asyncio's.
            self._descriptor = os.dup(sock.fileno())
            self._epoll = select.epoll()
            self._epoll.register(self._descriptor, 0)
            asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._notice)

    def close(self) -> None:
        """Watch no more."""
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._epoll.fileno())
            self._epoll.close()
            os.close(self._descriptor)
            self._descriptor = -1

    def _notice(self) -> None:
        self.close()
        self._gone()
