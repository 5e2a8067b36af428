"""What clients send to a node's web interfaces that is wrong, too large, too slow or without end."""

import asyncio
import base64
import itertools
import json
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, suppress
from random import Random
from typing import NamedTuple

from tests.integration.command_line import CommandLine
from tests.integration.interfaces import control
from tests.unit.cluster.test_soap_messages import BOMB, OUTSIDE, enveloped
from ucmlab.cluster.admin import rest, soap

PATIENCE_S = 10.0
CHUNK = 1 << 14
OVERSIZED = 4 << 20
BREATH_S = 0.005
PLACE = "<password>"
BODIES = (
    b"",
    b"{",
    b"[" * 5_000,
    b'{"service": ' + b"9" * 5_000 + b"}",
    json.dumps({"service": "tomcat", "altNames": ["*." * 200]}).encode(),
    json.dumps({"service": ["tomcat"] * 200, "certificates": ["-----BEGIN CERTIFICATE-----\n"] * 50}).encode(),
    json.dumps({"service": "tomcat", "certificates": [base64.b64encode(bytes(3_000)).decode()]}).encode(),
    json.dumps({"service": "\ud800", "action": None}).encode(),
    enveloped(control("Restart", "Cows" * 50)),
    enveloped("<a>" * 2_000),
    BOMB.encode(),
    OUTSIDE.encode(),
    b"\xff\xfe<\0a\0/\0>\0",
)
REST_PATHS = (
    *(
        f"{rest.BASE}{path}"
        for path in ("/csr", "/identity/certificates", "/trust/certificates", "/services", "/nothing")
    ),
    f"{rest.BASE}/trust/certificate?service=%00&filename=../../private",
    "/",
    "/" + "a" * 9_000,
)
SOAP_PATHS = (
    f"{soap.BASE}/ControlCenterServices",
    f"{soap.BASE}/ControlCenterServicesEx",
)
FRAMES = (
    "{method} {path} HTTP/1.1\r\nHost: x\r\n{auth}Content-Length: {length}\r\n\r\n",
    "{method} {path} HTTP/1.1\r\nHost: x\r\n{auth}Content-Length: {length}9\r\n\r\n",
    "{method} {path} HTTP/1.1\r\nHost: x\r\n{auth}Content-Length: -1\r\n\r\n",
    "{method} {path} HTTP/1.1\r\nHost: x\r\n{auth}Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "{method} {path} HTTP/9.9\r\n{auth}\r\n",
    "{method} {path} HTTP/1.1\r\nHost: x\r\n{auth}X: " + "y" * 9_000 + "\r\nContent-Length: {length}\r\n\r\n",
    "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic !!!\r\nContent-Length: {length}\r\n\r\n",
    "{method}\0{path}\r\n\r\n",
)

Speak = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Accounts(NamedTuple):
    """Of the two interfaces, as clients write them into a request's head."""

    rest: str
    soap: str


def accounts_of(lab: CommandLine) -> Accounts:
    """Those that the lab has."""
    env = lab.json("env")
    pairs = [f"{env[f'UCMLAB_{kind}_USER']}:{env[f'UCMLAB_{kind}_PASSWORD']}" for kind in ("OS", "APP")]
    rest_, soap_ = [f"Authorization: Basic {base64.b64encode(pair.encode()).decode()}\r\n" for pair in pairs]
    return Accounts(rest_, soap_)


def requests(accounts: Accounts, seed: int) -> Iterator[bytes]:
    """Without end: made of parts that are wrong each in its way, some with octets changed besides."""
    random = Random(seed)
    while True:
        body = random.choice(BODIES)
        to_soap = random.random() < 0.4
        # Half of them are well framed, so that what is inside is looked at.
        frame = (FRAMES[0] if random.random() < 0.5 else random.choice(FRAMES)).format(
            method=random.choice(("GET", "POST", "POST", "PUT", "DELETE", "PRI", "")),
            path=random.choice(SOAP_PATHS if to_soap else REST_PATHS),
            auth=PLACE if random.random() < 0.8 else "",
            length=len(body),
        )
        made = bytearray(frame.encode() + body)
        if random.random() < 0.3:
            for _ in range(random.randint(1, 8)):
                made[random.randrange(len(made))] = random.randrange(256)
        # Behind the changes: wrong passwords lock the account, and then nothing further is reached.
        yield bytes(made).replace(PLACE.encode(), (accounts.soap if to_soap else accounts.rest).encode())


def unverified() -> ssl.SSLContext:
    """As all scripts against the product have it."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Line:
    """A connection that is made anew whenever the other end has had enough."""

    def __init__(self, address: str, port: int) -> None:
        self._place = address, port
        self._context = unverified()

    def say(self, data: bytes) -> str:
        """The status of the first answer; empty when the connection ended without one."""
        with closing(socket.create_connection(self._place, PATIENCE_S)) as raw:
            try:
                with self._context.wrap_socket(raw) as wire:
                    wire.sendall(data)
                    # Half a request would be waited for: nothing more comes.
                    wire.settimeout(0.05)
                    return wire.recv(64).partition(b"\r\n")[0].decode(errors="replace")
            except (OSError, ssl.SSLError):
                return ""


class Crowd:
    """Clients that are slow, that say too much, or that say nothing, all at once."""

    def __init__(self, address: str, port: int, accounts: Accounts) -> None:
        self._place = address, port
        self._context = unverified()
        self._listing = f"GET {rest.BASE}/trust/certificate?service=tomcat HTTP/1.1\r\nHost: x\r\n{accounts.rest}\r\n"
        self._posting = f"POST {rest.BASE}/csr HTTP/1.1\r\nHost: x\r\n{accounts.rest}"
        self._ordering = f"POST {SOAP_PATHS[0]} HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\n{accounts.soap}"

    # Each gives the first line of the answer it got; empty, if the other end had enough of it.

    async def slow_head(self, pause_s: float) -> str:
        """A request octet by octet."""
        return await self._trickle(b"", self._listing.encode(), pause_s)

    async def slow_body(self, pause_s: float, *, to_soap: bool = False) -> str:
        """A body octet by octet."""
        body = enveloped("<a/>") if to_soap else b'{"service": "nothing"}' + b" " * 60
        head = self._ordering if to_soap else self._posting
        return await self._trickle(f"{head}Content-Length: {len(body)}\r\n\r\n".encode(), body, pause_s)

    async def half_head(self) -> str:
        """The beginning of a request, and no more."""
        return await self._trickle(self._listing[:40].encode(), b"", 0)

    async def half_body(self, *, to_soap: bool = False) -> str:
        """A body of which half comes."""
        head = self._ordering if to_soap else self._posting
        return await self._trickle(f"{head}Content-Length: 100\r\n\r\n{'x' * 50}".encode(), b"", 0)

    async def never_a_word(self) -> str:
        """TLS, and then nothing."""
        return await self._trickle(b"", b"", 0)

    async def no_handshake(self, said: bytes) -> str:
        """A connection, and no TLS, or what is none."""
        reader, writer = await asyncio.open_connection(*self._place)
        try:
            writer.write(said)
            await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.close()
        return ""

    async def oversized(self, *, to_soap: bool = False) -> str:
        """A body that says how large it is, and is."""
        head = self._ordering if to_soap else self._posting
        return await self._pour(f"{head}Content-Length: {OVERSIZED}\r\n\r\n", b"x" * CHUNK, times=OVERSIZED // CHUNK)

    async def endless_body(self, *, to_soap: bool = False) -> str:
        """Chunks without end."""
        head = self._ordering if to_soap else self._posting
        chunk = f"{CHUNK:x}\r\n".encode() + b"x" * CHUNK + b"\r\n"
        return await self._pour(f"{head}Transfer-Encoding: chunked\r\n\r\n", chunk)

    async def endless_head(self) -> str:
        """Fields without end."""
        return await self._pour(self._posting, b"X: " + b"y" * 1_000 + b"\r\n")

    async def _trickle(self, at_once: bytes, slowly: bytes, pause_s: float) -> str:
        async def speak(writer: asyncio.StreamWriter) -> None:
            writer.write(at_once)
            for octet in slowly:
                writer.write(bytes([octet]))
                await asyncio.sleep(pause_s)

        return await self._answered(speak)

    async def _pour(self, head: str, part: bytes, *, times: int = 0) -> str:
        """Whatever is answered meanwhile, go on: so many times, or until the other end has had enough."""

        async def speak(writer: asyncio.StreamWriter) -> None:
            writer.write(head.encode())
            for _ in range(times) if times else itertools.count():
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(BREATH_S)

        return await self._answered(speak, to_the_end=not times)

    async def _answered(self, speak: Speak, *, to_the_end: bool = False) -> str:
        """The first line of the answer to what is said; what is left to say then is not said."""
        try:
            reader, writer = await asyncio.open_connection(*self._place, ssl=self._context)
        except ConnectionError:  # it had to go for somebody else in the midst of TLS
            return ""

        async def say() -> None:
            with suppress(ConnectionError, ssl.SSLError):
                await speak(writer)

        line = ""
        async with asyncio.TaskGroup() as tasks:
            speaking = tasks.create_task(say())
            with suppress(ConnectionError, ssl.SSLError):
                line = (await reader.readline()).decode().strip()
                if to_the_end:
                    await reader.read()
            speaking.cancel()
        writer.transport.abort()
        return line
