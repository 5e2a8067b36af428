"""Labs of real processes for these tests, and what is asked of every one of them. No test is left with a process."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.unit.node.certificate_factory import certificate
from ucmlab.cluster import state
from ucmlab.cluster.keycache import KeyCache
from ucmlab.cluster.local import LocalLab
from ucmlab.cluster.provision import LabHome, provision
from ucmlab.cluster.sim.lab import START_OF_LAB
from ucmlab.cluster.spawning import ForkServerProcess
from ucmlab.cluster.stocking import stock_keys
from ucmlab.cluster.topology import Policy, Settings, topology
from ucmlab.node.commands import Reply
from ucmlab.node.events import Upload
from ucmlab.node.instant import MINUTE

__all__ = ["KeyCache", "converged", "make_home", "opened", "pem_of", "real_lab", "upload", "whole_dump"]


def make_home(folder: Path, nodes: str = "pub,sub1,sub2", *, replication: Policy = "faithful", seed: int = 1) -> LabHome:
    """A provisioned home with keys from the user's cache, which the first run may find empty."""
    import os  # noqa: PLC0415

    cluster = topology(Settings(nodes=nodes, replication=replication))
    home = provision(folder / "lab", cluster, wall_start=START_OF_LAB, seed=seed)
    stock_keys(home, os.environ)
    return home


@asynccontextmanager
async def opened(home: LabHome, *, stepped: bool = True, speed: float = 1.0, tls: bool = False) -> AsyncGenerator[LocalLab]:
    """A lab that is ready; whatever happens, its processes are gone afterwards."""
    lab_file = home.lab
    fork_server = ForkServerProcess(
        lab=lab_file.name, release=lab_file.topology.release, profile=lab_file.topology.profile
    )
    try:
        lab = LocalLab(home, fork_server, stepped=stepped, speed=speed, tls=tls)
        try:
            await lab.open()
            yield lab
        finally:
            await lab.close()
    finally:
        fork_server.close()
