"""The listeners of a real node: what befalls their ports is told or waited for, and ends nobody."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ucmlab.cluster.listening import Listeners
from ucmlab.node.commands import LayDown, TakeUp
from ucmlab.node.events import AnyEvent, ListenerFailed
from ucmlab.node.keyring import KeyRing
from ucmlab.node.listeners import Listener
from ucmlab.node.loaded import Loaded
from ucmlab.node.rulebook import RuleBook

TVS = Listener(rule="ours", name="tvs", service="TVS", port=0, presents=())
STARTED = TakeUp("TVS", Loaded(listeners=(TVS,)))


class Told:
    """What the core and the lab hear."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []
        self.addresses: dict[str, str] = {}

    def moved(self, addresses: dict[str, str]) -> None:
        self.addresses = addresses


@asynccontextmanager
async def listening(told: Told, home: Path) -> AsyncIterator[Listeners]:
    listeners = Listeners("127.0.0.1", KeyRing(home), RuleBook.load("14SU2"))
    listeners.attach(told.events.append, told.moved)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(listeners.run())
        await asyncio.sleep(0)
        yield listeners
        listeners.close()


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_without_descriptors_a_port_rests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def no_more(sock: socket.socket) -> tuple[socket.socket, object]:
        tried.append(sock.fileno())
        raise OSError(errno.EMFILE, "Too many open files")

    told = Told()
    async with listening(told, tmp_path) as listeners:
        listeners.take_up(STARTED)
        monkeypatch.setattr(socket.socket, "accept", no_more)
        host, _, port = told.addresses["tvs"].partition(":")
        with socket.create_connection((host, int(port))):
            await turns(50)
            assert len(tried) == 1
            listeners.lay_down(LayDown("TVS"))
    assert told.addresses == {}


async def test_a_port_that_cannot_be_had_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    async with listening(told, tmp_path) as listeners:
        with monkeypatch.context() as patched:
            patched.setattr(socket, "socket", _no_socket)
            listeners.take_up(STARTED)
    assert told.addresses == {}
    assert [(type(each), each.what) for each in told.events if isinstance(each, ListenerFailed)] == [
        (ListenerFailed, "tvs")
    ]


def _no_socket(*_: object) -> socket.socket:
    raise OSError(errno.EMFILE, "Too many open files")
