"""What every process of a lab does to itself: a title, a death that follows its parent's, nothing inherited."""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterable

from setproctitle import setproctitle

_PR_SET_PDEATHSIG = 1
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
_LARGE = 128 << 10
"""Bytes: glibc's own threshold, which it raises unless it is set."""
_HIGHEST_FD = 65_536
_LOOK_EVERY_S = 0.0005
_LOOKS = 2_000
"""A second: threads that live on are somebody else's, and not waited for."""


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when `parent` ends; end now if it already has.

    A paused process reads no pipe and runs no handler, so nothing but SIGKILL from the kernel will do (design 6). The
    signal follows the *thread* that made this process: whoever starts processes of a lab does so from a thread that
    lives as long as the lab, which is the main one.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)  # it ended between our start and the call above


def entitle(lab: str, member: str) -> None:
    """What `ps` shows: `ucmlab: <lab> <member>`, and nothing that was ever in argv."""
    setproctitle(f"ucmlab: {lab} {member}")


def settle_memory() -> None:
    """Have the C library give large buffers back, for this process and all that it forks.

    By itself glibc keeps a freed buffer of a snapshot's size among the small blocks from the second one on, and gives
    each thread a heap of its own: a supervisor grew by 3 kB with each node that was killed, and none of it was in use.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's; elsewhere there is nothing to settle
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        mallopt(_M_ARENA_MAX, 1)


def outlive_threads() -> None:
    """Wait until threads that have ended are gone for the system as well: call it before a fork.

    Python has joined a thread when its code is over. Only then does OpenSSL put away what it kept for the thread, under
    a lock of its own; a fork at that moment gives the child the lock as it is, held by nobody: its first thread that
    uses OpenSSL would wait for ever.
    """
    for _ in range(_LOOKS):
        try:
            if len(os.listdir("/proc/self/task")) == 1:  # noqa: PTH208  names alone are wanted
                return
        except FileNotFoundError:
            return  # no such system
        time.sleep(_LOOK_EVERY_S)


def close_inherited(keep: Iterable[int]) -> None:
    """Close everything but standard streams and `keep`: other processes' channels must end when those end."""
    first = 3
    for fd in sorted(keep):
        os.closerange(first, fd)
        first = fd + 1
    os.closerange(first, _HIGHEST_FD)


def default_signals() -> None:
    """A terminal's Ctrl-C goes to the whole group; only the lab's owner acts on it, and ends the rest in order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
