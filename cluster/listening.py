"""The listeners of one real node: each shows what its service loaded, and nothing else (R-008..R-010, B.14).

All of them speak TLS but the command line, whose connections go to `Terminal` as they are.

The core says what is open (`TakeUp`, `LayDown`) and who is let in (`Admit`); OpenSSL judges chain, name and usage, the
core the dates. Ports are bound at once, so whoever is told that a service is started finds it; what a connection needs
(a context with fifty trusted certificates) is made when the first one comes, as most ports of most labs never see one.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from typing import Literal

from ucmlab.cluster.doors import Door, make_room
from ucmlab.cluster.guests import Surfer, Talker, Terminal, Website
from ucmlab.cluster.oneload import NotLoaded
from ucmlab.cluster.ports import Ports
from ucmlab.cluster.tls_contexts import Identity, server_context
from ucmlab.cluster.tls_ends import HANDSHAKE_S, speak_as_the_product, told
from ucmlab.cluster.tls_peers import chain_of_peer
from ucmlab.node.commands import Admit, LayDown, TakeUp
from ucmlab.node.events import REJECTED, AnyEvent, ListenerFailed, PeerShown
from ucmlab.node.handshake import Shown
from ucmlab.node.keyring import KeyRing
from ucmlab.node.listeners import ClientCertificate, Endpoint, Speaks
from ucmlab.node.privatefile import read_private
from ucmlab.node.rulebook import RuleBook

REST_S = 1.0
"""Machine time in which nobody is let in at a port when the process has no descriptor for him."""
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_HTTP: tuple[Speaks, ...] = ("website", "http")
_ASKED: dict[ClientCertificate, Literal["unasked", "optional", "required"]] = {
    "none": "unasked",
    "optional": "optional",
    "required": "required",
}


class Listeners:
    """The listeners of one node, and the keys of its services."""

    def __init__(
        self, host: str, ports: Ports, ring: KeyRing, rulebook: RuleBook, *, website: Website, terminal: Terminal
    ) -> None:
        """Nothing is open; `attach` must follow."""
        self._host = host
        self._ports = ports
        self._website = website
        self._terminal = terminal
        self._ring = ring
        self._units = rulebook.units
        self._doors: dict[str, Door] = {}
        self._loaded: dict[str, dict[str, Identity]] = {}
        self._keys: dict[bytes, bytes] = {}
        self._admissions: dict[str, asyncio.Future[bool]] = {}
        self._shown = 0
        self._ended = asyncio.Event()
        self._tasks: asyncio.TaskGroup
        self._offer: Callable[[AnyEvent], None]
        self._moved: Callable[[dict[str, str], dict[str, tuple[bytes, ...]]], None]

    def attach(
        self,
        offer: Callable[[AnyEvent], None],
        moved: Callable[[dict[str, str], dict[str, tuple[bytes, ...]]], None],
    ) -> None:
        """`offer` takes events for the core; `moved` hears by name what is open where, and what HTTPS shows there."""
        self._offer = offer
        self._moved = moved

    async def run(self) -> None:
        """Serve until `close`."""
        async with asyncio.TaskGroup() as self._tasks:
            await self._ended.wait()

    def close(self) -> None:
        """Close everything."""
        for name in list(self._doors):
            self._shut(name)
        self._ended.set()

    def identity(self, service: str, unit: str) -> Identity | None:
        """What a started service presents of a unit, with its key."""
        return self._loaded.get(service, {}).get(unit)

    # -- what the core wants

    def take_up(self, command: TakeUp) -> None:
        """A service started, or renewed what it had loaded."""
        self._loaded[command.service] = self._identities(command)
        self._forget_keys()
        wanted = {endpoint.name: endpoint for endpoint in command.loaded.endpoints()}
        for name in [name for name, door in self._doors.items() if door.service == command.service]:
            if name not in wanted:
                self._shut(name)
        for endpoint in wanted.values():
            self._open(command.service, endpoint)
        self._tell()

    def lay_down(self, command: LayDown) -> None:
        """A service stops: its ports are closed, and who came through them is cut off."""
        self._loaded.pop(command.service, None)
        self._forget_keys()
        for name in [name for name, door in self._doors.items() if door.service == command.service]:
            if self._doors[name].endpoint.speaks == "website":
                self._website.closed()
            self._shut(name)
        self._tell()

    def admit(self, command: Admit) -> None:
        """Let a client in, or cut it off."""
        waiting = self._admissions.pop(command.token, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(command.admitted)

    def _identities(self, command: TakeUp) -> dict[str, Identity]:
        found: dict[str, Identity] = {}
        for unit, chain in command.loaded.chains.items():
            try:
                found[unit] = Identity(chain=chain, key=self._key(unit, chain[0]))
            except (KeyError, OSError) as error:
                self._offer(ListenerFailed(command.service, unit, f"its private key cannot be had: {error}"))
        return found

    def _key(self, unit: str, certificate: bytes) -> bytes:
        known = self._keys.get(certificate)
        if known is None:
            file = self._ring.identity_key_file(self._units[unit], certificate)
            known = self._keys[certificate] = read_private(file)
        return known

    def _forget_keys(self) -> None:
        used = {each.chain[0] for identities in self._loaded.values() for each in identities.values()}
        self._keys = {certificate: key for certificate, key in self._keys.items() if certificate in used}

    # -- ports

    def _open(self, service: str, endpoint: Endpoint) -> None:
        door = self._doors.get(endpoint.name)
        if door is not None:
            door.endpoint, door.context = endpoint, None
            return
        sock = self._bind(endpoint.port)
        if sock is None:
            self._offer(ListenerFailed(service, endpoint.name, f"no port can be had on {self._host}"))
            return
        door = self._doors[endpoint.name] = Door(service, endpoint, sock)
        asyncio.get_running_loop().add_reader(sock.fileno(), self._accept, door)

    def _bind(self, port: int) -> socket.socket | None:
        for wanted in self._ports.candidates(port):
            try:
                return self._listening(wanted)
            except OSError:
                continue
        return None

    def _listening(self, port: int) -> socket.socket:
        # With the protocol named: only then does asyncio send what is written at once (TCP_NODELAY).
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((self._host, port))
            sock.listen()
        except OSError:
            sock.close()
            raise
        return sock

    def _shut(self, name: str) -> None:
        door = self._doors.pop(name)
        asyncio.get_running_loop().remove_reader(door.sock.fileno())
        door.sock.close()
        door.clear()

    def _tell(self) -> None:
        doors = sorted(self._doors.items())
        self._moved(
            {name: "{}:{}".format(*door.sock.getsockname()) for name, door in doors},
            {name: self._anchors(door) for name, door in doors if door.endpoint.speaks in _HTTP},
        )

    def _anchors(self, door: Door) -> tuple[bytes, ...]:
        return tuple(chain[-1] for unit, chain in door.endpoint.chains.items() if self.identity(door.service, unit))

    # -- clients

    def _accept(self, door: Door) -> None:
        try:
            sock, _ = door.sock.accept()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._rest(door)
            return  # else it went away before we came
        if not make_room(self._doors.values(), door):
            sock.close()
            return
        serve = self._login if door.endpoint.speaks == "ssh" else self._receive
        door.come(self._tasks.create_task(serve(door, sock), name=f"node.{door.endpoint.name}"))

    def _rest(self, door: Door) -> None:
        # Whoever waits there still waits, and would be reported again at every turn of the loop.
        loop = asyncio.get_running_loop()
        loop.remove_reader(door.sock.fileno())
        loop.call_later(REST_S, self._listen_again, door)

    def _listen_again(self, door: Door) -> None:
        if self._doors.get(door.endpoint.name) is door:
            asyncio.get_running_loop().add_reader(door.sock.fileno(), self._accept, door)

    async def _login(self, door: Door, sock: socket.socket) -> None:
        sock.setblocking(False)
        task = asyncio.current_task()
        try:
            await self._terminal.serve(sock, lambda: door.let_in(task))
        except (OSError, NotLoaded) as error:  # the host key cannot be had
            self._offer(ListenerFailed(door.service, door.endpoint.name, str(error)))

    async def _receive(self, door: Door, sock: socket.socket) -> None:
        sock.setblocking(False)
        task, speaks = asyncio.current_task(), door.endpoint.speaks
        guest: Surfer | Talker = (
            Surfer(self._website, lambda: door.let_in(task), lambda: door.let_out(task))
            if speaks == "website"
            else Talker(speaks)
        )
        loop, heard = asyncio.get_running_loop(), list[Shown]()
        transport: asyncio.Transport | None = None
        troubles: list[ssl.SSLError] = []

        def tell(error: ssl.SSLError) -> None:
            troubles.append(error)
            self._failed(door, heard, error)

        try:
            context = self._context(door)
        except (OSError, ssl.SSLError) as error:
            sock.close()
            self._offer(ListenerFailed(door.service, door.endpoint.name, str(error)))
            return
        try:
            # From here on the socket is asyncio's to close: its number may be somebody else's by then.
            with told(tell, heard.append):
                transport, _ = await loop.connect_accepted_socket(
                    lambda: guest.protocol,
                    sock,
                    ssl=context,
                    ssl_handshake_timeout=HANDSHAKE_S,
                    ssl_shutdown_timeout=1.0,
                )
            if door.endpoint.client == "required":  # who shows nothing, and has not logged in, goes for others
                door.let_in(task)
            shown = chain_of_peer(transport.get_extra_info("ssl_object"))
            if await self._admitted(door, shown):
                await guest.serve(transport)
        except NotLoaded as error:
            self._offer(ListenerFailed(door.service, door.endpoint.name, str(error)))
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            if transport is None and not troubles:
                self._failed(door, heard, error)
        finally:
            if transport is not None:
                transport.close()

    def _failed(self, door: Door, heard: list[Shown], error: Exception) -> None:
        shown = heard[-1] if heard else Shown()
        text = str(getattr(error, "reason", None) or type(error).__name__)
        trouble = REJECTED if "ALERT" in text and not shown.chain else text
        self._offer(PeerShown("", door.service, door.endpoint.name, shown.chain, trouble))

    async def _admitted(self, door: Door, shown: Shown) -> bool:
        self._shown += 1
        token = f"peer {self._shown}"
        waiting: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._admissions[token] = waiting
        self._offer(PeerShown(token, door.service, door.endpoint.name, shown.chain))
        try:
            return await waiting
        finally:
            self._admissions.pop(token, None)

    def _context(self, door: Door) -> ssl.SSLContext:
        # It takes 8 ms with sixty trusted certificates, so all clients of an endpoint share one.
        if door.context is None:
            endpoint = door.endpoint
            identities = [each for unit in endpoint.chains if (each := self.identity(door.service, unit)) is not None]
            made = server_context(identities, trusted=endpoint.trusted, client=_ASKED[endpoint.client])
            speak_as_the_product(made.context, hears=endpoint.client != "none")
            door.context = made.context
        return door.context
