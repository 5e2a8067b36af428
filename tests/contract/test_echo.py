"""What proves a foreign broker quiet: when a client hears its echo, everything acknowledged before has reached it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.contract.bus_bench import CARRIERS, Bench
from ucmlab.broker.aiomqtt_bus import AiomqttBus

REAL = [name for name in CARRIERS if name != "sim"]


@pytest.fixture(params=REAL)
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async with CARRIERS[request.param]() as bench:
        yield bench


async def test_an_echo_comes_after_everything_that_was_acknowledged_before_it_was_asked_for(bench: Bench) -> None:
    async with bench.member("a") as sender, bench.member("b") as receiver:
        await receiver.subscribed("t/+")
        await sender.heard.until_said("connected")
        assert isinstance(receiver.bus, AiomqttBus)
        for number in range(800):
            sender.bus.publish(f"t/{number % 7}", b"x" * 500)
        await sender.answered()

        heard: list[int] = []
        receiver.bus.echo("echo/b", lambda: heard.append(receiver.bus.counters().received))

        async with asyncio.timeout(20):
            while not heard:
                receiver.heard._something.clear()
                await asyncio.sleep(0)
        assert heard == [800]


async def test_an_echo_is_in_no_counter_and_nobody_else_hears_of_it(bench: Bench) -> None:
    async with bench.member("a") as member:
        await member.subscribed("t")
        assert isinstance(member.bus, AiomqttBus)
        before = member.bus.counters()
        heard = asyncio.Event()
        for _ in range(2):
            heard.clear()
            member.bus.echo("echo/a", heard.set)
            await heard.wait()
        assert member.bus.counters() == before
        assert member.heard.said == ["connected"]


async def test_an_echo_that_can_never_come_is_told_as_well(bench: Bench) -> None:
    async with bench.member("a") as member:
        await member.subscribed("t")
        assert isinstance(member.bus, AiomqttBus)
        heard = asyncio.Event()
        await bench.stop_broker()
        member.bus.echo("echo/a", heard.set)
        await member.heard.until_said("disconnected")
        await heard.wait()
        heard.clear()
        member.bus.echo("echo/a", heard.set)
        assert heard.is_set()
        await bench.start_broker()
