"""A TLS server outside the cluster, like a directory or a SIP peer: it presents a certificate, and may ask for one.

It says nothing of its own accord and understands nothing: a client that was let in stays for as long as it likes. As
at the nodes' listeners (`ucmlab.cluster.listening`), TLS 1.2 at most, and OpenSSL judges without dates; those of a
client's certificate are judged here, by the lab's clock.
"""

import asyncio
import ssl
from collections.abc import Callable, Sequence

from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.outside.place import Holding, Place
from ucmlab.cluster.outside.served import Acted, Served
from ucmlab.cluster.tls_contexts import Identity, server_context
from ucmlab.cluster.tls_ends import HANDSHAKE_S, speak_as_the_product, told
from ucmlab.cluster.tls_peers import chain_of_peer
from ucmlab.node.handshake import Standard, date_verdict

GOODBYE_S = 2.0
"""Machine time for a client to answer that we close its connection."""


class TlsPlace(Place):
    """One server."""

    def __init__(
        self, name: str, holding: Holding, *, identity: Identity, trusted: Sequence[bytes], wall: Callable[[], int]
    ) -> None:
        """It listens nowhere until `open`.

        Args:
            name: what it is called.
            holding: see `Place`; it holds nothing back.
            identity: what it presents.
            trusted: DER of what it trusts in clients, which must present a certificate then; empty, it asks for none.
            wall: the lab's clock, unskewed.

        Raises:
            Unusable: such a certificate cannot be presented.
        """
        super().__init__(name, holding)
        self._trusted = tuple(trusted)
        self._wall = wall
        self._context = _context(name, identity, self._trusted)
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()

    @property
    def address(self) -> str:
        """Where it listens, `HOST:PORT`."""
        return f"{self.host}:{self.port}"

    async def stop(self) -> None:
        """Let nobody in any more, and close every connection; returns when the clients have answered, or will not."""
        if self._server is not None:
            self._server.close()
        connections = list(self._connections)
        for connection in connections:
            connection.close()
        for connection in connections:
            await connection.gone.wait()
        await super().stop()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        with told(_ignore):  # connections inherit it from here
            self._server = await loop.create_server(
                lambda: _Connection(self),
                self.host,
                self.port,
                ssl=self._context,
                ssl_handshake_timeout=HANDSHAKE_S,
                ssl_shutdown_timeout=GOODBYE_S,
            )

    def _deafen(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.break_off()

    # -- what connections tell

    def begun(self, connection: "_Connection", client: ssl.SSLObject) -> bool:
        """A handshake came about, as far as OpenSSL is concerned; whether its client is let in."""
        self._connections.add(connection)
        if self._server is None or not self._server.is_serving():
            return False  # we were stopped while it shook hands
        if not self._trusted:
            return True
        standard = Standard(trusted=self._trusted, usage="client", wall=self._wall())
        return date_verdict(chain_of_peer(client), standard).trusted

    def ended(self, connection: "_Connection") -> None:
        """A client is gone."""
        self._connections.discard(connection)


class _Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, place: TlsPlace) -> None:
        self._place = place
        self._transport: asyncio.Transport | None = None
        self.gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  a stream has no others
        self._transport = transport
        if not self._place.begun(self, transport.get_extra_info("ssl_object")):
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._place.ended(self)
        self.gone.set()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def break_off(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class ServedTls(Served):
    """A server in a story's hands; see `ucmlab.cluster.port.ServedPeer`."""

    def __init__(self, place: TlsPlace, acted: Acted) -> None:
        """Of a place that is open."""
        super().__init__(place, acted)
        self._place = place

    @property
    def address(self) -> str:
        """Where it listens, `HOST:PORT`."""
        return self._place.address


def _context(name: str, identity: Identity, trusted: tuple[bytes, ...]) -> ssl.SSLContext:
    try:
        made = server_context([identity], trusted=trusted, client="required" if trusted else "unasked")
    except ssl.SSLError as error:
        raise Unusable(f"{name} cannot present its certificate: {error.reason or error}") from error
    speak_as_the_product(made.context)
    return made.context


def _ignore(_error: ssl.SSLError) -> None:
    """Why a client was not let in is told to the client alone."""
