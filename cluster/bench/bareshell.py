"""A bare asyncssh server, the floor of figure `ssh`: lets in whoever knows the password, and shows him a text.

    python -m ucmlab.cluster.bench.bareshell KEY PORT SHOWN

KEY and SHOWN are files: its host key, and the text, after which it waits for the client to go.
"""

import asyncio
import sys
from pathlib import Path
from typing import NoReturn

import asyncssh

KNOWN = "let-me-in"
"""The password: a made-up one, as there is nothing to be kept here."""


class _Server(asyncssh.SSHServer):
    """One connection."""

    def begin_auth(self, username: str) -> bool:
        del username
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        del username
        return password == KNOWN


async def _serve(key: str, port: int, shown: str) -> NoReturn:
    async def show(process: "asyncssh.SSHServerProcess[str]") -> None:
        process.stdout.write(shown)
        await process.stdin.read()
        process.exit(0)

    read = asyncssh.read_private_key(key)  # given as a file it would be read, and tested, for each connection
    await asyncssh.listen(
        "127.0.0.1", port, server_factory=_Server, server_host_keys=[read], process_factory=show, line_editor=False
    )
    await asyncio.get_running_loop().create_future()
    raise AssertionError("nobody sets that")


def main(key: str, port: str, shown: str) -> None:
    """Serve until killed."""
    asyncio.run(_serve(key, int(port), Path(shown).read_text(encoding="utf-8")))


if __name__ == "__main__":
    main(*sys.argv[1:])
