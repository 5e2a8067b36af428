"""What a node asks of others: answered in its own time, given up, and never answered twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ucmlab.cluster.exchanges import TaskExchanges
from ucmlab.node.commands import Exchange
from ucmlab.node.events import AnyEvent, DiskSynced


class Server:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.may = asyncio.Event()
        self.hung_up = 0

    async def perform(self, command: Exchange) -> AnyEvent:
        try:
            await self.may.wait()
        except asyncio.CancelledError:
            self.hung_up += 1
            raise
        return DiskSynced(command.token)


@asynccontextmanager
async def exchanging(server: Server) -> AsyncIterator[TaskExchanges]:
    exchanges = TaskExchanges({Exchange: server.perform})
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(exchanges.run())
        await asyncio.sleep(0)
        yield exchanges
        exchanges.close()


async def test_an_exchange_is_answered_once_and_then_not_open() -> None:
    server, heard = Server(), asyncio.Queue[AnyEvent]()
    async with exchanging(server) as exchanges:
        exchanges.begin(Exchange("a"), heard.put_nowait)
        assert exchanges.open == 1
        server.may.set()
        assert await heard.get() == DiskSynced("a")
        assert exchanges.open == 0


async def test_who_gives_up_hangs_up_and_hears_nothing() -> None:
    server, heard = Server(), asyncio.Queue[AnyEvent]()
    async with exchanging(server) as exchanges:
        exchanges.begin(Exchange("a"), heard.put_nowait)
        await asyncio.sleep(0)
        exchanges.give_up("a")
        exchanges.give_up("never begun")
        assert exchanges.open == 0
    assert (server.hung_up, heard.empty()) == (1, True)


async def test_a_token_asked_again_is_the_newer_question() -> None:
    server, heard = Server(), asyncio.Queue[AnyEvent]()
    async with exchanging(server) as exchanges:
        exchanges.begin(Exchange("a"), lambda _: heard.put_nowait(DiskSynced("old")))
        await asyncio.sleep(0)
        exchanges.begin(Exchange("a"), lambda _: heard.put_nowait(DiskSynced("new")))
        server.may.set()
        assert await heard.get() == DiskSynced("new")
    assert heard.empty()


async def test_a_node_that_stops_hangs_up() -> None:
    server = Server()
    async with exchanging(server) as exchanges:
        exchanges.begin(Exchange("a"), lambda _: None)
        await asyncio.sleep(0)
    assert server.hung_up == 1
