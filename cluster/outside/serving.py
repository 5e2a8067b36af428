"""Places outside in the hands of a story that is told with real processes."""

from collections.abc import Awaitable, Callable

from ucmlab.cluster.ca.responder import Responder
from ucmlab.cluster.outside.ocsp import OcspPlace
from ucmlab.cluster.outside.place import Holding

Acted = Callable[[str, str, int | None], Awaitable[None]]
"""Hears the name of a place, what was done to it (`stop`, `start`, `slow`) and how slow it is; returns when the lab is
settled."""


class ServedPlace:
    """An OCSP responder of a lab; see `ucmlab.cluster.port.ServedResponder`."""

    def __init__(self, place: OcspPlace, acted: Acted) -> None:
        """Use `serve`."""
        self._place = place
        self._acted = acted

    @property
    def url(self) -> str:
        """Where it is asked."""
        return self._place.url

    @property
    def crl_url(self) -> str:
        """Where the CRL is fetched."""
        return self._place.crl_url

    async def start(self) -> None:
        """Be up, and answer at once."""
        await self._place.start()
        await self._acted(self._place.name, "start", 0)

    async def stop(self) -> None:
        """Let nobody in any more."""
        await self._place.stop()
        await self._acted(self._place.name, "stop", 0)

    async def slow(self, delay: int | None) -> None:
        """Take so many lab microseconds for an answer; None: give none."""
        self._place.slow(delay)
        await self._acted(self._place.name, "slow", delay)

    def close(self) -> None:
        """Be gone with the lab."""
        self._place.close()


async def serve(name: str, responder: Responder, *, host: str, holding: Holding, acted: Acted) -> ServedPlace:
    """Open a responder.

    Raises:
        Unusable: there is no place for it.
    """
    place = OcspPlace(name, holding, responder)
    await place.open(host)
    return ServedPlace(place, acted)
