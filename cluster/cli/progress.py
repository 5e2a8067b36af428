"""Live progress of a lab that is starting, told from the journals that its nodes write.

Whoever waits for a lab waits in one blocking call, in a process that must not have threads (it is about to fork): so a
timer signal interrupts the wait, looks at the journals, prints what is new, and the wait goes on.
"""

import signal
from types import FrameType, TracebackType
from typing import Self

import click

from ucmlab.cluster.journal_reader import JournalReader
from ucmlab.cluster.provision import LabHome

EVERY_S = 0.1
WORDS = {"started": "starts", "installed": "is installed", "resync": "has its files in step"}
"""Events of a node to what people read."""


class Progress:
    """Prints while it is entered, until `end`."""

    def __init__(self, home: LabHome, *, shown: bool) -> None:
        """Remember what the journals hold already; with `shown` false nothing is ever printed."""
        self._reader = JournalReader(home.logs)
        self._seen = len(self._reader.read())
        self._told: set[tuple[object, object]] = set()
        self._on = shown

    def __enter__(self) -> Self:
        """Begin."""
        if self._on:
            signal.signal(signal.SIGALRM, self._look)
            signal.setitimer(signal.ITIMER_REAL, EVERY_S, EVERY_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        self.end()

    def end(self) -> None:
        """Print no more."""
        if self._on:
            self._on = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)

    def _look(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        events = self._reader.read()
        for event in events[self._seen :]:
            self._tell(event.get("node"), event.get("event"))
        self._seen = len(events)

    def _tell(self, node: object, event: object) -> None:
        word = WORDS.get(str(event))
        if word is not None and (node, event) not in self._told:
            self._told.add((node, event))
            click.echo(f"{node} {word}")
