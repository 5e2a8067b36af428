"""What takes long to load is loaded once, whoever of those who wait for it is cut off meanwhile."""

import asyncio
import socket
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest

from ucmlab.cluster.admin import lazily
from ucmlab.cluster.admin.lazily import LazyTerminal
from ucmlab.cluster.oneload import NotLoaded, OneLoad

PATIENCE_S = 30.0


class Load:
    """A load that takes until it may end; each tells its number, or fails."""

    def __init__(self, *, failing: int = 0) -> None:
        self.begun = 0
        self.may_end = Event()
        self._failing = failing

    def __call__(self) -> int:
        self.begun += 1
        assert self.may_end.wait(PATIENCE_S)
        if self.begun <= self._failing:
            raise ImportError("no such library")
        return self.begun


async def waiting(load: OneLoad[int], number: int, tasks: asyncio.TaskGroup) -> list[asyncio.Task[int]]:
    made = [tasks.create_task(load.get()) for _ in range(number)]
    await asyncio.sleep(0)
    return made


async def test_all_who_wait_share_one_load() -> None:
    load = Load()
    shared = OneLoad("it", load)
    async with asyncio.TaskGroup() as tasks:
        clients = await waiting(shared, 3, tasks)
        assert shared.loaded() is None
        load.may_end.set()
    assert [each.result() for each in clients] == [1, 1, 1]
    assert (await shared.get(), shared.loaded(), load.begun) == (1, 1, 1)


@pytest.mark.parametrize("cut_off", [(0,), (1,), (0, 1, 2)], ids=["the first", "another", "all"])
async def test_a_load_survives_whoever_is_cut_off(cut_off: tuple[int, ...]) -> None:
    load = Load()
    shared = OneLoad("it", load)
    async with asyncio.TaskGroup() as tasks:
        clients = await waiting(shared, 3, tasks)
        for at in cut_off:
            clients[at].cancel()
        await asyncio.sleep(0)
        load.may_end.set()
    assert [each.cancelled() for each in clients] == [at in cut_off for at in range(3)]
    assert (await shared.get(), load.begun) == (1, 1)


async def test_a_load_that_fails_is_told_to_all_who_waited_and_tried_again_for_the_next() -> None:
    load = Load(failing=1)
    shared = OneLoad("the website", load)
    told: list[str] = []

    async def ask() -> None:
        with pytest.raises(NotLoaded) as raised:
            await shared.get()
        told.append(str(raised.value))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(2):
            tasks.create_task(ask())
        await asyncio.sleep(0)
        load.may_end.set()
    assert told == ["the website cannot be loaded: ImportError: no such library"] * 2
    assert shared.loaded() is None
    assert (await shared.get(), load.begun) == (2, 2)


async def test_a_load_that_fails_when_all_have_gone_disturbs_nobody() -> None:
    strays: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: strays.append(context))
    load = Load(failing=1)
    shared = OneLoad("it", load)
    async with asyncio.TaskGroup() as tasks:
        (client,) = await waiting(shared, 1, tasks)
        client.cancel()
    load.may_end.set()
    assert (await eventually(shared), load.begun, strays) == (2, 2, [])


async def eventually(shared: OneLoad[int]) -> int:
    """Past the load that is failing."""
    try:
        return await shared.get()
    except NotLoaded:
        return await shared.get()


class Server:
    """A command line that serves at once."""

    async def serve(self, sock: socket.socket, let_in: Callable[[], None]) -> None:
        let_in()
        sock.close()


async def test_a_client_of_the_command_line_that_is_cut_off_leaves_it_to_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load, let_in = Load(), list[int]()

    def made(_desk: object, _guard: object) -> Server:
        load()
        return Server()

    monkeypatch.setattr(lazily, "_load_terminal", made)
    nobody: Any = None
    terminal = LazyTerminal(nobody, nobody)
    sockets = [socket.socket() for _ in range(2)]
    async with asyncio.TaskGroup() as tasks:
        first, _ = [tasks.create_task(terminal.serve(each, lambda: let_in.append(1))) for each in sockets]
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        load.may_end.set()
    assert (load.begun, let_in, [each.fileno() for each in sockets]) == (1, [1], [-1, -1])
