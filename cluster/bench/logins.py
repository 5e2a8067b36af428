"""Figure `ssh`: a log-in at one node's command line, beside a bare asyncssh server's with a host key of the same kind.

From the connection to the first prompt: key exchange, password, terminal, banner. One client after the other, a node's
log-in and a bare one in turn. The first at a node also pays for the import of asyncssh and for the host key, so it is
told apart.
"""

import asyncio
import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import asyncssh
import msgspec

from ucmlab.cluster.addresses import free_port
from ucmlab.cluster.admin.terminal.ssh import KEY_BITS
from ucmlab.cluster.bench.bareshell import KNOWN
from ucmlab.cluster.bench.clusters import KeyStore, cluster_of, names_of
from ucmlab.cluster.bench.labs import UCMLAB, running_lab
from ucmlab.cluster.bench.measuring import (
    HOST,
    Aim,
    Figure,
    Say,
    bare_server,
    bench_folder,
    cores,
    percentile,
    said,
    spread,
)

AIMS = {50: 1.5, 99: 2.0}
"""Times bare, by percentile. Both spend a log-in in the same key exchange and with the same client; what a node does
beside it (its account, its journal, its terminal) may take half of that, and now and then a sync of its disk."""
PROMPT = "admin:"
WARMING = 5
PATIENCE_S = 30.0


class Place(msgspec.Struct, frozen=True):
    """Where to log in, and as whom."""

    host: str
    port: int
    user: str
    password: str

    async def log_in(self) -> tuple[float, str]:
        """Log in, and out again; seconds until the first prompt, and what stood before it."""
        began = time.perf_counter()
        async with asyncio.timeout(PATIENCE_S):
            async with asyncssh.connect(
                self.host, self.port, username=self.user, password=self.password, known_hosts=None, config=None
            ) as connection:
                process = await connection.create_process(term_type="vt100", term_size=(200, 1000))
                shown = await process.stdout.readuntil(PROMPT)
                took = time.perf_counter() - began
            await connection.wait_closed()
        return took, str(shown)


def measure_ssh(say: Say, *, logins: int = 200) -> Figure:
    """Log in so many times at one node, and at a bare server.

    Raises:
        Unusable: the lab did not start.
    """
    with bench_folder() as folder:
        keys = KeyStore(folder / "keys", cluster_of(1), cores())
        with running_lab(folder, names_of(1), keys) as lab:
            told = json.loads(said((*UCMLAB, "env", "--format", "json", "--dir", str(lab.home)), lab.environment))
            node = Place(
                told["UCMLAB_PUB_ADDRESS"],
                int(told["UCMLAB_PUB_SSH_PORT"]),
                told["UCMLAB_OS_USER"],
                told["UCMLAB_OS_PASSWORD"],
            )
            say("ssh: the first log-in")
            first, shown = asyncio.run(node.log_in())
            say(f"ssh: {logins} log-ins")
            with _bare(folder, shown) as bare:
                took, floor = asyncio.run(_in_turn(node, bare, logins))
    return _figure(first, took, floor)


async def _in_turn(node: Place, bare: Place, logins: int) -> tuple[list[float], list[float]]:
    """Milliseconds of the log-ins at each."""
    took: list[float] = []
    floor: list[float] = []
    for _ in range(logins + WARMING):
        for place, kept in ((node, took), (bare, floor)):
            seconds, _ = await place.log_in()
            kept.append(seconds * 1e3)
    return took[WARMING:], floor[WARMING:]


@contextmanager
def _bare(folder: Path, shown: str) -> Generator[Place]:
    key, text, port = folder / "bare_host_key", folder / "shown", free_port(HOST, 0)
    asyncssh.generate_private_key("ssh-rsa", key_size=KEY_BITS).write_private_key(key)
    text.write_text(shown, encoding="utf-8")
    with bare_server("bareshell", str(key), str(port), str(text), port=port, folder=folder):
        yield Place(HOST, port, "anybody", KNOWN)


def _figure(first: float, took: list[float], floor: list[float]) -> Figure:
    measured: dict[str, object] = {
        "first_ms": round(first * 1e3, 1),
        "login": spread(took),
        "bare_login": spread(floor),
    }
    aims = tuple(
        Aim(f"log-in, p{at}", percentile(took, at) / percentile(floor, at), aim, "times bare", at_most=True)
        for at, aim in AIMS.items()
    )
    return Figure("ssh", measured, aims)
