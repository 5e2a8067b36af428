"""Labs of real processes for tests, and what is asked of every one of them. No test leaves a process behind."""

import hashlib
import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Literal

import msgspec
from cryptography import x509

from tests.unit.node.certificate_factory import START, certificate
from ucmlab.cluster import state
from ucmlab.cluster.carriers.choice import read_carrier
from ucmlab.cluster.homeview import HomeView, read_home
from ucmlab.cluster.keycache import users_keys
from ucmlab.cluster.local import LocalLab
from ucmlab.cluster.provision import LabHome, provision
from ucmlab.cluster.sim.lab import START_OF_LAB
from ucmlab.cluster.spawning import ForkServerProcess
from ucmlab.cluster.stocking import stock_keys
from ucmlab.cluster.topology import DEFAULT_RELEASE, Settings, topology
from ucmlab.node.certificates import pem
from ucmlab.node.config import Policy
from ucmlab.node.instant import MINUTE, SECOND
from ucmlab.node.privatefile import TEMPORARY
from ucmlab.node.rule_rows import Profile

LISTED = ("tomcat-trust", "CallManager-trust")
"""Trust units that Change Notification moves and that every node has."""
PATIENCE = 60 * SECOND


class Item(msgspec.Struct, frozen=True):
    """A certificate to be uploaded to a unit."""

    unit: str
    der: bytes

    @property
    def key(self) -> tuple[str, str]:
        return self.unit, hashlib.sha256(self.der).hexdigest()

    @property
    def fingerprint(self) -> str:
        return self.key[1]

    @property
    def pem(self) -> bytes:
        return pem(self.der).encode()


@lru_cache
def item(number: int, unit: str = LISTED[0]) -> Item:
    """A CA certificate that no other number has; the same one each time (its signature is random)."""
    return Item(unit, certificate(f"CA {number}", serial=1000 + number, ca=True, start=START + timedelta(hours=1)))


def make_home(
    folder: Path,
    nodes: str = "pub,sub1,sub2",
    *,
    release: str = DEFAULT_RELEASE,
    profile: Profile = "seed",
    replication: Literal["auto"] | Policy = "faithful",
    seed: int = 1,
    broker: str = "embedded",
) -> LabHome:
    """A lab's home, with keys from the user's cache."""
    cluster = topology(Settings(nodes=nodes, release=release, profile=profile, replication=replication))
    home = provision(
        folder / "lab",
        cluster,
        wall_start=START_OF_LAB,
        seed=seed,
        carrier=read_carrier(broker),
        keys=users_keys(os.environ),
    )
    stock_keys(home, os.environ)
    return home


@asynccontextmanager
async def opened(
    home: LabHome, *, stepped: bool = True, speed: float = 1.0, tls: bool = False
) -> AsyncGenerator[LocalLab]:
    """A lab that is ready; whatever happens, its processes are gone afterwards."""
    fork_server = ForkServerProcess(lab=home.lab.name, release=home.topology.release, profile=home.topology.profile)
    try:
        lab = LocalLab(home, fork_server, stepped=stepped, speed=speed, tls=tls)
        try:
            await lab.open()
            yield lab
        finally:
            await lab.close()
    finally:
        fork_server.close()


def converged(lab: LocalLab) -> bool:
    """Whether all nodes take part and agree."""
    found = state.convergence(lab)
    return found.converged and not found.exceptions


async def converge(lab: LocalLab) -> None:
    """Let everything come to rest: past the next comparison of Change Notification on every node."""
    assert await lab.wait_until(lambda: _at_rest(lab), PATIENCE), state.convergence(lab)
    if lab.clock.stepped:
        await lab.wait(31 * MINUTE)
    else:
        await lab.advance(31 * MINUTE)
    assert await lab.wait_until(lambda: converged(lab), PATIENCE), state.convergence(lab)


def _at_rest(lab: LocalLab) -> bool:
    # Files may still differ: what was cut off between file and database waits for the next comparison.
    return lab.facts().head is not None and all(
        view.state == "up" and not view.open_operations and (view.epoch, view.seq) == lab.facts().head
        for view in map(lab.view, lab.names)
    )


def dumped(lab: LocalLab) -> dict[str, object]:
    """The whole state; in stepped time equal until something changes it."""
    return state.dump(lab)


def disk_of(home: LabHome, node: str) -> HomeView:
    """What a node's disk holds, whether it runs or not."""
    return read_home(home.node_home(node), home.topology.rulebook)


def torn_certificates(home: LabHome) -> list[str]:
    """PEM files of certificates that do not parse. None may be torn at any moment, even right after a kill."""
    return [
        str(path)
        for path in home.path.rglob("*.pem")
        if "/certs/" in str(path) or "/trust-certs/" in str(path)
        if not _parses(path)
    ]


def leftovers(home: LabHome) -> list[str]:
    """What only ever lies there while something is under way."""
    found: Iterator[Path] = (home.path / "nodes").rglob("*")
    return [str(path) for path in found if path.name.startswith(TEMPORARY) or path.name.endswith(".pending")]


def _parses(path: Path) -> bool:
    try:
        x509.load_pem_x509_certificate(path.read_bytes())
    except FileNotFoundError:
        return True  # removed between looking and reading
    except ValueError:
        return False
    return True
