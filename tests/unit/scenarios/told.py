"""Tells a story in the fake lab."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.fakes import FakeLab
from ucmlab.cluster.ca.keys import simulation_keys
from ucmlab.scenarios import Lab, scenario
from ucmlab.scenarios.result import Options, Result
from ucmlab.scenarios.runner import tell
from ucmlab.scenarios.story import Story
from ucmlab.scenarios.telling import Entry

Script = Callable[[Lab], Awaitable[None]]


def as_story(script: Script) -> Story:
    """The story of a function in a test."""
    script.__doc__ = "A story of a test."
    return scenario(nodes="pub sub1 sub2")(script)


def told(script: Script, *, port: FakeLab | None = None, heard: list[Entry] | None = None, seed: int = 1) -> Result:
    """Tell it, and return what it came to."""
    entries: list[Entry] = [] if heard is None else heard
    lab = FakeLab() if port is None else port
    options = Options(seed=seed)
    return asyncio.run(
        tell(
            as_story(script),
            options,
            port=lab,
            keys=simulation_keys(),
            listener=lambda entry, _began: entries.append(entry),
        )
    )
