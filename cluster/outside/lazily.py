"""What nodes ask over HTTP, without paying for it before they do.

aiohttp takes a third of a second and 12 MB to import, and most nodes never ask. So it is imported at the first
question, beside the node's loop and not in it.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ucmlab.cluster.exchanges import Performer
from ucmlab.cluster.oneload import OneLoad
from ucmlab.node.commands import AskOcsp, Exchange, FetchCrl
from ucmlab.node.events import CrlFetched, OcspAnswered

if TYPE_CHECKING:
    from ucmlab.cluster.outside.asking import Asking


class LazilyAsking:
    """One node's questions."""

    def __init__(self, node: str) -> None:
        """Import nothing."""
        self._asking = OneLoad("what asks over HTTP", lambda: _load(node))

    @property
    def performers(self) -> Mapping[type[Exchange], Performer]:
        """Who carries out which exchange."""
        return {AskOcsp: self._ask_ocsp, FetchCrl: self._fetch_crl}

    async def _ask_ocsp(self, command: AskOcsp) -> OcspAnswered:
        return await (await self._asking.get()).ask_ocsp(command)

    async def _fetch_crl(self, command: FetchCrl) -> CrlFetched:
        return await (await self._asking.get()).fetch_crl(command)


def _load(node: str) -> "Asking":
    from ucmlab.cluster.outside.asking import Asking  # noqa: PLC0415  see above

    return Asking(node)
