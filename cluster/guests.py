"""Clients of a real node's listeners once they were let in: how each kind is served (`speaks` in listeners.toml)."""

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol

from ucmlab.cluster.admin.doorway import Doorway
from ucmlab.cluster.greetings import HEAD_LIMIT, speak
from ucmlab.node.listeners import Speaks


class Website(Protocol):
    """Where HTTP is spoken (`ucmlab.cluster.admin`)."""

    async def protocol(self) -> asyncio.Protocol:
        """What speaks it in one connection.

        Raises:
            NotLoaded: it cannot be had.
        """
        ...

    def closed(self) -> None:
        """Its service has stopped."""
        ...


class Terminal(Protocol):
    """Where SSH is spoken (`ucmlab.cluster.admin`)."""

    async def serve(self, sock: socket.socket, let_in: Callable[[], None]) -> None:
        """Serve one connection to its end, and close it; `let_in` is to hear that its client has logged in.

        Raises:
            NotLoaded: it cannot be served. The connection is closed.
        """
        ...


class Talker:
    """A client of a listener of which little is known."""

    def __init__(self, speaks: Speaks) -> None:
        """`protocol` is its connection's."""
        self._speaks = speaks
        self._reader = asyncio.StreamReader(limit=HEAD_LIMIT)
        self.protocol: asyncio.Protocol = asyncio.StreamReaderProtocol(self._reader)

    async def serve(self, transport: asyncio.Transport) -> None:
        """Until it goes; see `speak` for what is raised."""
        loop = asyncio.get_running_loop()
        await speak(self._speaks, self._reader, asyncio.StreamWriter(transport, self.protocol, self._reader, loop))


class Surfer:
    """A client of the website."""

    def __init__(self, website: Website, busy: Callable[[], None], idle: Callable[[], None]) -> None:
        """`protocol` is its connection's; for `busy` and `idle` see `Doorway`."""
        self._website = website
        self.protocol = Doorway(busy, idle)

    async def serve(self, transport: asyncio.Transport) -> None:
        """Until it goes.

        Raises:
            NotLoaded: there is no website.
        """
        del transport
        self.protocol.admit(await self._website.protocol())
        await self.protocol.closed
