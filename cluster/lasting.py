"""Connections of one real node that stay open: kept until the core closes them or the other end goes.

No task waits for them: asyncio tells their protocol. What the other end says meanwhile is heard by nobody.
"""

import asyncio
from collections.abc import Callable

from ucmlab.node.commands import CloseLink
from ucmlab.node.events import LinkEnded


class LastingConnections:
    """All of one node."""

    def __init__(self) -> None:
        """There are none; `attach` must follow."""
        self._kept: dict[str, _Kept] = {}
        self._offer: Callable[[LinkEnded], None]

    def attach(self, offer: Callable[[LinkEnded], None]) -> None:
        """`offer` hears of a link whose other end has gone, at the moment when that is seen here."""
        self._offer = offer

    def keep(self, link: str, writer: asyncio.StreamWriter) -> bool:
        """Keep an open connection under the token that opened it; False: the other end has gone already."""
        if writer.transport.is_closing():
            return False
        self._kept[link] = _Kept(link, writer, self._gone)
        return True

    async def close_link(self, command: CloseLink) -> LinkEnded:
        """Close one; one that is not there is no error."""
        kept = self._kept.pop(command.link, None)
        if kept is not None:
            kept.close()
        return LinkEnded(command.token, command.link)

    def _gone(self, link: str) -> None:
        if self._kept.pop(link, None) is not None:
            self._offer(LinkEnded("", link))


class _Kept(asyncio.Protocol):
    """One connection."""

    def __init__(self, link: str, writer: asyncio.StreamWriter, gone: Callable[[str], None]) -> None:
        self._link = link
        self._writer = writer
        self._gone = gone
        writer.transport.set_protocol(self)

    def eof_received(self) -> bool:
        # Before asyncio answers the other end: who sees the answer knows that the node has been told.
        self._gone(self._link)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._gone(self._link)

    def close(self) -> None:
        self._writer.transport.close()
