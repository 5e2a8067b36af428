"""Hostile clients by the thousand at a real node's interfaces: it goes on, does not grow, and serves others."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from tests.integration.hostile_ssh import GARBAGE, VERSION, Hostile
from tests.integration.hostile_web import Crowd, Line, accounts_of, requests
from tests.integration.watched import Watched, watched
from tests.soak_sizes import HOSTILE_LOGINS, MALFORMED, TIMEOUT_S
from ucmlab.cluster.admin.accounts import FAILURES
from ucmlab.cluster.admin.doorway import PATIENCE_S
from ucmlab.cluster.admin.website import BODY_WITHIN_S

pytestmark = [pytest.mark.soak, pytest.mark.slow, pytest.mark.timeout(TIMEOUT_S)]

GROUP = 250
"""Requests between two looks at the node."""
LOGINS = 40
"""Clients of the command line between two looks."""
AT_ONCE = 8
LONGEST_S = max(PATIENCE_S, BODY_WITHIN_S) + 40.0
"""Until everybody who is too slow has been let go: aiohttp listens ten more seconds to whom it has answered. The rest
is for a machine that has more to do."""
ALIKE = 6
"""Clients of each kind in a crowd: more than a port has room for."""
LOOK_EVERY_S = 1.0
ASKED_WITHIN_S = 2.0
Tell = Callable[[str, object], None]


def test_malformed_requests_neither_end_it_nor_make_it_grow(tmp_path: Path, record_property: Tell) -> None:
    with watched(tmp_path) as node:
        statuses = Counter[str]()
        line, made = Line(node.api.address, node.api.https), requests(accounts_of(node.lab), 1)
        for _ in range(MALFORMED // GROUP):
            for request in itertools.islice(made, GROUP):
                statuses[line.say(request)] += 1
            asyncio.run(node.look())
        record_property("requests", sum(statuses.values()))
        record_property("answers", dict(statuses.most_common(8)))
        told(node, record_property)
        assert statuses["HTTP/1.1 500 "] > MALFORMED // 50  # SOAP's faults: bombs reached what reads them


def test_whoever_is_slow_or_has_no_end_keeps_nobody_out_and_is_let_go(tmp_path: Path, record_property: Tell) -> None:
    async def come(node: Watched) -> dict[str, Counter[str]]:
        crowd, hostile = Crowd(node.api.address, node.api.https, accounts_of(node.lab)), Hostile(node.door, 2)
        answers = {name: Counter[str]() for name in SLOW}

        async def one(name: str) -> None:
            answers[name][await SLOW[name](crowd, hostile)] += 1

        await node.look()
        async with asyncio.timeout(LONGEST_S), asyncio.TaskGroup() as tasks:
            clients = [tasks.create_task(one(name)) for name in ASKING for _ in range(ALIKE)]
            await asyncio.sleep(ASKED_WITHIN_S)
            clients += [tasks.create_task(one(name)) for name in SLOW if name not in ASKING for _ in range(ALIKE)]
            while not all(client.done() for client in clients):
                await asyncio.sleep(LOOK_EVERY_S)  # once all of them are there
                await node.look()
        # Alone, whoever is slow and yet in time is waited for.
        for name in MAY_ALL_GO:
            await one(name)
        return answers

    with watched(tmp_path) as node:
        answers = asyncio.run(come(node))
        record_property("answers", {name: dict(found) for name, found in answers.items()})
        told(node, record_property)
        for name, found in answers.items():
            # Who asks for nothing yet goes when the port is full.
            assert found.keys() <= {EXPECTED[name], *([""] if name not in ASKING else [])}, name
            assert EXPECTED[name] in found, name


def test_hostile_clients_of_the_command_line(tmp_path: Path, record_property: Tell) -> None:
    async def come(node: Watched) -> None:
        hostile = Hostile(node.door, 3)
        for at in range(HOSTILE_LOGINS // LOGINS):
            if at < FAILURES - 1:  # as often as the account may be tried for in vain, and then it is not locked
                await hostile.wrong_password(node.door.user)
            limit = asyncio.Semaphore(AT_ONCE)

            async def one(limit: asyncio.Semaphore = limit) -> None:
                async with limit:
                    await hostile.any()()

            async with asyncio.TaskGroup() as tasks:
                for _ in range(LOGINS):
                    tasks.create_task(one())
                await node.look()

    with watched(tmp_path) as node:
        asyncio.run(come(node))
        record_property("clients", HOSTILE_LOGINS)
        told(node, record_property)


def told(node: Watched, record_property: Tell) -> None:
    for name, value in node.told().items():
        record_property(name, value)
    node.must_be_well()


Slow = Callable[[Crowd, Hostile], Coroutine[None, None, str]]
SLOW: dict[str, Slow] = {
    "head, octet by octet": lambda crowd, _: crowd.slow_head(0.02),
    "head, too slow": lambda crowd, _: crowd.slow_head(1.0),
    "body, octet by octet": lambda crowd, _: crowd.slow_body(0.02),
    "SOAP, octet by octet": lambda crowd, _: crowd.slow_body(0.02, to_soap=True),
    "body, too slow": lambda crowd, _: crowd.slow_body(1.0),
    "half a head": lambda crowd, _: crowd.half_head(),
    "half a body": lambda crowd, _: crowd.half_body(),
    "half of SOAP": lambda crowd, _: crowd.half_body(to_soap=True),
    "TLS, and nothing": lambda crowd, _: crowd.never_a_word(),
    "no TLS": lambda crowd, _: crowd.no_handshake(b"GET / HTTP/1.1\r\n\r\n"),
    "half of TLS": lambda crowd, _: crowd.no_handshake(b"\x16\x03\x01\x02\x00\x01"),
    "not a word": lambda crowd, _: crowd.no_handshake(b""),
    "oversized body": lambda crowd, _: crowd.oversized(),
    "oversized SOAP": lambda crowd, _: crowd.oversized(to_soap=True),
    "endless body": lambda crowd, _: crowd.endless_body(),
    "endless SOAP": lambda crowd, _: crowd.endless_body(to_soap=True),
    "endless head": lambda crowd, _: crowd.endless_head(),
    "SSH, not a word": lambda _, hostile: hostile.stays(b""),
    "SSH, a version": lambda _, hostile: hostile.stays(VERSION),
    "SSH, half a key exchange": lambda _, hostile: hostile.stays(GARBAGE[-1][:2_000]),
}
"""Each kind of client in the crowd."""
EXPECTED = {
    "head, octet by octet": "HTTP/1.1 200",
    "head, too slow": "",
    "body, octet by octet": "HTTP/1.1 400",
    "SOAP, octet by octet": "HTTP/1.1 500",
    "body, too slow": "HTTP/1.1 408",
    "half a head": "",
    "half a body": "HTTP/1.1 408",
    "half of SOAP": "HTTP/1.1 408",
    "TLS, and nothing": "",
    "no TLS": "",
    "half of TLS": "",
    "not a word": "",
    "oversized body": "HTTP/1.1 413",
    "oversized SOAP": "HTTP/1.1 413",
    "endless body": "HTTP/1.1 413",
    "endless SOAP": "HTTP/1.1 413",
    "endless head": "HTTP/1.1 400",
    "SSH, not a word": "stays",
    "SSH, a version": "stays",
    "SSH, half a key exchange": "stays",
}
"""How each ends; empty: its connection is closed without an answer."""
ASKING = (
    "body, octet by octet",
    "SOAP, octet by octet",
    "body, too slow",
    "half a body",
    "half of SOAP",
    "oversized body",
    "oversized SOAP",
    "endless body",
    "endless SOAP",
)
"""Who asks for something, and so is not turned away for others."""
MAY_ALL_GO = ("head, octet by octet", "endless head")
"""Of which a full port may have turned away all, as they have not asked for anything yet."""
