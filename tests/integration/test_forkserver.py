"""The fork server: what it forks, how it tells of the end, and what its children do not inherit."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from tests.integration.processes import is_alive, open_files, title, until
from ucmlab.cluster.addresses import free_port
from ucmlab.cluster.control_messages import BrokerSpec
from ucmlab.cluster.members import LocalBroker
from ucmlab.cluster.spawning import ForkServerProcess

HOST = "127.77.77.1"


@pytest.fixture
async def fork_server() -> AsyncIterator[ForkServerProcess]:
    server = ForkServerProcess(lab="test", release="14SU2", profile="seed")
    yield server
    server.close()


class Broker:
    """A broker process, which is the simplest that there is to fork."""

    def __init__(self, fork_server: ForkServerProcess, *, host: str = HOST) -> None:
        self._changed = asyncio.Event()
        self.member = LocalBroker(changed=self._changed.set, listening=lambda: None, published=lambda _: None)
        spec = BrokerSpec("test", host, free_port(HOST, 0), (), None)
        self.child, sock = fork_server.spawn(spec, self.member.ended)
        self.member.begin(self.child, sock)

    async def listens(self) -> None:
        async with asyncio.timeout(20):
            await self.member.spawned()
            while not self.member.port:
                self._changed.clear()
                await self._changed.wait()


async def test_a_process_has_its_title_and_nothing_of_its_siblings(fork_server: ForkServerProcess) -> None:
    fork_server.attach(lambda: None)
    first = Broker(fork_server)
    await first.listens()
    second = Broker(fork_server)
    await second.listens()

    assert second.member.pid is not None
    assert title(second.member.pid) == "ucmlab: test broker"
    kinds = sorted(name.partition(":")[0] for name in open_files(second.member.pid))
    # Its channel, the two ends that wake its event loop, its listener, and the loop's own poll.
    assert kinds == ["anon_inode", "socket", "socket", "socket", "socket"]


async def test_how_a_process_ended_is_told(fork_server: ForkServerProcess) -> None:
    fork_server.attach(lambda: None)
    killed, stopped = Broker(fork_server), Broker(fork_server)
    await killed.listens()
    await stopped.listens()

    killed.member.kill()
    stopped.member.stop()
    async with asyncio.timeout(20):
        await killed.member.gone()
        await stopped.member.gone()

    assert killed.child.status == -signal.SIGKILL
    assert stopped.child.status == 0
    assert not killed.member.alive


async def test_a_bug_in_a_process_comes_with_its_trace(fork_server: ForkServerProcess) -> None:
    fork_server.attach(lambda: None)
    broken = Broker(fork_server, host="203.0.113.1")

    async with asyncio.timeout(20):
        await broken.member.gone()

    assert "a broker that listens on 203.0.113.1 must speak TLS" in broken.member.crash
    assert broken.child.status == 70


async def test_requests_made_before_it_has_started_are_carried_out(fork_server: ForkServerProcess) -> None:
    brokers = [Broker(fork_server) for _ in range(25)]
    fork_server.attach(lambda: None)

    for broker in brokers:
        await broker.listens()

    assert len({broker.member.pid for broker in brokers}) == 25


async def test_closing_it_ends_what_it_forked(fork_server: ForkServerProcess) -> None:
    fork_server.attach(lambda: None)
    broker = Broker(fork_server)
    await broker.listens()
    pid = broker.member.pid
    assert pid is not None

    fork_server.close()

    await until(lambda: not is_alive(pid))


async def test_its_death_ends_everything_and_is_told(fork_server: ForkServerProcess) -> None:
    lost = asyncio.Event()
    fork_server.attach(lost.set)
    broker = Broker(fork_server)
    await broker.listens()
    pid = broker.member.pid
    assert pid is not None

    os.kill(fork_server.pid, signal.SIGKILL)

    async with asyncio.timeout(20):
        await lost.wait()
    assert not broker.member.alive
    await until(lambda: not is_alive(pid))
