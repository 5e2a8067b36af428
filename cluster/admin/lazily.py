"""A node's website and its command line, without paying for them before somebody comes.

aiohttp and asyncssh take a third of a second and 12 MB each to import, and most nodes of most labs are never visited.
So each is imported for its first client, beside the node's loop and not in it (`ucmlab.cluster.oneload`).
"""

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from ucmlab.cluster.admin.accounts import Guard
from ucmlab.cluster.admin.desk import Desk
from ucmlab.cluster.oneload import OneLoad

if TYPE_CHECKING:
    from ucmlab.cluster.admin.terminal.ssh import SshServer
    from ucmlab.cluster.admin.website import Website


class LazyWebsite:
    """One node's."""

    def __init__(self, desk: Desk, guard: Guard) -> None:
        """Import nothing."""
        self._website = OneLoad("the website", lambda: _load_website(desk, guard))

    async def protocol(self) -> asyncio.Protocol:
        """See `ucmlab.cluster.guests.Website`."""
        website = await self._website.get()
        return await website.protocol()

    def closed(self) -> None:
        """See `ucmlab.cluster.guests.Website`."""
        website = self._website.loaded()
        if website is not None:
            website.forget_sessions()


class LazyTerminal:
    """One node's command line."""

    def __init__(self, desk: Desk, guard: Guard) -> None:
        """Import nothing."""
        self._server = OneLoad("the command line", lambda: _load_terminal(desk, guard))

    async def serve(self, sock: socket.socket, let_in: Callable[[], None]) -> None:
        """See `ucmlab.cluster.guests.Terminal`."""
        try:
            server = await self._server.get()
        except BaseException:
            sock.close()
            raise
        await server.serve(sock, let_in)


def _load_terminal(desk: Desk, guard: Guard) -> "SshServer":
    from ucmlab.cluster.admin.terminal.performing import PERFORMED  # noqa: PLC0415  see above
    from ucmlab.cluster.admin.terminal.ssh import SshServer  # noqa: PLC0415

    return SshServer(desk, guard, PERFORMED)


def _load_website(desk: Desk, guard: Guard) -> "Website":
    from ucmlab.cluster.admin import rest, soap  # noqa: PLC0415  see above
    from ucmlab.cluster.admin.website import Website  # noqa: PLC0415

    website = Website(desk, guard)
    website.mount(rest.BASE, rest.CertificateApi(desk).application(website))
    website.mount(soap.BASE, soap.ControlCenter(desk).application(website))
    return website
