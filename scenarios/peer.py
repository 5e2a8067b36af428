"""A TLS server outside the cluster in a story's hands: a directory, a SIP peer, a log collector."""

from ucmlab.cluster.port import ServedPeer


class Peer:
    """A server that nodes connect to (`Node.connect`)."""

    def __init__(self, name: str, served: ServedPeer) -> None:
        self._name = name
        self._served = served

    @property
    def fqdn(self) -> str:
        """Its fully qualified name, which clients that check names look for in its certificate."""
        return self._name

    @property
    def address(self) -> str:
        """Where it listens, `HOST:PORT`."""
        return self._served.address

    async def start(self) -> None:
        """Start it again, at its old address."""
        await self._served.start()

    async def stop(self) -> None:
        """Stop it: whoever connects is refused, and whoever is connected is cut off."""
        await self._served.stop()
