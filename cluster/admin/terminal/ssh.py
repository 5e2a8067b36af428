"""The command line of one node over SSH (W3.1): who is let in, and what a connection may ask for.

A shell, and nothing else: `exec`, sftp, scp and forwarding are refused, as clients say the product does. Passwords are
taken both as `password` and as `keyboard-interactive`, because some clients know only one of them.
"""

import asyncio
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import asyncssh

from ucmlab.cluster.admin.accounts import AdminAccount, Guard
from ucmlab.cluster.admin.desk import Caller, Desk, tell_of_a_bug
from ucmlab.cluster.admin.terminal.banner import BANNER
from ucmlab.cluster.admin.terminal.console import Perform
from ucmlab.cluster.admin.terminal.machine import DEFAULT_ROWS
from ucmlab.cluster.admin.terminal.session import Session
from ucmlab.node.privatefile import read_private, write_private

INTERFACE = "ssh"
"""As audit lines name it."""
SESSIONS = 8
"""At once, in one connection."""
LOGIN_S = 60
"""Machine time to log in: a client that says nothing is let go."""
KEY_BITS = 2048
KEY_FILE = Path("private", "ssh_host_rsa_key")
"""In the node's home."""
OPTIONS: Mapping[str, Any] = {
    "server_version": "OpenSSH_8.0",  # [ASSUMED] what clients see of the product's
    "login_timeout": LOGIN_S,
    "public_key_auth": False,
    "gss_host": None,
    "agent_forwarding": False,
    "x11_forwarding": False,
    "allow_scp": False,
    "line_editor": False,
    "encoding": "utf-8",
    "errors": "replace",
}
"""Of asyncssh, whose other defaults refuse forwarding, and offer what clients insist on (W3.1)."""
AT_ONCE = 256
"""Characters that are heard before it is seen whether the client reads: `?` shows thousands for one."""
LAST_WORDS_S = 0.5
"""Machine time in which commands that run when the service ends may still say what came of them."""
_ATTEMPTS = 3
"""Passwords that a connection may try."""


def host_key(home: Path) -> asyncssh.SSHKey:
    """The node's RSA key, made when it is first needed: some clients take no other kind (W3.1)."""
    file = home / KEY_FILE
    try:
        return asyncssh.import_private_key(read_private(file))
    except FileNotFoundError:
        made = asyncssh.generate_private_key("ssh-rsa", key_size=KEY_BITS)
        write_private(file, made.export_private_key())
        return made


class SshServer:
    """Serves connections that were accepted."""

    def __init__(self, desk: Desk, guard: Guard, commands: Mapping[str, Perform]) -> None:
        """Read or make the host key."""
        self.desk = desk
        self.guard = guard
        self.commands = commands
        self._options: Mapping[str, Any] = {"server_host_keys": [host_key(desk.layout.home)], **OPTIONS}

    async def serve(self, sock: socket.socket, let_in: Callable[[], None]) -> None:
        """Serve one connection to its end, and close it; `let_in` hears that its client has logged in."""
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._serve(sock, _Login(self, tasks), let_in)
        except Exception:  # noqa: BLE001  the one boundary: a bug in a connection ends the connection, and not the node
            tell_of_a_bug()

    async def _serve(self, sock: socket.socket, login: "_Login", let_in: Callable[[], None]) -> None:
        try:
            connection = await asyncssh.run_server(sock, server_factory=lambda: login, **self._options)
            let_in()
            await connection.wait_closed()
        except (OSError, asyncssh.Error, ValueError):
            pass  # it went away, or was not let in, or what it said was neither text nor a packet
        except asyncio.CancelledError:
            # The service ends, it may be by the very command of a session, such as one that has the node boot.
            await login.last_words()
            raise
        finally:
            if not login.end():
                sock.close()


class _Login(asyncssh.SSHServer):
    """One connection: who is it."""

    def __init__(self, server: SshServer, tasks: asyncio.TaskGroup) -> None:
        self._server = server
        self._tasks = tasks
        self._connection: asyncssh.SSHServerConnection | None = None
        self._account: AdminAccount | None = None
        self._attempts = 0
        self._channels: set[_Channel] = set()
        """Those that may have a session, from before they ask for it."""

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn

    def begin_auth(self, username: str) -> bool:
        del username
        return True

    def password_auth_supported(self) -> bool:
        return True

    async def validate_password(self, username: str, password: str) -> bool:
        """See `asyncssh.SSHServer`; a keyboard-interactive answer comes here as well."""
        self._attempts += 1
        if self._attempts > _ATTEMPTS:  # who does not wait for an answer has the waiting for the last one ended
            self._disconnect()
            return False
        account = await self._server.desk.let_in(
            self._server.guard, "platform", username, password, interface=INTERFACE, address=self._address("peername")
        )
        if account is None and self._attempts >= _ATTEMPTS:
            self._disconnect()
        self._account = account
        return account is not None

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.disconnect(asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, "Too many failures")

    def session_requested(self) -> "bool | asyncssh.SSHServerSession[str]":
        if self._account is None or len(self._channels) >= SESSIONS:
            return False
        caller = Caller(self._account, INTERFACE, self._address("peername"), self._address("sockname"))
        channel = _Channel(self._server, caller, self._tasks, self._channels.discard)
        self._channels.add(channel)
        return channel

    async def last_words(self) -> None:
        """Give commands that run the time to say what came of them."""
        running = [command for channel in self._channels if (command := channel.command) is not None]
        if running:
            await asyncio.wait(running, timeout=LAST_WORDS_S)

    def end(self) -> bool:
        """End the connection and all its sessions; False: it never came about."""
        for channel in self._channels:
            channel.cancel()
        if self._connection is None:
            return False
        self._connection.abort()
        return True

    def _address(self, which: str) -> str:
        found = None if self._connection is None else self._connection.get_extra_info(which)
        return str(found[0]) if found else ""


class _Channel(asyncssh.SSHServerSession[str]):
    """One session of a connection: its terminal."""

    def __init__(
        self, server: SshServer, caller: Caller, tasks: asyncio.TaskGroup, gone: "Callable[[_Channel], None]"
    ) -> None:
        self._server = server
        self._caller = caller
        self._tasks = tasks
        self._gone = gone
        self._heard = ""
        """What has come and not been looked at."""
        self._unread = False
        """Whether the client leaves what it was sent."""
        self._at_end = False
        """Whether nothing more will come."""
        self._rows: int | None = None
        self._columns = 0
        self._channel: asyncssh.SSHServerChannel[str]
        self._session: Session | None = None
        self._task: asyncio.Task[None] | None = None

    async def _run(self, session: Session) -> None:
        """Serve it to its end."""
        try:
            status = await session.run(BANNER)
        except Exception:  # noqa: BLE001  the one boundary: a bug in a session ends the session, and not the node
            tell_of_a_bug()
            status = 1
        self._channel.exit(status)

    @property
    def command(self) -> asyncio.Task[None] | None:
        """The command that runs."""
        return None if self._session is None else self._session.command

    def cancel(self) -> None:
        """End it."""
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        """The client does not read: nothing more is heard of it until it does."""
        self._unread = True
        self._channel.pause_reading()
        if self._session is not None:
            self._session.unread()

    def resume_writing(self) -> None:
        """It reads again."""
        self._unread = False
        if self._session is not None:
            self._session.read()
        self._hear()
        if not self._unread:
            self._channel.resume_reading()

    # -- as asyncssh's session

    def connection_made(self, chan: "asyncssh.SSHServerChannel[str]") -> None:
        self._channel = chan

    def pty_requested(
        self, term_type: str, term_size: tuple[int, int, int, int], term_modes: Mapping[int, int]
    ) -> bool:
        del term_type, term_modes
        self._columns, self._rows = term_size[0], term_size[1] or DEFAULT_ROWS
        return True

    def shell_requested(self) -> bool:
        server = self._server
        self._session = Session(
            server.desk,
            self._caller,
            server.commands,
            write=self._write,
            rows_shown=self._rows,
            columns=self._columns,
        )
        return True

    def exec_requested(self, command: str) -> bool:
        del command
        return False

    def subsystem_requested(self, subsystem: str) -> bool:
        del subsystem
        return False

    def session_started(self) -> None:
        if self._session is not None:
            self._task = self._tasks.create_task(self._run(self._session), name="node.ssh.session")

    def data_received(self, data: str, datatype: asyncssh.DataType) -> None:
        del datatype
        self._heard += data
        self._hear()

    def eof_received(self) -> bool:
        self._at_end = True
        self._hear()
        return True

    def _hear(self) -> None:
        session = self._session
        while session is not None and self._heard and not self._unread:
            piece, self._heard = self._heard[:AT_ONCE], self._heard[AT_ONCE:]
            session.typed(piece)
        if session is not None and self._at_end and not self._heard:
            self._at_end = False
            session.end_of_input()

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        del pixwidth, pixheight
        if self._session is not None and height:
            self._session.resized(height, width)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._gone(self)
        self.cancel()

    def _write(self, text: str) -> None:
        if not self._channel.is_closing():
            self._channel.write(text)
