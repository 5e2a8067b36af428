"""A bound on the machine time of one story, so that a story that never ends is a failed run and not a hung pipeline."""

import asyncio
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

GRACE_S = 5.0
"""Between asking a story to end and taking it by force, which only code that never awaits needs."""


class Overrun(BaseException):
    """The story's machine time is over and it did not let itself be cancelled."""


@contextmanager
def machine_time(seconds: float, task: "asyncio.Task[Any]", wake: Callable[[], object]) -> Generator[None]:
    """Cancel `task` after so much machine time; raise `Overrun` wherever the program then is, if that did not help.

    A signal and no timer of the loop: the simulation's loop has virtual time, and a story may loop without awaiting.
    It works on the main thread only, which is where every story runs. `wake` makes a loop that waits for files look at
    its tasks again.
    """
    asked = False
    why = f"not over after {seconds:g} s of machine time"

    def over(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise Overrun(why)
        asked = True
        task.cancel(why)
        wake()

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds, GRACE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def people_think() -> Generator[None]:
    """Let no machine time count while somebody is waited for."""
    left = signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *left)
