"""Runs inputs, in one process or several, and tells what did not hold: by seed, so that one input can be run alone.

Whatever is raised is a violation, warnings included: they would be printed into an operator's terminal.
"""

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import FrameType

import msgspec
import psutil

from tests.fuzz import nodes, surfaces
from tests.fuzz.inputs import Mutant, mutant
from tests.fuzz.surfaces import Seen
from ucmlab.node import certificates, issuing, name_constraints, names, upload_files

LIMIT_S = 1.0
"""Processor time that an input may take: one operation on all nodes together, or all that needs no node."""
HANG_S = 20.0
"""After which an input is cut off, to be told by its seed."""
CHUNK = 2_000
"""Inputs that a process takes at once."""
NODE_EVERY = 4
"""Of uploads, those of which the seed divides by this go through whole nodes."""

REMEMBERED = (
    certificates.parse,
    certificates._file_words,
    certificates._file_name,
    issuing.standing,
    issuing.load,
    issuing.extensions_of,
    issuing.named,
    issuing._verify_usual,
    name_constraints.limits,
    name_constraints.constrained_names,
    names.read,
    names.canonical,
    names._relative,
    upload_files._read_small,
)
"""What the node knows of certificates that it has seen."""


class Violation(msgspec.Struct, frozen=True):
    """What did not hold, and for which input."""

    seed: int
    text: str


class Ran(msgspec.Struct, frozen=True):
    """What some inputs led to."""

    inputs: int
    seen: dict[str, int]
    violations: tuple[Violation, ...]
    slowest: tuple[float, int]
    """Seconds of processor time, and the seed."""
    process: int = 0
    memory: int = 0
    """Bytes resident at the end."""


class _TooLong(BaseException):
    """An input is cut off."""


def run(seeds: range, *, limit_s: float = LIMIT_S) -> Ran:
    """Run the inputs of these seeds, here."""
    _warm()
    seen, violations, slowest = Counter[str](), list[Violation](), (0.0, -1)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(action="error"):
        for seed in seeds:
            seconds, text = examined(seed, seen, Path(folder))
            if not text and seconds > limit_s:
                # Machines are busy at times: too long is what takes too long whenever it is tried.
                seconds = min(seconds, *(_tried_again(seed, Path(folder)) for _ in range(2)))
            if not text and seconds > limit_s:
                text = f"{seconds:.1f} s of processor time, at most {limit_s:g} are allowed"
            if text:
                violations.append(Violation(seed, text))
            slowest = max(slowest, (seconds, seed))
    memory = psutil.Process().memory_info().rss
    return Ran(len(seeds), dict(seen), tuple(violations), slowest, os.getpid(), memory)


def run_many(inputs: int, *, first: int, jobs: int) -> Iterator[Ran]:
    """Run so many inputs in several processes, where forking is safe; results come in the order of the seeds."""
    chunks = [range(at, min(at + CHUNK, first + inputs)) for at in range(first, first + inputs, CHUNK)]
    if jobs <= 1 or threading.active_count() > 1 or sys.platform != "linux":
        yield from map(run, chunks)
        return
    _warm()
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        yield from pool.imap(run, chunks)


@lru_cache(maxsize=1)
def _warm() -> None:
    """Make what all inputs have in common; no input's time, and of several processes the first one's alone."""
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(64):
            examined(seed, Counter(), Path(folder))


def examined(seed: int, seen: Seen, folder: Path) -> tuple[float, str]:
    """Processor time that an input took, and what is wrong with how it ended; empty, nothing is."""
    # Making the input is not what is measured.
    made = mutant(seed)
    seconds = 0.0
    try:
        with _cut_off():
            seconds = examine(made, seen, folder)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001  a panic of the library's is no Exception, and what is looked for
        last = traceback.extract_tb(error.__traceback__)[-1]
        return seconds, f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno} {last.name})"[:500]
    return seconds, ""


def _tried_again(seed: int, folder: Path) -> float:
    """Processor time that an input takes when nothing is remembered of it."""
    for remembered in REMEMBERED:
        remembered.cache_clear()
    return examined(seed, Counter(), folder)[0]


def examine(made: Mutant, seen: Seen, folder: Path) -> float:
    """Bring an input to all its surfaces; seconds of processor time that the longest took. What is wrong is raised."""
    begun = time.process_time()
    surfaces.examine(made, seen)
    seconds = time.process_time() - begun
    return max(seconds, _on_nodes(made, seen, folder))


def _on_nodes(made: Mutant, seen: Seen, folder: Path) -> float:
    match made.kind:
        case "order":
            return nodes.order(made, seen)
        case "identity":
            return nodes.identity(made, seen)
        case "upload" if not made.seed % NODE_EVERY:
            return nodes.upload(made, seen, folder)
        case _:
            return 0.0


@contextmanager
def _cut_off() -> Iterator[None]:
    """End what runs for `HANG_S` seconds of processor time."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGPROF, _raise)
    signal.setitimer(signal.ITIMER_PROF, HANG_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _raise(_: int, __: FrameType | None) -> None:
    raise _TooLong(f"no end after {HANG_S:g} s of processor time")
