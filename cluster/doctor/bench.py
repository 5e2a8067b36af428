"""Where a check works: topics and client ids that nobody else has, and what is cleaned up behind it."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from ucmlab.broker.bus import BusEndpoint
from ucmlab.broker.packets import Will
from ucmlab.cluster.doctor.client import Client, Gone

PREFIX = "cucm/doctor"
"""Below the prefix of a lab's own topics: whoever may carry a lab may be examined."""


class Bench:
    """One check's place on the broker."""

    def __init__(self, endpoint: BusEndpoint) -> None:
        """Nothing is connected."""
        self._endpoint = endpoint
        self._token = secrets.token_hex(6)
        self._clients: list[Client] = []
        self._retained: set[str] = set()
        self._lasting: set[str] = set()
        self._made = 0

    def topic(self, name: str) -> str:
        """A topic or filter of this check's own."""
        return f"{PREFIX}/{self._token}/{name}"

    async def client(
        self,
        name: str = "",
        *,
        clean: bool = True,
        lasting: int = 0,
        will: Will | None = None,
        acknowledges: bool = True,
    ) -> Client:
        """A client that is connected, under a client id of this check's own; see `Client.connect`."""
        self._made += 1
        client_id = f"doctor-{self._token}-{name or self._made}"
        if lasting:
            self._lasting.add(client_id)
        if will is not None:
            self._retained.add(will.topic)
        client = await Client.connect(
            self._endpoint, client_id, clean=clean, lasting=lasting, will=will, acknowledges=acknowledges
        )
        self._clients.append(client)
        return client

    async def retain(self, client: Client, names: list[str], payload: bytes) -> int:
        """Have messages retained; returns how many were refused. They are deleted at the end."""
        topics = [self.topic(name) for name in names]
        self._retained.update(topics)
        return await client.publish_all([(topic, payload) for topic in topics], retain=True)

    async def clean_up(self) -> None:
        """Leave nothing on the broker: no connection, no session, nothing retained."""
        for client in self._clients:
            await client.end()
        with suppress(Gone, OSError):
            for client_id in sorted(self._lasting):
                await (await Client.connect(self._endpoint, client_id)).end()
            if self._retained:
                await self._sweep(await Client.connect(self._endpoint, f"doctor-{self._token}-sweeper"))

    async def _sweep(self, sweeper: Client) -> None:
        try:
            await sweeper.publish_all([(topic, b"") for topic in sorted(self._retained)], retain=True)
        finally:
            await sweeper.end()


@asynccontextmanager
async def bench_on(endpoint: BusEndpoint) -> AsyncIterator[Bench]:
    """A bench that is cleaned up when the check is over, however it ended."""
    bench = Bench(endpoint)
    try:
        yield bench
    finally:
        await bench.clean_up()
