"""Kills at chosen system calls, for what must survive one at each of them."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest


class Killed(BaseException):
    """Not an Exception: nothing may tidy up after a kill."""


class Guillotine:
    """Ends the process, as far as the code can tell, at its n-th system call that changes something on disk."""

    CALLS = ("write", "rename", "unlink", "fsync", "fdatasync", "ftruncate", "mkdir", "open", "symlink")

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls_left = -1
        for name in self.CALLS:
            monkeypatch.setattr(os, name, self._guarded(name, getattr(os, name)))

    def _guarded(self, name: str, call: Callable[..., object]) -> Callable[..., object]:
        def guarded(*args: object, **keywords: object) -> object:
            self.calls_left -= 1
            if self.calls_left != 0:
                return call(*args, **keywords)
            if name == "write" and isinstance(content := args[1], bytes | memoryview):
                call(args[0], content[: len(content) // 2])
            raise Killed

        return guarded

    def cuts(self, prepare: Callable[[], None], act: Callable[[], None]) -> Iterator[int]:
        """Have it done anew and cut off at its first system call, its second and so on; yields after each kill."""
        for number in range(1, 1_000):
            self.calls_left = -1
            prepare()
            self.calls_left = number
            with suppress(Killed):
                act()
            survived, self.calls_left = self.calls_left > 0, -1
            if survived:
                return
            yield number
