"""What clients send to a node's command line that is no SSH, stops half-way, or is nothing that anybody would type."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random

import asyncssh

from tests.integration.interfaces import END, Door

PATIENCE_S = 30.0
VERSION = b"SSH-2.0-OpenSSH_8.0\r\n"
LOGIN_OCTETS = 4_000
"""About what a client sends until it sees the prompt."""
GARBAGE = (
    b"",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    b"SSH-1.5-old\r\n",
    b"SSH-2.0-" + b"x" * 300 + b"\r\n",
    b"y" * 100_000,
    b"\r\n" * 5_000,
    b"\xff\xfe\x00" * 1_000,
    VERSION,
    VERSION + struct.pack(">I", 0xFFFFFFFF) + bytes(100),
    VERSION + struct.pack(">IB", 12, 4) + bytes([20]) + bytes(10),
    VERSION + struct.pack(">IB", 12, 4) + bytes([255]) + bytes(10),
    VERSION + struct.pack(">IB", 35_000, 4) + bytes([20]) + bytes(34_000),
)
KEYS = (
    "\x1b[A",
    "\x1b[99999999999999999999m",
    "\x1b]0;" + "t" * 200 + "\x07",
    "\x1bP" + "q" * 400,
    "\x1b" * 50,
    "\t\t?",
    "\x7f\b" * 40,
    "\x15\x0c\x00\x01\x1a",
    "\x03",
    "show cert own tomcat\r",
    "set csr gen \r\n",
    "set cert import trust tomcat\r",
    "-----BEGIN CERTIFICATE-----\r" + "A" * 70 + "\r",
    "utils service restart " + "Cow " * 300 + "\r",
    "show cert list own | grep `id`; $(id) && \r",
    "\u202e\U0001f404\u0000\ufffe\r",
    "q",
    "y\r",
    "\x04",
)
ANSWERED_S = 0.5
STAYS_S = 35.0
"""Less than the minute within which a client has to log in."""
LONG_LINE = 300_000
PASTE = 1 << 20


class Hostile:
    """Clients of one command line; each method is one of them, from its connection to its end."""

    def __init__(self, door: Door, seed: int) -> None:
        self._door = door
        self._random = Random(seed)

    def any(self) -> Callable[[], Awaitable[None]]:
        """One of them, the cheap ones more often."""
        kinds = (self.garbage, self.cut_off, self.keys, self.long_line, self.paste, self.wrong_password)
        return self._random.choices(kinds, weights=(50, 35, 10, 2, 1, 2))[0]

    async def garbage(self) -> None:
        """No version line, or a beginning that nothing sensible follows."""
        said = bytearray(self._random.choice(GARBAGE))
        for _ in range(self._random.choice((0, 0, 3))):
            if said:
                said[self._random.randrange(len(said))] = self._random.randrange(256)
        reader, writer = await asyncio.open_connection(self._door.host, self._door.port)
        with suppress(ConnectionError):
            writer.write(said)
            await writer.drain()
            if self._random.random() < 0.5:
                await reader.readline()
        writer.transport.abort()

    async def stays(self, said: bytes) -> str:
        """Says so much, and stays as long as it may, but no longer than the slowest client of the website."""
        reader, writer = await asyncio.open_connection(self._door.host, self._door.port)
        writer.write(said)
        try:
            async with asyncio.timeout(STAYS_S):
                await reader.read()
        except TimeoutError:
            return "stays"
        except ConnectionError:
            return ""
        finally:
            writer.transport.abort()
        return ""

    async def cut_off(self) -> None:
        """A log-in that ends, or is spoilt, after some octets: at any stage of it."""
        left = self._random.randrange(LOGIN_OCTETS)
        spoil = self._random.random() < 0.5
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(self._door.host, self._door.port)
        near, far = await asyncio.open_connection(sock=theirs)

        async def answers() -> None:
            with suppress(ConnectionError):
                while heard := await reader.read(1 << 16):
                    far.write(heard)
            far.close()

        async def words() -> None:
            nonlocal left
            with suppress(ConnectionError):
                while left and (said := await near.read(1 << 16)):
                    part, left = said[:left], max(0, left - len(said))
                    writer.write(part)
                writer.write(self._random.randbytes(64) if spoil else b"")
            writer.close()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(answers())
            tasks.create_task(words())
            with suppress(OSError, asyncssh.Error):
                await self._type(lambda typed: typed("show status\r"), sock=ours)
        writer.transport.abort()
        far.transport.abort()

    async def keys(self) -> None:
        """A session in which anything is typed."""

        def typing(typed: Callable[[str], None]) -> None:
            for _ in range(self._random.randrange(1, 40)):
                key = self._random.choice(KEYS)
                typed(key[: self._random.randrange(1, len(key) + 1)] if self._random.random() < 0.3 else key)
                if self._random.random() < 0.2:
                    typed("".join(chr(self._random.randrange(256)) for _ in range(50)))

        await self._type(typing)

    async def long_line(self) -> None:
        """A line without end."""
        await self._type(lambda typed: typed("x" * LONG_LINE))

    async def paste(self) -> None:
        """Far more than a certificate, where one is asked for."""

        def typing(typed: Callable[[str], None]) -> None:
            typed("set cert import trust tomcat\r")
            typed("-----BEGIN CERTIFICATE-----\r" + ("A" * 64 + "\r") * (PASTE // 65))

        await self._type(typing)

    async def wrong_password(self, user: str = "nobody") -> None:
        """Nobody's, unless somebody is named: that locks no account."""
        with suppress(asyncssh.PermissionDenied):
            await self._type(lambda typed: typed("\r"), username=user, password="wrong")  # noqa: S106

    async def _type(self, typing: Callable[[Callable[[str], None]], None], **options: object) -> None:
        """Log in, type, and go without a word as soon as something is answered."""
        async with asyncio.timeout(PATIENCE_S), self._door.connect(**options) as connection:
            process = await connection.create_process(term_type="vt100", term_size=(80, 24), errors="replace")
            await process.stdout.readuntil(END)
            typing(process.stdin.write)
            with suppress(TimeoutError):  # it may have been nothing that shows
                await asyncio.wait_for(process.stdout.read(1), ANSWERED_S)
            connection.abort()
