"""A program at a terminal: what it shows is read as it comes, keys are pressed, the terminal's modes are looked at."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

PATIENCE_S = 60.0
_STYLES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r")
_SIZE = ("COLUMNS", "LINES")
"""A program that finds them believes them, whatever the terminal says."""
ALTERNATE, MAIN = "\x1b[?1049h", "\x1b[?1049l"
"""What switches to the screen that a full-screen program draws on, and back."""


class Terminal:
    """One end of a pseudo-terminal that a program has at its other end."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], *, columns: int, lines: int) -> None:
        self._master, self._slave = pty.openpty()
        self.resize(columns, lines)
        self.modes = termios.tcgetattr(self._slave)
        """Its modes before the program began."""
        self.raw = ""
        self._seen = 0
        self.process = subprocess.Popen(
            command,
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env={**{name: value for name, value in environment.items() if name not in _SIZE}, "TERM": "xterm-256color"},
            start_new_session=True,
        )

    @property
    def modes_now(self) -> list[object]:
        return termios.tcgetattr(self._slave)

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("4H", lines, columns, 0, 0))

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def interrupt(self) -> None:
        """Ctrl-C: the terminal is nobody's controlling one here, so its signal is sent by hand."""
        self.process.send_signal(signal.SIGINT)

    def until(self, pattern: str) -> str:
        """Wait until something that matches is shown, after what was waited for before; the text of the match."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            plain = _STYLES.sub("", self.raw)
            found = re.compile(pattern, re.MULTILINE).search(plain, self._seen)
            if found is not None:
                self._seen = found.end()
                return found[0]
            gone = self.process.poll() is not None
            more = self._read(0 if gone else deadline - time.monotonic())
            assert more or not gone, f"ended without {pattern!r}: {plain[self._seen :]!r}"
            assert time.monotonic() < deadline, f"no {pattern!r} in {plain[self._seen :]!r}"

    def end(self) -> int:
        """Wait until the program has ended, and read the rest; its exit status."""
        deadline = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"does not end: {self.raw[-2000:]!r}"
            self._read(0.05)
        while self._read(0):
            pass
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)
        os.close(self._slave)

    def _read(self, timeout: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0.0, timeout))
        if ready:
            self.raw += os.read(self._master, 1 << 16).decode(errors="replace")
        return bool(ready)


@contextmanager
def terminal(
    command: Sequence[str], environment: Mapping[str, str], *, columns: int = 80, lines: int = 24
) -> Generator[Terminal]:
    """A program at a terminal; it is gone afterwards."""
    opened = Terminal(command, environment, columns=columns, lines=lines)
    try:
        yield opened
    finally:
        opened.close()
