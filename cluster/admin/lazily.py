"""A node's website and its command line, without paying for them before somebody comes.

aiohttp and asyncssh take a third of a second and 12 MB each to import, and most nodes of most labs are never visited.
So each is imported for its first client, beside the node's loop and not in it.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from ucmlab.cluster.admin.accounts import Guard
from ucmlab.cluster.admin.desk import Desk

if TYPE_CHECKING:
    from ucmlab.cluster.admin.terminal.ssh import SshServer
    from ucmlab.cluster.admin.website import Website


class LazyWebsite:
    """One node's."""

    def __init__(self, desk: Desk, guard: Guard) -> None:
        """Import nothing."""
        self._desk = desk
        self._guard = guard
        self._opening = asyncio.Lock()
        self._website: Website | None = None

    async def protocol(self) -> asyncio.Protocol:
        """What speaks HTTP in one connection."""
        async with self._opening:
            if self._website is None:
                website = await asyncio.to_thread(_load, self._desk, self._guard)
                await website.start()
                self._website = website
        return self._website.protocol()

    def closed(self) -> None:
        """See `ucmlab.cluster.guests.Website`."""
        if self._website is not None:
            self._website.forget_sessions()


class LazyTerminal:
    """One node's command line."""

    def __init__(self, desk: Desk, guard: Guard) -> None:
        """Import nothing."""
        self._desk = desk
        self._guard = guard
        self._opening = asyncio.Lock()
        self._server: SshServer | None = None

    async def serve(self, sock: socket.socket, let_in: Callable[[], None]) -> None:
        """See `ucmlab.cluster.guests.Terminal`."""
        try:
            async with self._opening:
                if self._server is None:
                    self._server = await asyncio.to_thread(_load_terminal, self._desk, self._guard)
        except BaseException:
            sock.close()
            raise
        await self._server.serve(sock, let_in)


def _load_terminal(desk: Desk, guard: Guard) -> "SshServer":
    from ucmlab.cluster.admin.terminal.performing import PERFORMED  # noqa: PLC0415  see above
    from ucmlab.cluster.admin.terminal.ssh import SshServer  # noqa: PLC0415

    return SshServer(desk, guard, PERFORMED)


def _load(desk: Desk, guard: Guard) -> "Website":
    from ucmlab.cluster.admin import rest, soap  # noqa: PLC0415  see above
    from ucmlab.cluster.admin.website import Website  # noqa: PLC0415

    website = Website(desk, guard)
    website.mount(rest.BASE, rest.CertificateApi(desk).application(website))
    website.mount(soap.BASE, soap.ControlCenter(desk).application(website))
    return website
