"""The contract of the `Bus` port (`ucmlab.broker.bus`), for every carrier."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.contract.bus_bench import CARRIERS, WILLS, Bench


@pytest.fixture(params=CARRIERS)
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async with CARRIERS[request.param]() as bench:
        yield bench


async def test_what_one_publishes_reaches_who_subscribed_in_the_order_of_the_calls(bench: Bench) -> None:
    async with bench.member("a") as sender, bench.member("b") as receiver:
        await receiver.subscribed("t/+")
        await sender.heard.until_said("connected")

        for number in range(500):
            sender.bus.publish("t/x", str(number).encode())

        await receiver.heard.until(lambda: len(receiver.heard.messages) == 500)
        assert receiver.heard.messages == [f"t/x={number}" for number in range(500)]


async def test_what_is_published_right_after_subscribing_comes_back(bench: Bench) -> None:
    async with bench.member("a") as member:
        await member.heard.until_said("connected")

        member.bus.subscribe(["t"])
        member.bus.publish("t", b"1")

        await member.heard.until_said("t=1")


async def test_counters_tell_when_nothing_is_in_flight(bench: Bench) -> None:
    async with bench.member("a") as member:
        await member.subscribed("t")
        for _ in range(30):
            member.bus.publish("t", b"1")
        assert member.bus.counters().unanswered > 0

        await member.answered()
        await member.heard.until(lambda: len(member.heard.messages) == 30)

        counters = member.bus.counters()
        assert (counters.sent, counters.received, counters.connection) == (30, 30, 1)


async def test_a_retained_message_reaches_who_subscribes_later(bench: Bench) -> None:
    async with bench.member("a") as sender, bench.member("b") as late:
        await sender.heard.until_said("connected")
        sender.bus.publish("t", b"old", retain=True)
        sender.bus.publish("t", b"new", retain=True)
        await sender.answered()

        await late.subscribed("t")

        await late.heard.until_said("t=new")
        assert late.heard.messages == ["t=new"]


async def test_a_connection_that_breaks_publishes_the_will_and_is_made_again_without_subscriptions(
    bench: Bench,
) -> None:
    async with bench.member("a") as broken, bench.member("b") as other:
        await broken.subscribed("t")
        await other.subscribed(WILLS)

        await bench.cut("a")

        await other.heard.until_said(f"{WILLS}=a")
        await broken.heard.until_said("connected", times=2)
        other.bus.publish("t", b"missed")
        await other.answered()
        broken.bus.subscribe(["u"])
        broken.bus.publish("u", b"here")
        await broken.heard.until_said("u=here")
        assert broken.heard.said == ["connected", "disconnected", "connected", "u=here"]
        assert broken.bus.counters().connection == 2


async def test_leaving_in_order_publishes_no_will_and_leaves_nothing_unsent(bench: Bench) -> None:
    async with bench.member("b") as other:
        await other.subscribed(WILLS, "t")
        async with bench.member("a") as leaving:
            await leaving.heard.until_said("connected")
            leaving.bus.publish("t", b"last")

        await other.heard.until_said("t=last")
        other.bus.publish("t", b"after")
        await other.heard.until_said("t=after")
        assert other.heard.messages == ["t=last", "t=after"]


async def test_leaving_behind_a_stall_is_a_death_for_the_others(bench: Bench) -> None:
    async with bench.member("b") as other:
        await other.subscribed(WILLS, "t")
        async with bench.member("a") as leaving:
            await leaving.heard.until_said("connected")
            leaving.bus.stall(stalled=True)
            leaving.bus.publish("t", b"held, and lost")

        await other.heard.until_said(f"{WILLS}=a")
        assert other.heard.messages == [f"{WILLS}=a"]


async def test_what_is_published_while_a_stall_ends_comes_after_what_it_held(bench: Bench) -> None:
    async with bench.member("a") as stalled, bench.member("b") as other:
        await stalled.subscribed("to-a")
        await other.subscribed("to-b")
        stalled.bus.stall(stalled=True)
        stalled.bus.publish("to-b", b"held")
        other.bus.publish("to-a", b"question")
        await stalled.heard.until(lambda: stalled.bus.counters().received == 1)
        stalled.heard.on_message = lambda: stalled.bus.publish("to-b", b"answer")

        stalled.bus.stall(stalled=False)

        await other.heard.until_said("to-b=answer")
        assert other.heard.messages == ["to-b=held", "to-b=answer"]


async def test_without_a_broker_what_is_published_is_dropped_and_a_prod_shortens_the_wait(bench: Bench) -> None:
    async with bench.member("a") as member:
        await member.subscribed("t")
        await bench.stop_broker()
        await member.heard.until_said("disconnected")
        member.bus.publish("t", b"dropped")
        assert member.bus.counters().sent == 0

        await bench.start_broker()
        member.bus.prod()

        await member.heard.until_said("connected", times=2)
        await member.subscribed("t")
        member.bus.publish("t", b"kept")
        await member.heard.until_said("t=kept")
        assert member.heard.messages == ["t=kept"]


async def test_a_stalled_link_holds_both_directions_and_loses_nothing(bench: Bench) -> None:
    async with bench.member("a") as stalled, bench.member("b") as other:
        await stalled.subscribed("to-a")
        await other.subscribed("to-b")
        stalled.bus.stall(stalled=True)

        for number in range(3):
            stalled.bus.publish("to-b", str(number).encode())
            other.bus.publish("to-a", str(number).encode())
        await other.answered()
        await stalled.heard.until(lambda: stalled.bus.counters().received == 3)
        other.bus.publish("to-b", b"only")
        await other.heard.until_said("to-b=only")
        assert (stalled.heard.messages, other.heard.messages) == ([], ["to-b=only"])
        assert stalled.bus.counters().connected

        stalled.bus.stall(stalled=False)

        await other.heard.until_said("to-b=2")
        assert stalled.heard.messages == ["to-a=0", "to-a=1", "to-a=2"]
        assert other.heard.messages[1:] == ["to-b=0", "to-b=1", "to-b=2"]


async def test_a_connection_that_breaks_during_a_stall_is_told_at_its_end(bench: Bench) -> None:
    async with bench.member("a") as stalled:
        await stalled.subscribed("t")
        stalled.bus.stall(stalled=True)
        stalled.bus.publish("t", b"held, and lost")
        await bench.cut("a")
        await stalled.heard.until(lambda: not stalled.bus.counters().connected)
        assert stalled.heard.said == ["connected"]

        stalled.bus.stall(stalled=False)

        await stalled.heard.until_said("connected", times=2)
        assert stalled.heard.said == ["connected", "disconnected", "connected"]


async def test_a_new_connection_hangs_until_the_stall_ends(bench: Bench) -> None:
    async with bench.member("a") as member, bench.member("b") as other:
        await member.heard.until_said("connected")
        await other.heard.until_said("connected")
        member.bus.stall(stalled=True)
        await bench.stop_broker()
        await bench.start_broker()
        other.bus.prod()
        await other.heard.until_said("connected", times=2)
        assert member.heard.said == ["connected"]

        member.bus.stall(stalled=False)

        await member.heard.until_said("connected", times=2)


async def test_a_namesake_takes_the_link_over_and_the_first_one_gives_up(bench: Bench) -> None:
    if bench.silent_takeover:
        pytest.skip("this broker does not say who took over; the next test is for such")
    async with bench.member("a") as first:
        await first.heard.until_said("connected")

        async with bench.member("a") as second:
            await first.heard.until_said("duplicate")
            await second.heard.until_said("connected")

            assert first.bus.counters().duplicate
            assert second.heard.said == ["connected"]


async def test_namesakes_on_a_broker_that_takes_over_silently_do_not_fight_for_ever(bench: Bench) -> None:
    if not bench.silent_takeover:
        pytest.skip("this broker says who took over")
    async with bench.member("a") as first:
        await first.heard.until_said("connected")
        async with bench.member("a") as second:
            both = (first, second)

            def one_gave_up() -> bool:
                return any(member.bus.counters().duplicate for member in both)

            async with asyncio.TaskGroup() as tasks:
                waiting = [tasks.create_task(member.heard.until(one_gave_up)) for member in both]
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in waiting:
                    task.cancel()

            winner = second if first.bus.counters().duplicate else first
            await winner.heard.until(lambda: winner.bus.counters().connected)
            assert [member.bus.counters().duplicate for member in both].count(True) == 1
