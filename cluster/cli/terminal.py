"""A terminal, or a pipe, connected to a node's command line: an SSH client that knows the lab's password."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Iterator

import asyncssh

from ucmlab.cluster.cli.piping import Dialogue, Unanswered, standard_input
from ucmlab.cluster.errors import LabGone, Unusable

TERMINAL = "xterm"
_READ = 4096


def converse(host: str, port: int, user: str, password: str, *, command: str) -> int:
    """Be at the command line until it ends; return the exit status of its last command.

    Args:
        host: the node's address.
        port: of its SSH.
        user: an OS administrator.
        password: likewise.
        command: the one to carry out; empty: what standard input says.

    Raises:
        Unanswered: it asked for something, and standard input had ended.
        LabGone: the connection was lost meanwhile.
        Unusable: nobody answers there.
    """
    try:
        return asyncio.run(_converse(host, port, user, password, command=command))
    except (OSError, asyncssh.Error) as error:
        raise Unusable(f"the command line at {host}:{port} cannot be had: {error}") from error


async def _converse(host: str, port: int, user: str, password: str, *, command: str) -> int:
    at_terminal = not command and sys.stdin.isatty() and sys.stdout.isatty()
    # Nobody between this process and the lab's on the same machine is to be known by a key.
    options = {"username": user, "password": password, "known_hosts": None, "config": None, "client_keys": None}
    async with asyncssh.connect(host, port, **options) as connection:
        try:
            return await (_at_terminal(connection) if at_terminal else _through_pipes(connection, command))
        except asyncssh.Error as error:
            raise LabGone(f"the connection was lost meanwhile, as when the node boots: {error}") from error


async def _through_pipes(connection: asyncssh.SSHClientConnection, command: str) -> int:
    process = await connection.create_process(encoding="utf-8", errors="replace")
    unanswered = await Dialogue(process.stdout, process.stdin, standard_input(), command).run()
    await process.wait()
    if unanswered and process.exit_status:
        raise Unanswered(unanswered)
    return process.exit_status or 0


async def _at_terminal(connection: asyncssh.SSHClientConnection) -> int:
    columns, rows = shutil.get_terminal_size()
    process = await connection.create_process(
        term_type=os.environ.get("TERM", TERMINAL), term_size=(columns, rows), encoding=None
    )
    loop, keyboard = asyncio.get_running_loop(), sys.stdin.fileno()

    def typed() -> None:
        keys = os.read(keyboard, _READ)
        process.stdin.write(keys) if keys else process.stdin.write_eof()

    def resized() -> None:
        process.change_terminal_size(*shutil.get_terminal_size())

    with _every_key(keyboard):
        loop.add_reader(keyboard, typed)
        loop.add_signal_handler(signal.SIGWINCH, resized)
        try:
            while piece := await process.stdout.read(_READ):
                sys.stdout.buffer.write(piece)
                sys.stdout.buffer.flush()
        finally:
            loop.remove_reader(keyboard)
    await process.wait()
    sys.stdout.write("\n")
    return process.exit_status or 0


@contextlib.contextmanager
def _every_key(keyboard: int) -> Iterator[None]:
    """Have the node see each key, as it echoes them itself."""
    before = termios.tcgetattr(keyboard)
    tty.setraw(keyboard)
    try:
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
