"""Keys as they are pressed, from a terminal that is put back as it was whatever happens."""

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

NAMED = {
    "\x1b[A": "up",
    "\x1b[B": "down",
    "\x1bOA": "up",
    "\x1bOB": "down",
    "\x1b[5~": "page up",
    "\x1b[6~": "page down",
    "\x1b[H": "home",
    "\x1b[F": "end",
    "\x1b[1~": "home",
    "\x1b[4~": "end",
    "\r": "enter",
    "\n": "enter",
    " ": "space",
    "\x1b": "escape",
    "\x04": "closed",
}
"""What terminals send, to what the key is called. A letter is called by itself."""
END_OF_INPUT = "closed"
READ_SIZE = 64


class Keys:
    """What is pressed at the terminal behind a descriptor."""

    def __init__(self, descriptor: int) -> None:
        """Nothing is pressed yet."""
        self.descriptor = descriptor

    def forget(self) -> None:
        """Pass over what was pressed before anything was asked."""
        while select.select([self.descriptor], [], [], 0)[0] and os.read(self.descriptor, READ_SIZE):
            pass

    def wait(self, timeout_s: float | None) -> list[str]:
        """The keys pressed since the last call; waits for one at most so long, None: for ever.

        What arrives at once is read at once, so one sequence is one key. The end of input is `closed`, again and again.
        """
        ready, _, _ = select.select([self.descriptor], [], [], timeout_s)
        if not ready:
            return []
        try:
            pressed = os.read(self.descriptor, READ_SIZE)
        except OSError:
            pressed = b""  # the terminal went away
        return names(pressed.decode(errors="replace")) if pressed else [END_OF_INPUT]


def names(pressed: str) -> list[str]:
    """What a terminal sent, as keys. A sequence that is not known is no key."""
    found: list[str] = []
    while pressed:
        sequence = next((each for each in sorted(NAMED, key=len, reverse=True) if pressed.startswith(each)), pressed[0])
        if sequence == "\x1b" and len(pressed) > 1:
            return found
        found.append(NAMED.get(sequence, sequence))
        pressed = pressed[len(sequence) :]
    return found


@contextmanager
def pressed_keys() -> Generator[Keys]:
    """Read keys from standard input, which is a terminal, without echo and without waiting for Enter.

    Ctrl-C interrupts as ever. Ctrl-Z does nothing meanwhile: the shell would get a terminal that draws. SIGTERM ends
    the program in order, so that the terminal is put back then too.
    """
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    terminating = signal.signal(signal.SIGTERM, _end)
    try:
        tty.setcbreak(descriptor)
        quiet = termios.tcgetattr(descriptor)
        quiet[6][termios.VSUSP] = b"\0"
        termios.tcsetattr(descriptor, termios.TCSANOW, quiet)
        yield Keys(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)
        signal.signal(signal.SIGTERM, terminating)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)
