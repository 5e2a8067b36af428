"""A link while it suffers: lanes of parcels, and what a fault may do to a parcel on its way. Pure, for both modes.

A parcel is a packet in the simulation, a run of bytes in the chaos proxy of a real lab, a message in a node's own
shell. A lane is TCP's: first in, first out, whatever the faults say about time. What they may change beyond that is
what MQTT leaves open: a message may come twice, messages of different topics may change places, and a broker may have
acknowledged what it then lost.
"""

from collections import deque
from collections.abc import Callable
from typing import Literal, Protocol

Way = Literal["both", "up", "down"]
Go = Callable[[], None]


class Clock(Protocol):
    """Lab time, and what is to be done in it."""

    @property
    def now(self) -> int:
        """Lab microseconds."""
        ...

    def at(self, due: int, action: Callable[..., None], *arguments: object) -> object:
        """Do something at a lab instant."""
        ...


class Parcel:
    """What travels as one, and what the faults have made of it so far."""

    __slots__ = ("delay", "go", "held", "lost", "topic", "twice")

    def __init__(self, topic: str | None, go: Go) -> None:
        """`topic` is a message's, None of everything else; `go` is its arrival."""
        self.topic = topic
        self.go = go
        self.delay = 0
        self.held = self.lost = self.twice = False


class Effect(Protocol):
    """What one fault does to parcels."""

    way: Way

    def treat(self, parcel: Parcel, now: int) -> None:
        """Change what happens to a parcel."""
        ...

    def ended(self) -> None:
        """It is over: what it kept itself goes on."""
        ...


class Lane:
    """One direction."""

    def __init__(self, clock: Clock) -> None:
        """Nothing is on its way."""
        self._clock = clock
        self._last = 0
        self._under_way = 0
        self._held: deque[Parcel] = deque()
        self.effects: list[Effect] = []

    def carry(self, parcel: Parcel) -> None:
        """Take a parcel along."""
        for effect in self.effects:
            effect.treat(parcel, self._clock.now)
            if parcel.lost:
                return
        if parcel.held or self._held:
            self._held.append(parcel)
        else:
            self._pass(parcel)

    def release(self) -> None:
        """Nothing holds parcels back any more: they go on in their order."""
        while self._held:
            self._pass(self._held.popleft())

    def empty(self) -> bool:
        """Whether nothing is on its way here."""
        return not self._held and not self._under_way

    def holds(self) -> bool:
        """Whether what comes will be held back."""
        return any(isinstance(each, Holding) for each in self.effects)

    def _pass(self, parcel: Parcel) -> None:
        now = self._clock.now
        if not parcel.delay and not self._under_way:
            self._arrive(parcel, counted=False)
            return
        self._last = max(self._last, now + parcel.delay)
        self._under_way += 1
        self._clock.at(self._last, self._arrive, parcel)

    def _arrive(self, parcel: Parcel, *, counted: bool = True) -> None:
        if counted:
            self._under_way -= 1
        parcel.go()


class Holding:
    """Base of faults that hold packets back until they end."""

    bars = True
    """Whether no connection can be made meanwhile."""


class Lanes:
    """Both directions of one link, and what is wrong with either."""

    def __init__(self, clock: Clock) -> None:
        """Nothing is wrong, nothing is on its way."""
        self.up, self.down = Lane(clock), Lane(clock)

    def of(self, way: Way) -> list[Lane]:
        """The lanes that go that way."""
        return [self.up, self.down] if way == "both" else [self.up if way == "up" else self.down]

    def add(self, effect: Effect) -> None:
        """Something is wrong from now on."""
        for lane in self.of(effect.way):
            lane.effects.append(effect)

    def remove(self, effect: Effect) -> None:
        """It is right again: what it held goes on, unless another fault holds it too."""
        for lane in self.of(effect.way):
            lane.effects.remove(effect)
            if not lane.holds():
                lane.release()
        effect.ended()

    def effects(self) -> list[Effect]:
        """What is wrong, once for each lane."""
        return [*self.up.effects, *self.down.effects]

    def empty(self) -> bool:
        """Whether nothing is on its way."""
        return self.up.empty() and self.down.empty()

    def holds(self) -> bool:
        """Whether what comes will be held back."""
        return self.up.holds() or self.down.holds()
