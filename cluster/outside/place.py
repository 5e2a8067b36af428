"""What all places outside the cluster have in common: each is up or down, and answers at once, late, or never.

They live in the lab's own process, beside its clock: what they hold back is due in lab time. What must live here: how
an answer is held back so that stepped time knows of it, and one address that stays the same across stop and start. What
this file must not know: what any of them says.

While an answer is held back, the node that waits for it counts it as asked (`Pulse.asking`) and the place as held
(`LocalNode.held`), so the lab is quiet; when it is due, the place counts it no more, so the lab is not quiet until the
node has heard.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from ucmlab.cluster.addresses import free_port
from ucmlab.cluster.errors import Unusable
from ucmlab.node.instant import SECOND


class Manner(msgspec.Struct, frozen=True):
    """How a place behaves."""

    up: bool = True
    """Else nobody listens: who connects is refused."""
    delay: int | None = 0
    """How long every answer takes, lab microseconds; None: it never comes."""


def fact_of(place: str, manner: Manner) -> dict[str, str] | None:
    """What `dump` tells under `faults` of a place; None: all is well."""
    if manner == Manner():
        return None
    slow = "hangs" if manner.delay is None else f"slow {manner.delay / SECOND:g}s"
    return {"fault": "outside", "target": place, "state": slow if manner.up else "stopped"}


def check_place(places: Iterable[str], name: str) -> None:
    """See that there is a place of that name.

    Raises:
        Unusable: there is none.
    """
    if name not in places:
        raise Unusable(f"there is no place {name!r} outside the cluster; there are {', '.join(places)}")


class Holder(Protocol):
    """A node whose exchanges may be held back (`ucmlab.cluster.members.LocalNode`)."""

    held: int


class Appointments(Protocol):
    """When something is to happen in lab time (`ucmlab.cluster.agenda.Agenda`)."""

    @property
    def now(self) -> int:
        """Lab microseconds."""
        ...

    def at(self, due: int, action: Callable[..., None], *arguments: object) -> None:
        """Do something at a lab instant."""
        ...


class Holding:
    """Holds answers of the lab's places back."""

    def __init__(
        self, agenda: Appointments, *, node: Callable[[str], Holder | None], changed: Callable[[], None]
    ) -> None:
        """Hold nothing yet.

        Args:
            agenda: the lab's.
            node: finds a node by its name; None for a stranger, whose waiting is nobody's business.
            changed: hears whenever something is held no more.
        """
        self._agenda = agenda
        self._node = node
        self._changed = changed

    async def hold(self, node: str, delay: int | None) -> None:
        """Wait before a node is answered; without a `delay`, for as long as the node does."""
        if delay == 0:
            return
        held = _Held(self._node(node), self._changed)
        if delay is not None:
            self._agenda.at(self._agenda.now + delay, held.end)
        try:
            await held.over.wait()
        finally:
            held.end()


class _Held:
    """One answer. It is counted no more from the very moment that it is due, before its task goes on."""

    def __init__(self, holder: Holder | None, changed: Callable[[], None]) -> None:
        self.over = asyncio.Event()
        self._holder = holder
        self._changed = changed
        if holder is not None:
            holder.held += 1
            changed()

    def end(self) -> None:
        if not self.over.is_set():
            self.over.set()
            if self._holder is not None:
                self._holder.held -= 1
                self._changed()


class Place:
    """One server. A subclass says what `_listen`, `_deafen` and its answers are."""

    wanted_port = 0
    """Where such a server usually listens."""

    def __init__(self, name: str, holding: Holding) -> None:
        """It listens nowhere until `open`. `name` is what nodes and stories call it."""
        self.name = name
        self.manner = Manner()
        self.host = ""
        self.port = 0
        self._holding = holding

    async def open(self, host: str) -> None:
        """Listen at `host`: where such a server usually does, if that can be had, else at any port.

        Raises:
            Unusable: there is no place for it.
        """
        self.host, self.port = host, free_port(host, self.wanted_port)
        await self._listen()

    async def stop(self) -> None:
        """Let nobody in any more, and break off whoever is there."""
        if self.manner.up:
            self.manner = msgspec.structs.replace(self.manner, up=False)
            self._deafen()

    async def start(self) -> None:
        """Listen again, at the same address; everything is as it should be.

        Raises:
            Unusable: somebody else has the address now.
        """
        if not self.manner.up:
            try:
                await self._listen()
            except OSError as error:
                raise Unusable(f"{self.name} cannot listen at {self.host}:{self.port}: {error.strerror}") from error
        self.manner = Manner()

    def slow(self, delay: int | None) -> None:
        """From now on, take so long for an answer (lab microseconds), or forever."""
        self.manner = msgspec.structs.replace(self.manner, delay=delay)

    def close(self) -> None:
        """Be gone for good."""
        if self.manner.up:
            self._deafen()
        self.manner = Manner(up=False)

    async def delay(self, node: str) -> None:
        """Wait as long as an answer takes now that goes to a node (or a stranger, by any name)."""
        await self._holding.hold(node, self.manner.delay)

    async def _listen(self) -> None:
        raise NotImplementedError

    def _deafen(self) -> None:
        raise NotImplementedError
