"""One client's connection on its way to an HTTP server: it waits at the door until the core has let it in.

asyncio gives what arrives to one protocol for as long as the connection lasts, so this one passes it on. It also ends
connections of clients that have begun nothing for too long, which aiohttp leaves to a proxy in front of it.
"""

import asyncio
from collections.abc import Callable

PATIENCE_S = 20.0
"""Machine time for a request's head to arrive, the first or the next: Tomcat's default, `connectionTimeout`."""
HELD_LIMIT = 1 << 16
"""Octets that may arrive before the client is let in; then it has to wait with the rest."""


class Doorway(asyncio.Protocol):
    """One connection."""

    def __init__(self, busy: Callable[[], None], idle: Callable[[], None]) -> None:
        """Nobody is there yet.

        Args:
            busy: hears that a request of somebody who has an account is being answered.
            idle: hears that no request is any more.
        """
        self._busy = busy
        self._idle = idle
        self.closed = asyncio.get_running_loop().create_future()
        """Done when the connection has ended."""
        self._held = bytearray()
        self._inner: asyncio.Protocol | None = None
        self._transport: asyncio.Transport
        self._impatience: asyncio.TimerHandle | None = None
        self._served = 0

    def admit(self, inner: asyncio.Protocol) -> None:
        """The client may come in: `inner` hears everything from its first octet on. Not if it has gone."""
        if self.closed.done():
            return
        self._inner = inner
        inner.connection_made(self._transport)
        self._transport.resume_reading()
        self._wait()
        if self._held:
            inner.data_received(bytes(self._held))
            self._held.clear()

    def begun(self) -> None:
        """A request's head has arrived: it may take its time."""
        self._served += 1
        self._cease()

    def known(self) -> None:
        """It is somebody's who has an account: he need not go for others until it is answered.

        Who guesses passwords is none, or so many guesses at a time would shut a port to everybody.
        """
        self._busy()

    def ended(self) -> None:
        """It was answered."""
        self._served -= 1
        if self._served == 0:
            self._wait()
            self._idle()

    # -- as a protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  sockets and TLS have no others
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._inner is not None:
            self._inner.data_received(data)
            return
        self._held += data
        if len(self._held) >= HELD_LIMIT:
            self._transport.pause_reading()

    def eof_received(self) -> bool | None:
        """See `asyncio.Protocol`."""
        return None if self._inner is None else self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._cease()
        if self._inner is not None:
            self._inner.connection_lost(exc)
        if not self.closed.done():
            self.closed.set_result(None)

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        if self._inner is not None:
            self._inner.resume_writing()

    def _wait(self) -> None:
        self._cease()
        self._impatience = asyncio.get_running_loop().call_later(PATIENCE_S, self._transport.abort)

    def _cease(self) -> None:
        if self._impatience is not None:
            self._impatience.cancel()
            self._impatience = None
