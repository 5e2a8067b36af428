"""The lab's side of a broker that is not ours: a Mosquitto that it runs, or somebody else's that it only uses."""

import signal
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

from ucmlab.cluster.carriers.mosquitto import last_words
from ucmlab.cluster.carriers.observer import Observer
from ucmlab.cluster.members import LocalBroker
from ucmlab.cluster.spawning import Child

ATTACHED_PATIENCE_S = 2.0
"""Machine time for somebody else's broker to take the lab's goodbye."""


class ObservedBroker(LocalBroker):
    """A broker that tells no counters and no messages: an observer does."""

    def __init__(
        self,
        *,
        changed: Callable[[], None],
        listening: Callable[[], None],
        published: Callable[[tuple[tuple[str, bytes], ...]], None],
    ) -> None:
        """It is down."""
        super().__init__(changed=changed, listening=listening, published=published)
        self._observer: Observer | None = None

    def observe(self, observer: Observer) -> None:
        """Hear through this observer, from now on."""
        self._observer = observer

    def probe(self, number: int) -> None:
        """Have the observer say something to itself; `answered` tells when that is back."""

        def heard() -> None:
            self.answered = max(self.answered, number)
            self._changed()

        if self._observer is not None:
            self._observer.ask_echo(heard)

    def noticed(self, gone: Iterable[str]) -> bool:
        """Whether the broker has noticed that these nodes are gone."""
        return self._observer is None or self._observer.noticed(gone)

    def observer_connected(self) -> None:
        """The observer has found it: others can connect as well."""
        self._listening()
        self._changed()

    async def let_go(self) -> None:
        """Stop hearing."""
        if self._observer is not None:
            await self._observer.end()

    def cut(self, clients: tuple[str, ...]) -> None:
        """Nothing: a node on the far side of a cut holds back what it says, and its death is noticed at once."""


class LocalMosquitto(ObservedBroker):
    """The Mosquitto of a lab, whose process is the lab's."""

    def __init__(
        self,
        *,
        log: Path,
        changed: Callable[[], None],
        listening: Callable[[], None],
        published: Callable[[tuple[tuple[str, bytes], ...]], None],
    ) -> None:
        """It is down."""
        super().__init__(changed=changed, listening=listening, published=published)
        self._log = log
        self._asked_to_end = False

    def begin(self, child: Child, sock: socket.socket) -> None:
        """See `Process`."""
        self._asked_to_end = False
        super().begin(child, sock)
        if self._observer is not None:
            self._observer.start()

    def stop(self) -> None:
        """End it in order."""
        self._asked_to_end = True
        if self._child is not None:
            self._child.send_signal(signal.SIGTERM)

    def ended(self, status: int) -> None:
        """Its process was reaped; whoever did not ask for it learns what Mosquitto said last."""
        if status >= 0 and not self._asked_to_end:
            self.crash = f"Mosquitto ended by itself, with status {status}: {last_words(self._log) or self._log}"
        super().ended(status)


class SomebodysBroker(ObservedBroker):
    """A broker that the lab was given the URL of: it runs as long as anybody can tell, and is nobody's to kill."""

    @property
    def alive(self) -> bool:
        """Always: whether it is there, its clients find out."""
        return True

    @property
    def pid(self) -> int | None:
        """None: it may not even be on this machine."""
        return None

    def attach(self) -> None:
        """Begin to use it."""
        self.lives += 1
        if self._observer is not None:
            self._observer.start()

    async def let_go(self) -> None:
        """Delete what the lab left there, and stop hearing."""
        if self._observer is not None and self._observer.is_connected:
            await self._observer.leave_nothing(ATTACHED_PATIENCE_S)
        await super().let_go()
