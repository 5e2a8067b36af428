"""All places outside the cluster of one real lab, at one address of its block."""

from collections.abc import Callable, Mapping

from ucmlab.cluster.outside.mail import MailServer
from ucmlab.cluster.outside.place import Holding, Place, check_place, fact_of
from ucmlab.cluster.outside.received import DOMAIN
from ucmlab.cluster.outside.syslog import SyslogCollector
from ucmlab.node.instant import rfc3339


class Outside:
    """The places by name."""

    def __init__(self, holding: Holding, *, wall: Callable[[], int], keep: int) -> None:
        """None of them listens.

        Args:
            holding: holds their answers back.
            wall: the lab's clock, unskewed.
            keep: how many mails, and how many syslog messages.
        """
        self.mail = MailServer(holding, now=lambda: rfc3339(wall()), keep=keep)
        self.syslog = SyslogCollector(holding, now=lambda: rfc3339(wall()), keep=keep)
        self._places: Mapping[str, Place] = {place.name: place for place in (self.mail, self.syslog)}

    async def open(self, host: str) -> None:
        """Have all of them listen.

        Raises:
            Unusable: there is no port for one.
        """
        for place in self._places.values():
            await place.open(host)

    def close(self) -> None:
        """All are gone for good; a second time does nothing."""
        for place in self._places.values():
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
