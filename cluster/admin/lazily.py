"""A node's website, without paying for it before somebody comes.

aiohttp takes a third of a second and 12 MB to import, and most nodes of most labs are never visited. So it is imported
for the first client that was let in, beside the node's loop and not in it.
"""

import asyncio
from typing import TYPE_CHECKING

from ucmlab.cluster.admin.accounts import Guard
from ucmlab.cluster.admin.desk import Desk

if TYPE_CHECKING:
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


def _load(desk: Desk, guard: Guard) -> "Website":
    from ucmlab.cluster.admin import rest, soap  # noqa: PLC0415  see above
    from ucmlab.cluster.admin.website import Website  # noqa: PLC0415

    website = Website(desk, guard)
    website.mount(rest.BASE, rest.CertificateApi(desk).application(website))
    website.mount(soap.BASE, soap.ControlCenter(desk).application(website))
    return website
