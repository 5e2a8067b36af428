"""What the lab's places have in common: up or down at one address, and answers that are held back in lab time."""

import asyncio
from collections.abc import Callable

import pytest

from ucmlab.cluster.outside.place import Holding, Manner, Place


class Agenda:
    """Appointments that come when a test says so."""

    def __init__(self) -> None:
        self.now = 100
        self.made: list[tuple[int, Callable[..., None], tuple[object, ...]]] = []

    def at(self, due: int, action: Callable[..., None], *arguments: object) -> None:
        self.made.append((due, action, arguments))

    def run_due(self) -> None:
        for due, action, arguments in [each for each in self.made if each[0] <= self.now]:
            self.made.remove((due, action, arguments))
            action(*arguments)


class Node:
    held = 0


class Echo(asyncio.Protocol):
    """Says so when somebody comes."""

    def __init__(self, visits: list[asyncio.BaseTransport]) -> None:
        self._visits = visits

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._visits.append(transport)


class Gate(Place):
    """A place that only opens its door."""

    def __init__(self, holding: Holding) -> None:
        super().__init__("gate", holding)
        self.visits: list[asyncio.BaseTransport] = []
        self._server: asyncio.Server | None = None

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Echo(self.visits), self.host, self.port)

    def _deafen(self) -> None:
        assert self._server is not None
        self._server.close()


class Lab:
    def __init__(self) -> None:
        self.agenda, self.node, self.changes = Agenda(), Node(), 0
        self.holding = Holding(self.agenda, node={"sub1": self.node}.get, changed=self._changed)

    def _changed(self) -> None:
        self.changes += 1


async def test_an_answer_that_takes_no_time_is_not_held() -> None:
    lab = Lab()
    await lab.holding.hold("sub1", 0)
    assert (lab.node.held, lab.changes, lab.agenda.made) == (0, 0, [])


async def test_a_held_answer_is_counted_until_the_very_moment_that_it_is_due() -> None:
    lab = Lab()
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(lab.holding.hold("sub1", 30))
        await asyncio.sleep(0)
        assert (lab.node.held, [due for due, _, _ in lab.agenda.made]) == (1, [130])
        lab.agenda.now = 130
        lab.agenda.run_due()
        assert (lab.node.held, waiting.done()) == (0, False)
    assert (lab.node.held, lab.changes) == (0, 2)


async def test_who_hangs_up_is_held_no_more_and_the_appointment_does_nothing() -> None:
    lab = Lab()
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(lab.holding.hold("sub1", 30))
        await asyncio.sleep(0)
        waiting.cancel()
    lab.agenda.now = 130
    lab.agenda.run_due()
    assert lab.node.held == 0


async def test_an_answer_that_never_comes_has_no_appointment() -> None:
    lab = Lab()
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(lab.holding.hold("sub1", None))
        await asyncio.sleep(0)
        assert (lab.node.held, lab.agenda.made) == (1, [])
        waiting.cancel()
    assert lab.node.held == 0


async def test_a_stranger_waits_as_well_and_is_nobodys_business() -> None:
    lab = Lab()
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(lab.holding.hold("somebody", 30))
        await asyncio.sleep(0)
        assert not waiting.done()
        lab.agenda.now = 130
        lab.agenda.run_due()
    assert lab.node.held == 0


async def test_a_place_that_was_stopped_comes_back_at_its_address_as_it_should_be() -> None:
    lab = Lab()
    gate, loop = Gate(lab.holding), asyncio.get_running_loop()
    await gate.open("127.0.0.1")
    address = gate.host, gate.port
    gate.slow(30)
    await gate.stop()
    await gate.stop()
    assert not gate.manner.up
    with pytest.raises(ConnectionRefusedError):
        await loop.create_connection(asyncio.Protocol, *address)
    await gate.start()
    assert ((gate.host, gate.port), gate.manner) == (address, Manner())
    transport, _ = await loop.create_connection(asyncio.Protocol, *address)
    transport.close()
    gate.close()
    gate.close()
    for visit in gate.visits:
        visit.close()
