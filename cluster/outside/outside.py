"""All places outside the cluster of one real lab, at one address of its block: its own, and those that stories open."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from ucmlab.cluster.outside.mail import MailServer
from ucmlab.cluster.outside.peer import ServedTls, TlsPlace
from ucmlab.cluster.outside.place import Holding, Place, check_place, fact_of
from ucmlab.cluster.outside.received import DOMAIN
from ucmlab.cluster.outside.served import Acted, Served
from ucmlab.cluster.outside.syslog import SyslogCollector
from ucmlab.cluster.port import ServedPeer, ServedResponder
from ucmlab.cluster.tls_contexts import Identity
from ucmlab.node.instant import rfc3339

if TYPE_CHECKING:
    from ucmlab.cluster.ca.responder import Responder


class Outside:
    """The places by name."""

    def __init__(self, holding: Holding, *, wall: Callable[[], int], keep: int, acted: Acted) -> None:
        """None of them listens.

        Args:
            holding: holds their answers back.
            wall: the lab's clock, unskewed.
            keep: how many mails, and how many syslog messages.
            acted: hears what a story does to a place that it opened.
        """
        self._holding = holding
        self._wall = wall
        self._acted = acted
        self._host = ""
        self._opened: list[Served] = []
        """By stories."""
        self.mail = MailServer(holding, now=lambda: rfc3339(wall()), keep=keep)
        self.syslog = SyslogCollector(holding, now=lambda: rfc3339(wall()), keep=keep)
        self._places: Mapping[str, Place] = {place.name: place for place in (self.mail, self.syslog)}

    async def open(self, host: str) -> None:
        """Have all of them listen.

        Raises:
            Unusable: there is no port for one.
        """
        self._host = host
        for place in self._places.values():
            await place.open(host)

    async def serve_responder(self, name: str, responder: "Responder") -> ServedResponder:
        """Open an OCSP responder for a story.

        Raises:
            Unusable: there is no place for it.
        """
        # It brings aiohttp, which takes a third of a second.
        from ucmlab.cluster.outside.served_ocsp import serve  # noqa: PLC0415

        served = await serve(name, responder, host=self._host, holding=self._holding, acted=self._acted)
        self._opened.append(served)
        return served

    async def serve_peer(self, name: str, *, identity: Identity, trusted: Sequence[bytes]) -> ServedPeer:
        """Open a TLS server for a story.

        Raises:
            Unusable: there is no place for it, or it cannot present its certificate.
        """
        place = TlsPlace(name, self._holding, identity=identity, trusted=trusted, wall=self._wall)
        await place.open(self._host)
        served = ServedTls(place, self._acted)
        self._opened.append(served)
        return served

    def close(self) -> None:
        """All are gone for good; a second time does nothing."""
        closing: list[Place | Served] = [*self._places.values(), *self._opened]
        for place in closing:
            place.close()

    def addresses(self) -> dict[str, tuple[str, int]]:
        """Where they are, by the names that nodes use."""
        return {f"{name}{DOMAIN}": (place.host, place.port) for name, place in self._places.items()}

    def place(self, name: str) -> Place:
        """One of them.

        Raises:
            Unusable: there is none of that name.
        """
        check_place(self._places, name)
        return self._places[name]

    def faults(self) -> tuple[dict[str, str], ...]:
        """What `dump` tells of them under `faults`."""
        facts = (fact_of(name, place.manner) for name, place in self._places.items())
        return tuple(fact for fact in facts if fact is not None)
