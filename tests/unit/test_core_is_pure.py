"""The cores take time and randomness as values: a whole story runs while every other source of them raises."""

import asyncio
import builtins
import io
import os
import random
import secrets
import socket
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import NoReturn, TypeVar

import pytest

from ucmlab.broker.core import BrokerCore
from ucmlab.cluster.ca.keys import simulation_keys
from ucmlab.cluster.sim.lab import START_OF_LAB, SimLab, configs_of
from ucmlab.cluster.sim.loop import VirtualLoop
from ucmlab.cluster.sim.world import World
from ucmlab.cluster.topology import Settings, topology
from ucmlab.node.commands import AnyCommand
from ucmlab.node.core import NodeCore
from ucmlab.node.events import AnyEvent
from ucmlab.node.instant import Instant
from ucmlab.publisher.core import PublisherCore
from ucmlab.scenarios.labs import topology_for
from ucmlab.scenarios.loading import library_story
from ucmlab.scenarios.result import Options, Result
from ucmlab.scenarios.runner import tell

SOURCES: dict[ModuleType, tuple[str, ...]] = {
    time: ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "gmtime", "localtime"),
    os: ("urandom", "getrandom", "open", "getpid", "times"),
    secrets: ("token_bytes", "token_hex", "token_urlsafe", "randbits", "randbelow", "choice"),
    random: ("random", "randint", "randrange", "choice", "choices", "shuffle", "sample", "uniform", "getrandbits"),
    uuid: ("uuid1", "uuid4"),
    builtins: ("open",),
    io: ("open",),
    socket: ("socket", "create_connection", "getaddrinfo"),
}
Value = TypeVar("Value")
STORIES = ("demo", "partition_with_writes_on_both_sides", "publisher_killed_after_append")


class Impure(BaseException):
    """Nothing in a core may catch this."""


def refusing(name: str) -> Callable[..., NoReturn]:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise Impure(name)

    return refuse


@contextmanager
def nothing_from_outside() -> Iterator[None]:
    """While a core thinks, asking for the time, for a random number or for a file raises."""
    with pytest.MonkeyPatch.context() as patch:
        for module, names in SOURCES.items():
            for name in names:
                patch.setattr(module, name, refusing(f"{module.__name__}.{name}"))
        yield


def guard(monkeypatch: pytest.MonkeyPatch, core: type, handled: list[str]) -> None:
    """Have `core.handle` run with nothing from outside, and count what it handled."""
    handle = core.handle  # type: ignore[attr-defined]  # every core has it

    def guarded(self: object, event: object, now: object) -> object:
        handled.append(type(event).__name__)
        with nothing_from_outside():
            return handle(self, event, now)

    monkeypatch.setattr(core, "handle", guarded)


@pytest.mark.slow
@pytest.mark.parametrize("name", STORIES)
def test_a_story_runs_while_every_source_of_time_and_randomness_raises_in_the_cores(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = told(name)
    handled: list[str] = []
    guard(monkeypatch, NodeCore, handled)
    guard(monkeypatch, BrokerCore, handled)
    bound = told(name)
    assert {"Started", "MessageArrived", "TimerFired", "Upload", "PacketReceived"} <= set(handled)
    assert bound.verdict == "held"
    assert bound.digest == free.digest


def test_the_guard_is_seen_to_fire(monkeypatch: pytest.MonkeyPatch) -> None:
    class Peeking(NodeCore):
        def handle(self, event: AnyEvent, now: Instant) -> list[AnyCommand]:
            os.urandom(8)
            return super().handle(event, now)

    guard(monkeypatch, Peeking, [])
    cluster = topology(Settings(nodes="pub,sub1"))
    world = World(configs_of(cluster, seed=1), {}, seed=1, wall=START_OF_LAB, cores=(Peeking, PublisherCore))
    lab = SimLab(cluster, seed=1, world=world)
    with pytest.raises(Impure, match=r"^os\.urandom$"):
        in_virtual_time(lab, lab.open)


def unheard(*_: object) -> None:
    """Nobody listens to the story."""


def told(name: str) -> Result:
    """Tell a story of the library in virtual time."""
    story, options = library_story(name), Options()
    lab = SimLab(topology_for(story, options), seed=options.seed)

    async def whole() -> Result:
        await lab.open()
        return await tell(story, options, port=lab, keys=simulation_keys(), listener=unheard)

    return in_virtual_time(lab, whole)


def in_virtual_time(lab: SimLab, story: Callable[[], Coroutine[None, None, Value]]) -> Value:
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(lab.world)) as runner:
        return runner.run(story())
