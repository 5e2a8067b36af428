"""Whoever dies, and however: no process of a lab is left behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.integration.processes import PATIENCE_S, descendants, is_alive, title, until
from tests.integration.real_lab import make_home
from ucmlab.cluster.local import LabLost, LocalLab
from ucmlab.cluster.provision import LabHome
from ucmlab.cluster.spawning import ForkServerProcess

pytestmark = pytest.mark.slow

OWNER = """
import sys
from pathlib import Path
from ucmlab.cluster.provision import open_lab
from ucmlab.cluster.supervisor import run_lab

run_lab(open_lab(Path(sys.argv[1])), lambda: print("ready", flush=True), timeout=60)
"""


def environment(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")


@asynccontextmanager
async def running(home: LabHome) -> AsyncIterator[subprocess.Popen[bytes]]:
    """A process that owns a lab, as `ucmlab up` does; the lab is ready."""
    command = [sys.executable, "-c", OWNER, str(home.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as owner:  # noqa: ASYNC220  so that it can be signalled
        assert owner.stdout is not None
        try:
            async with asyncio.timeout(PATIENCE_S * 3):
                assert await asyncio.to_thread(owner.stdout.readline) == b"ready\n"
            yield owner
        finally:
            owner.kill()


@pytest.fixture
def home(tmp_path: Path) -> LabHome:
    return make_home(tmp_path, "pub,sub1")


@pytest.mark.parametrize("stepped", [True, False])
async def test_a_fork_server_that_dies_while_the_lab_starts_is_told_at_once(home: LabHome, *, stepped: bool) -> None:
    topology = home.topology
    fork_server = ForkServerProcess(lab=home.lab.name, release=topology.release, profile=topology.profile)
    lab = LocalLab(home, fork_server, stepped=stepped)
    try:
        os.kill(fork_server.pid, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises(LabLost):
                await lab.open()
    finally:
        await lab.close()


@pytest.mark.library
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_when_the_owner_ends_everything_ends_also_what_is_paused(home: LabHome, number: signal.Signals) -> None:
    async with running(home) as owner:
        family = descendants(owner.pid)
        assert sorted(title(pid) for pid in family) == [
            f"ucmlab: {home.lab.name} {name}" for name in ("broker", "fork server", "pub", "sub1")
        ]
        paused = next(pid for pid in family if title(pid).endswith("sub1"))
        os.kill(paused, signal.SIGSTOP)

        owner.send_signal(number)

        await until(lambda: not any(is_alive(pid) for pid in (owner.pid, *family)))


@pytest.mark.library
async def test_when_the_fork_server_is_killed_everything_ends_the_owner_with_a_word(home: LabHome) -> None:
    async with running(home) as owner:
        family = descendants(owner.pid)
        fork_server = next(pid for pid in family if title(pid).endswith("fork server"))

        os.kill(fork_server, signal.SIGKILL)

        await until(lambda: not any(is_alive(pid) for pid in (owner.pid, *family)))
        assert owner.wait() != 0


@pytest.mark.library
async def test_no_password_and_no_key_stands_in_a_process_listing(home: LabHome) -> None:
    secrets = [home.credentials().observer_password]
    secrets += [
        str(value)
        for node in home.topology.names
        for value in json.loads((home.node_home(node) / "private" / "bus.json").read_bytes()).values()
    ]
    async with running(home) as owner:
        for pid in (owner.pid, *descendants(owner.pid)):
            assert not [secret for secret in secrets if secret in title(pid) + environment(pid)]
