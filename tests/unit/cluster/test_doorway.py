"""A connection on its way to the website: what arrives early waits, and who begins nothing is let go."""

import asyncio

import pytest

from ucmlab.cluster.admin import doorway
from ucmlab.cluster.admin.doorway import HELD_LIMIT, Doorway


class Wire(asyncio.Transport):
    """A transport that remembers what was done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []

    def pause_reading(self) -> None:
        self.done.append("pause")

    def resume_reading(self) -> None:
        self.done.append("resume")

    def abort(self) -> None:
        self.done.append("abort")


class Server(asyncio.Protocol):
    """What would speak HTTP."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.heard.append(transport)

    def data_received(self, data: bytes) -> None:
        self.heard.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.heard.append(exc)


def nobody_minds() -> None:
    pass


async def at_the_door() -> tuple[Doorway, Wire, Server]:
    door, wire = Doorway(nobody_minds, nobody_minds), Wire()
    door.connection_made(wire)
    return door, wire, Server()


async def turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_what_arrives_before_the_client_is_let_in_is_kept() -> None:
    door, wire, server = await at_the_door()
    door.data_received(b"GET / ")
    door.data_received(b"HTTP/1.1\r\n")
    door.admit(server)
    door.data_received(b"\r\n")
    assert server.heard == [wire, b"GET / HTTP/1.1\r\n", b"\r\n"]
    door.connection_lost(None)
    assert server.heard[-1] is None
    assert door.closed.done()


async def test_it_keeps_no_more_than_it_may() -> None:
    door, wire, server = await at_the_door()
    door.data_received(b"x" * HELD_LIMIT)
    assert wire.done == ["pause"]
    door.admit(server)
    assert wire.done == ["pause", "resume"]
    door.connection_lost(None)


async def test_a_client_that_goes_before_it_was_let_in() -> None:
    door, wire, server = await at_the_door()
    door.connection_lost(None)
    assert door.closed.done()
    door.admit(server)
    assert (wire.done, server.heard) == ([], []), "nobody waits for who is not there"


async def test_who_begins_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorway, "PATIENCE_S", 0)
    door, wire, server = await at_the_door()
    door.admit(server)
    await turns()
    assert wire.done == ["resume", "abort"]


async def test_a_request_may_take_its_time_and_the_next_must_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorway, "PATIENCE_S", 0)
    door, wire, server = await at_the_door()
    door.admit(server)
    door.begun()
    await turns()
    assert wire.done == ["resume"]
    door.ended()
    await turns()
    assert wire.done == ["resume", "abort"]


async def test_who_keeps_the_door_hears_when_a_request_is_answered_and_when_none_is_any_more() -> None:
    heard: list[str] = []
    door = Doorway(lambda: heard.append("busy"), lambda: heard.append("idle"))
    door.connection_made(Wire())
    door.admit(Server())
    door.begun()
    assert heard == [], "whose it is has to be seen first"
    door.known()
    door.begun()  # the next one came with it
    door.ended()
    assert heard == ["busy"]
    door.ended()
    assert heard == ["busy", "idle"]
    door.connection_lost(None)
