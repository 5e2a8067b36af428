"""How a real node opens a TLS connection: with what its service has loaded, as OpenSSL and the other end allow it.

The core judges what comes of it (`ucmlab.node.connections`); here it is only tried, and told what was presented.
"""

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Protocol

from ucmlab.cluster.greetings import GET, HEAD_LIMIT, OPTIONS
from ucmlab.cluster.lasting import LastingConnections
from ucmlab.cluster.tls_contexts import Family, Identity, client_context
from ucmlab.cluster.tls_ends import speak_as_the_product, told
from ucmlab.cluster.tls_peers import chain_of_peer
from ucmlab.node.commands import OpenTls
from ucmlab.node.events import TlsOpened
from ucmlab.node.handshake import Shown
from ucmlab.node.listeners import Speaks

PATIENCE_S = 10.0
"""Machine time for everything."""
LINGER_S = 0.3
"""Machine time for a server that says nothing to close the connection of a client that it does not let in."""
CLOSED = "the server closed the connection"
_HELLO: dict[Speaks, bytes] = {"website": GET, "http": GET, "sip": OPTIONS}


class Identities(Protocol):
    """Has the keys of services that are started."""

    def identity(self, service: str, unit: str) -> Identity | None:
        """What a service presents of a unit, with its key."""
        ...


class Caller:
    """Opens connections for one node."""

    def __init__(
        self,
        identities: Identities,
        lasting: LastingConnections | None = None,
        places: Mapping[str, tuple[str, int]] = MappingProxyType({}),
    ) -> None:
        """Whose keys are used, who keeps what stays open, and where servers are whose names only the lab knows."""
        self._identities = identities
        self._lasting = lasting
        self._places = places

    async def open_tls(self, command: OpenTls) -> TlsOpened:
        """Perform one; see `OpenTls`."""
        heard: list[Shown] = []
        troubles: list[ssl.SSLError] = []
        try:
            context = self._context(command)
        except OSError as error:  # OpenSSL makes nothing of the certificate, or of its key
            return TlsOpened(command.token, "unreachable", text=f"{command.unit} cannot be presented: {error}")
        if not command.address:  # of another node, whose listener is closed or which is down: it has no address now
            return TlsOpened(command.token, "unreachable", text="nobody listens there")
        try:
            host, port = self._where(command.address)
            async with asyncio.timeout(PATIENCE_S):
                with told(troubles.append, heard.append):
                    reader, writer = await asyncio.open_connection(
                        host, port, ssl=context, server_hostname=command.name, limit=HEAD_LIMIT
                    )
                shown = chain_of_peer(writer.get_extra_info("ssl_object"))
                trouble = await self._greet(command, reader, writer)
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            return _ended(command.token, heard, troubles[0] if troubles else error)
        return TlsOpened(command.token, "rejected" if trouble else "open", shown.chain, trouble)

    def _where(self, address: str) -> tuple[str, int]:
        """A name of the lab's leads to its server, whatever the port: in the lab each has one."""
        host, _, port = address.rpartition(":")
        return self._places.get(host) or (host, int(port))

    async def _greet(self, command: OpenTls, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        kept = False
        try:
            trouble = await _greet(command.speaks, reader, writer)
            if not trouble and command.lasting and self._lasting is not None:
                kept = self._lasting.keep(command.token, writer)
                trouble = "" if kept else CLOSED
            return trouble
        finally:
            if not kept:
                writer.close()

    def _context(self, command: OpenTls) -> ssl.SSLContext:
        only: Family = "ec" if command.ec_only else ""
        made = client_context(
            command.trusted,
            identity=self._identities.identity(command.service, command.unit),
            check_name=command.checks_name,
            only=only,
        )
        speak_as_the_product(made.context, hears=True)
        return made.context


async def _greet(kind: Speaks, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    """Say hello; why the server did not let us in, empty when it did."""
    if hello := _HELLO.get(kind):
        writer.write(hello)
        await writer.drain()
        return "" if await reader.readline() else CLOSED
    # It says nothing of its own accord: that it lets us stay is all that it can tell.
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_S):
            return "" if await reader.read(1) else CLOSED
    return ""


def _ended(token: str, heard: list[Shown], error: Exception) -> TlsOpened:
    """It was not opened: because of what OpenSSL was shown, or because the other end would not, or was not there."""
    chain = heard[-1].chain if heard else ()
    if isinstance(error, ssl.SSLError):
        text = error.reason or str(error)
        by_the_other = "ALERT" in text and chain
        return TlsOpened(token, "rejected" if by_the_other else "failed", chain, text)
    if chain and isinstance(error, (ConnectionResetError, BrokenPipeError, asyncio.IncompleteReadError)):
        return TlsOpened(token, "rejected", chain, type(error).__name__)
    return TlsOpened(token, "unreachable", text=str(error) or type(error).__name__)
