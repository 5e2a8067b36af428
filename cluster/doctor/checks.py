"""What a lab's bus may be tempted to rely on, as a table of checks, each with what it means when a broker differs.

The table follows what was measured of real brokers (retained bursts cut at a hundred, retained messages for the wrong
client, wills that never come, ...). Only few of these can keep a lab from working, because its correctness rests on
its own log; the others cost time or say something wrong about who is there. A check that does not get as far as its
question counts as what it would mean at worst.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec

from ucmlab.broker.bus import BusEndpoint
from ucmlab.broker.packets import Publish, PublishProperties, Reason, Will
from ucmlab.cluster.doctor.bench import Bench, bench_on
from ucmlab.cluster.doctor.client import PATIENCE_S, Client, Gone

Level = Literal["ok", "but", "cannot"]
FAILURE = 0x80
RETAINED, OFFLINE, BURST, ORDERED, MEMBERS = 1_000, 200, 1_000, 300, 30
LASTS_S = 300
"""Seconds that a session of a check outlives its connection, should the check not end it itself."""
LARGE = (1 << 19) + (1 << 14)
"""Bytes of the largest message of a lab: a snapshot's chunk or a batch of log entries, with its envelope."""
EXPIRY_S = 1


class Look(msgspec.Struct, frozen=True):
    """What one look at the broker showed."""

    level: Level
    found: str


class Check(msgspec.Struct, frozen=True):
    """One question to a broker."""

    name: str
    look: Callable[[Bench], Awaitable[Look]]
    worst: Level
    """What a check that could not be carried out counts as."""
    meaning: str
    """What it means for a lab when the answer is not the good one."""


class Finding(msgspec.Struct, frozen=True):
    """A check and its answer."""

    check: str
    level: Level
    found: str
    meaning: str
    """Empty when all is well."""


async def examine(check: Check, endpoint: BusEndpoint) -> Finding:
    """Ask one question, and leave nothing behind."""
    try:
        async with bench_on(endpoint) as bench:
            seen = await check.look(bench)
    except Gone as gone:
        seen = Look(check.worst, str(gone))
    except (OSError, TimeoutError) as error:
        seen = Look(check.worst, f"the connection broke: {str(error) or 'no answer'}")
    return Finding(check.name, seen.level, seen.found, "" if seen.level == "ok" else check.meaning)


def _judged(good: bool, found: str, otherwise: Level) -> Look:  # noqa: FBT001  it reads as a question
    return Look("ok" if good else otherwise, found)


async def _access(bench: Bench) -> Look:
    client = await bench.client()
    codes = await client.subscribe(bench.topic("access/+"))
    if not codes or codes[0] >= FAILURE:
        return Look("cannot", f"subscribing below {bench.topic('')} is refused")
    code = await client.publish(bench.topic("access/a"), b"here")
    came = len(await client.got(1))
    if code >= FAILURE or not came:
        return Look(
            "cannot", "publishing is refused" if code >= FAILURE else "a message is acknowledged and not delivered"
        )
    return Look("ok", "may publish and read")


async def _order(bench: Bench) -> Look:
    reader, writer = await bench.client(), await bench.client()
    await reader.subscribe(bench.topic("log"))
    sent = [(bench.topic("log"), b"%d" % number) for number in range(ORDERED)]
    await writer.publish_all(sent)
    came = [int(message.payload) for message in await reader.got(ORDERED) if not message.dup]
    once = list(dict.fromkeys(came))
    if once != sorted(once):
        return Look("but", "messages of one topic overtake each other")
    return _judged(len(once) == ORDERED, f"{len(once)} of {ORDERED} in order", "but")


async def _burst(bench: Bench) -> Look:
    reader, writer = await bench.client(acknowledges=False), await bench.client()
    await reader.subscribe(bench.topic("burst"))
    await writer.publish_all([(bench.topic("burst"), b"x" * 500)] * BURST)
    taken = 0
    reader.acknowledges = True
    while (came := len(await reader.got(BURST if not taken else 0))) > taken:
        reader.acknowledge(message for message in reader.messages[taken:came] if not taken)
        taken = came
    return _judged(taken >= BURST, f"{taken} of {BURST} reach a reader that is slow at first", "but")


async def _retained(bench: Bench) -> Look:
    writer = await bench.client()
    refused = await bench.retain(writer, [f"retained/{number}" for number in range(RETAINED)], b"x" * 200)
    reader = await bench.client()
    await reader.subscribe(bench.topic("retained/#"))
    came = len({message.topic for message in await reader.got(RETAINED - refused)})
    return _judged(came == RETAINED, f"{came} of {RETAINED} reach a fresh subscriber", "but" if came else "cannot")


async def _leak(bench: Bench) -> Look:
    owner, stranger = await bench.client(), await bench.client("stranger")
    await owner.subscribe(bench.topic("private/#"))
    await bench.retain(owner, ["private/a"], b"theirs")
    late = await bench.client("late")
    await late.subscribe(bench.topic("other"))
    leaked = [message for each in (stranger, late) for message in await each.got()]
    return _judged(not leaked, f"{len(leaked)} messages for others" if leaked else "none for others", "but")


async def _empty(bench: Bench) -> Look:
    writer = await bench.client()
    await bench.retain(writer, ["kept"], b"kept")
    await writer.publish(bench.topic("kept"), b"")
    reader = await bench.client()
    await reader.subscribe(bench.topic("kept"))
    kept = [message.payload for message in await reader.got(1)] == [b"kept"]
    return _judged(kept, "leaves what is retained" if kept else "deletes what is retained", "but")


async def _offline(bench: Bench) -> Look:
    away = await bench.client("away", clean=False, lasting=LASTS_S)
    await away.subscribe(bench.topic("news"))
    await away.end()
    writer = await bench.client()
    await writer.publish_all([(bench.topic("news"), b"%d" % number) for number in range(OFFLINE)])
    back = await bench.client("away", clean=False, lasting=LASTS_S)
    came = len(await back.got(OFFLINE))
    return _judged(came >= OFFLINE, f"{came} of {OFFLINE} wait for who is away", "but")


async def _will(bench: Bench) -> Look:
    watcher = await bench.client()
    await watcher.subscribe(bench.topic("birth"))
    mortal = await bench.client(will=Will(bench.topic("birth"), b"lost", 1, retain=True))
    began = asyncio.get_running_loop().time()
    await mortal.lose()
    while not watcher.messages and asyncio.get_running_loop().time() - began < PATIENCE_S / 2:
        await watcher.got(1)
    if not watcher.messages:
        return Look("but", "none comes when a connection is lost")
    late = await bench.client()
    await late.subscribe(bench.topic("birth"))
    kept = bool(await late.got(1))
    return _judged(kept, "comes, and is retained" if kept else "comes, and is not retained", "but")


async def _again(bench: Bench) -> Look:
    careless = await bench.client("careless", clean=False, lasting=LASTS_S, acknowledges=False)
    await careless.subscribe(bench.topic("once"))
    await (await bench.client()).publish(bench.topic("once"), b"once")
    first = len(await careless.got(1))
    await careless.lose()
    back = await bench.client("careless", clean=False, lasting=LASTS_S)
    again = [message.dup for message in await back.got(1)]
    if not again:
        return Look("but", "is forgotten with its connection")
    return _judged(
        first == 1 and again == [True],
        "comes again, marked as a repeat"
        if again == [True]
        else f"comes {first + len(again)} times, or without the mark",
        "but",
    )


async def _once(bench: Bench) -> Look:
    reader = await bench.client()
    await reader.subscribe(bench.topic("single"))
    await (await bench.client()).publish(bench.topic("single"), b"single")
    copies = len(await reader.got(1))
    return _judged(copies == 1, "one copy of a message" if copies == 1 else f"{copies} copies of a message", "but")


async def _overlap(bench: Bench) -> Look:
    reader = await bench.client()
    await reader.subscribe(bench.topic("a/#"), bench.topic("a/b"))
    await (await bench.client()).publish(bench.topic("a/b"), b"x")
    copies = len(await reader.got(1))
    # Version 5 lets a broker choose between one copy and one for each subscription.
    seen = "one copy" if copies == 1 else f"{copies} copies"
    return _judged(copies in {1, 2}, f"{seen} for two that match", "but")


async def _expiry(bench: Bench) -> Look:
    away = await bench.client("expiry", clean=False, lasting=LASTS_S)
    await away.subscribe(bench.topic("order"))
    await away.end()
    writer = await bench.client()
    await writer.publish(bench.topic("order"), b"old", properties=PublishProperties(message_expiry_interval=EXPIRY_S))
    await asyncio.sleep(2 * EXPIRY_S + 0.1)
    back = await bench.client("expiry", clean=False, lasting=LASTS_S)
    late = len(await back.got())
    return _judged(not late, "messages end in time" if not late else "messages come after their end", "but")


async def _takeover(bench: Bench) -> Look:
    first = await bench.client("same")
    await bench.client("same")
    try:
        async with asyncio.timeout(PATIENCE_S / 2):
            await first.closed.wait()
    except TimeoutError:
        return Look("cannot", "two clients of one id stay connected")
    told = first.farewell is not None and first.farewell.reason_code == Reason.SESSION_TAKEN_OVER
    return _judged(told, "the first is ended and told why" if told else "the first is ended without a word", "but")


async def _size(bench: Bench) -> Look:
    reader, writer = await bench.client(), await bench.client()
    limit = (writer.greeting.properties.maximum_packet_size if writer.greeting.properties else None) or 0
    if limit and limit < LARGE:
        return Look("cannot", f"takes packets of {limit} bytes and no more")
    await reader.subscribe(bench.topic("large"))
    code = await writer.publish(bench.topic("large"), b"x" * LARGE)
    came = [len(message.payload) for message in await reader.got(1)]
    if code >= FAILURE or came != [LARGE]:
        return Look("cannot", f"a message of {LARGE} bytes is {'refused' if code >= FAILURE else 'lost'}")
    return Look("ok", f"messages of {LARGE} bytes pass")


async def _echo(bench: Bench) -> Look:
    writer, reader = await bench.client(), await bench.client("echoing")
    await bench.retain(writer, [f"flow/{number}" for number in range(CLEAN)], b"old")
    await reader.subscribe(bench.topic("flow/#"))
    await reader.subscribe(bench.topic("echo"))
    before = CLEAN
    for _ in range(ROUNDS):
        await writer.publish_all([(bench.topic(f"flow/{number}"), b"new") for number in range(CLEAN)])
        before += CLEAN
        reader.send(Publish(bench.topic("echo"), b"", 1, packet_id=60_001))
        came = await _until_echo(reader, bench.topic("echo"))
        if came < before:
            return Look("but", f"overtakes {before - came} messages that were acknowledged before")
    return Look("ok", "comes after all that was acknowledged before")


async def _until_echo(reader: Client, topic: str) -> int:
    heard = sum(message.topic == topic for message in reader.messages)
    began = asyncio.get_running_loop().time()
    while sum(message.topic == topic for message in reader.messages) == heard:
        if reader.closed.is_set() or asyncio.get_running_loop().time() - began > PATIENCE_S:
            raise Gone("no echo came back")
        await asyncio.sleep(0.005)
    echo = [at for at, message in enumerate(reader.messages) if message.topic == topic][-1]
    return sum(message.topic != topic for message in reader.messages[:echo])


async def _members(bench: Bench) -> Look:
    made = 0
    try:
        for _ in range(MEMBERS):
            await bench.client()
            made += 1
    except (Gone, OSError):
        pass
    return _judged(made == MEMBERS, f"{made} of {MEMBERS} clients at once", "but" if made > 4 else "cannot")  # noqa: PLR2004  the least lab: three nodes and an observer


async def _shared(bench: Bench) -> Look:
    client = await bench.client()
    properties = client.greeting.properties
    there = properties is None or properties.shared_subscription_available != 0
    return Look("ok", "there; a lab uses none" if there else "none; a lab uses none")


CLEAN, ROUNDS = 25, 4
"""Of the echo's check: topics, and how often each is written."""
BROKER_CHECKS: tuple[Check, ...] = (
    Check("access", _access, "cannot", "every member must publish and read below cucm/"),
    Check("order in one topic", _order, "but", "nodes put entries in order themselves, and ask again: slower"),
    Check("burst of 1000", _burst, "but", "who is slow or paused misses entries and pulls them: slower"),
    Check(
        "retained messages",
        _retained,
        "cannot",
        "who connects reads the log's head and every birth: there must be room for as many as there are nodes",
    ),
    Check("retained for others", _leak, "but", "nodes get what they did not ask for, and ignore it"),
    Check("empty message", _empty, "but", "nothing in a lab publishes empty messages; people's own tools might"),
    Check("offline queue", _offline, "but", "a lab relies on none: who was away asks; your own tools might rely on it"),
    Check("will", _will, "but", "a dead node still looks alive to others: pending in place of unreachable"),
    Check(
        "unacknowledged message", _again, "but", "a lab's sessions end with their connection; your own tools' may not"
    ),
    Check("copies", _once, "but", "repeats are recognised by their number, and cost time"),
    Check("overlapping filters", _overlap, "but", "a lab's filters do not overlap"),
    Check("message expiry", _expiry, "but", "orders carry their own end, so nothing late is obeyed"),
    Check(
        "session takeover",
        _takeover,
        "cannot",
        "a second node of one name is noticed only after several drops, or never",
    ),
    Check(
        "large messages", _size, "cannot", "a node that was away long gets a snapshot in messages of half a megabyte"
    ),
    Check("echo", _echo, "but", "stepped time cannot tell when the lab is quiet: stories may end differently"),
    Check("connections", _members, "cannot", "every node is a connection, and so is the lab's observer"),
    Check("shared subscriptions", _shared, "but", ""),
)
"""In the order in which they are asked and shown."""
