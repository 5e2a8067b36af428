"""A daemon: a process of its own that outlives the command that started it, and tells it when it is ready."""

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.processes import outlive_threads

_READY = "ready"


def detached(body: Callable[[Callable[[], None]], None], log: Path) -> None:
    """Run `body(ready)` in a daemon; return when it has called `ready`.

    Called while this process has one thread and no event loop. The daemon ends with us if we die before it was ready,
    because nobody would know of it.

    Args:
        body: what the daemon does, in all its life.
        log: the file for what it prints.

    Raises:
        Unusable: it could not become ready; the daemon's word.
    """
    reading, writing = os.pipe()
    outlive_threads()
    middle = os.fork()
    if middle == 0:
        os.close(reading)
        os.setsid()
        if os.fork() == 0:
            _be_daemon(body, log, writing)
        os._exit(0)
    os.close(writing)
    os.waitpid(middle, 0)
    with os.fdopen(reading, "rb") as pipe:
        word = pipe.read().decode()
    if word != _READY:
        raise Unusable(word or f"the lab ended before it was ready; {log} tells why")


def _be_daemon(body: Callable[[Callable[[], None]], None], log: Path, writing: int) -> None:
    told = False

    def tell(word: str) -> None:
        nonlocal told
        told = True
        os.write(writing, word.encode())
        os.close(writing)

    status = 1
    try:
        _redirect(log)
        body(lambda: tell(_READY))
        status = 0
    except Unusable as error:
        print(error.text, file=sys.stderr)  # noqa: T201  the daemon's log
        if not told:
            tell(error.text)
    except BaseException:  # noqa: BLE001  the end of a process: whatever it was goes to the log
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _redirect(log: Path) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(nothing, 0)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(nothing)
    os.close(file)
