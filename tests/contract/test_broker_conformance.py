"""What the bus needs of any broker: the table of measurements that ruled out every pip-installable one.

The same operations run against the embedded broker and against Mosquitto, over both protocol versions.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.contract.brokers import embedded, mosquitto
from tests.unit.broker.wire_client import Clients
from ucmlab.broker.packets import V5, V311, Connect, ConnectProperties, Disconnect, Subscription, Will


@pytest.fixture(params=["embedded", "mosquitto"])
async def port(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[int]:
    async with AsyncExitStack() as stack:
        if request.param == "embedded":
            yield await embedded(stack)
        else:
            yield await mosquitto(stack, tmp_path)


@pytest.fixture(params=[V311, V5], ids=["3.1.1", "5"])
def version(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
async def clients() -> AsyncIterator[Clients]:
    async with Clients() as made:
        yield made


async def test_a_fresh_subscriber_gets_all_of_1000_retained_messages(port: int, clients: Clients, version: int) -> None:
    publisher = await clients.connect(port, Connect("publisher", V5))
    for n in range(1000):
        await publisher.publish(f"retained/{n}", b"x" * 200, retain=True)
    subscriber = await clients.connect(port, Connect("subscriber", version))

    await subscriber.subscribe(Subscription("retained/#", 1))

    messages = await subscriber.messages(1000)
    assert {message.topic for message in messages} == {f"retained/{n}" for n in range(1000)}
    assert all(message.retain for message in messages)
    assert await subscriber.all_messages() == []


async def test_an_empty_message_that_is_not_retained_leaves_the_retained_one(
    port: int, clients: Clients, version: int
) -> None:
    publisher = await clients.connect(port, Connect("publisher", version))
    await publisher.publish("topic", b"kept", retain=True)
    await publisher.publish("topic", b"")
    subscriber = await clients.connect(port, Connect("subscriber", version))

    await subscriber.subscribe(Subscription("topic", 1))

    assert [message.payload for message in await subscriber.messages(1)] == [b"kept"]


async def test_an_empty_retained_message_clears(port: int, clients: Clients, version: int) -> None:
    publisher = await clients.connect(port, Connect("publisher", version))
    await publisher.publish("topic", b"kept", retain=True)
    await publisher.publish("topic", b"", retain=True)
    subscriber = await clients.connect(port, Connect("subscriber", version))

    await subscriber.subscribe(Subscription("#", 1))

    assert await subscriber.all_messages() == []


async def test_a_lasting_session_gets_20_messages_in_order_when_it_returns(
    port: int, clients: Clients, version: int
) -> None:
    properties = ConnectProperties(session_expiry_interval=1000) if version == V5 else None
    lasting = Connect("subscriber", version, clean_start=False, properties=properties)
    subscriber = await clients.connect(port, lasting)
    await subscriber.subscribe(Subscription("queue/#", 1))
    subscriber.send(Disconnect())
    await subscriber.closed()
    publisher = await clients.connect(port, Connect("publisher", V5))
    for n in range(20):
        await publisher.publish(f"queue/{n % 3}", b"%d" % n)

    subscriber = await clients.resume(port, lasting)

    assert [message.payload for message in await subscriber.messages(20)] == [b"%d" % n for n in range(20)]
    assert await subscriber.all_messages() == []


async def test_a_lost_socket_publishes_the_will_once_and_keeps_it(port: int, clients: Clients, version: int) -> None:
    watcher = await clients.connect(port, Connect("watcher", version))
    await watcher.subscribe(Subscription("will", 1))
    will = Will("will", b"lost", 1, retain=True)
    mortal = await clients.connect(port, Connect("mortal", version, will=will))

    mortal.abort()

    assert [(message.payload, message.retain) for message in await watcher.messages(1)] == [(b"lost", False)]
    assert await watcher.all_messages() == []
    late = await clients.connect(port, Connect("late", version))
    await late.subscribe(Subscription("will", 1))
    assert [(message.payload, message.retain) for message in await late.all_messages()] == [(b"lost", True)]


async def test_a_goodbye_publishes_no_will(port: int, clients: Clients, version: int) -> None:
    watcher = await clients.connect(port, Connect("watcher", version))
    await watcher.subscribe(Subscription("will", 1))
    mortal = await clients.connect(port, Connect("mortal", version, will=Will("will", b"lost", 1)))

    mortal.send(Disconnect())
    await mortal.closed()

    assert await watcher.all_messages() == []


async def test_a_client_without_a_subscription_receives_nothing(port: int, clients: Clients, version: int) -> None:
    publisher = await clients.connect(port, Connect("publisher", version))
    await publisher.publish("first", b"x", retain=True)
    idle = await clients.connect(port, Connect("idle", version))

    await publisher.publish("first", b"y", retain=True)
    await publisher.publish("second", b"x")

    assert await idle.all_messages() == []


async def test_overlapping_subscriptions_deliver_the_highest_qos_and_3_1_1_one_copy(
    port: int, clients: Clients, version: int
) -> None:
    subscriber = await clients.connect(port, Connect("subscriber", version))
    await subscriber.subscribe(Subscription("a/#", 0), Subscription("a/b", 1))
    publisher = await clients.connect(port, Connect("publisher", version))

    await publisher.publish("a/b", b"x")

    messages = await subscriber.all_messages()
    assert {message.payload for message in messages} == {b"x"}
    assert max(message.qos for message in messages) == 1
    # Version 5 lets a broker choose between one copy and one for each subscription; Mosquitto sends two.
    assert len(messages) == 1 or version == V5


async def test_a_client_id_that_connects_again_takes_over(port: int, clients: Clients, version: int) -> None:
    old = await clients.connect(port, Connect("same", version))

    new = await clients.connect(port, Connect("same", version))

    await old.closed()
    assert await new.all_messages() == []


async def test_messages_of_one_topic_keep_their_order(port: int, clients: Clients, version: int) -> None:
    subscriber = await clients.connect(port, Connect("subscriber", version))
    await subscriber.subscribe(Subscription("log/+", 1))
    publisher = await clients.connect(port, Connect("publisher", version))

    for n in range(200):
        await publisher.publish("log/unit", b"%d" % n)

    assert [message.payload for message in await subscriber.messages(200)] == [b"%d" % n for n in range(200)]
