"""OCSP responders in the hands of a story that is told with real processes."""

from ucmlab.cluster.ca.responder import Responder
from ucmlab.cluster.outside.ocsp import OcspPlace
from ucmlab.cluster.outside.place import Holding
from ucmlab.cluster.outside.served import Acted, Served


class ServedPlace(Served):
    """An OCSP responder of a lab; see `ucmlab.cluster.port.ServedResponder`."""

    def __init__(self, place: OcspPlace, acted: Acted) -> None:
        """Use `serve`."""
        super().__init__(place, acted)
        self._place = place

    @property
    def url(self) -> str:
        """Where it is asked."""
        return self._place.url

    @property
    def crl_url(self) -> str:
        """Where the CRL is fetched."""
        return self._place.crl_url


async def serve(name: str, responder: Responder, *, host: str, holding: Holding, acted: Acted) -> ServedPlace:
    """Open a responder.

    Raises:
        Unusable: there is no place for it.
    """
    place = OcspPlace(name, holding, responder)
    await place.open(host)
    return ServedPlace(place, acted)
