"""The choice tape: what a run drew at random, as data, so that the run can be played again and its choices simplified.

A seed names its choices only as long as nobody changes what is drawn when. A tape names them for good: one number a
draw, in order, for each stream of the world. A draw past the end of a tape is 0, which is the simplest choice there is
(the least latency, the first of several), so the empty tape is the simplest of all.
"""

from collections.abc import Callable
from random import Random

import msgspec

Streams = Callable[[str], Random]
"""Makes a world's random stream of its name, as in `schedule 17`."""
MANTISSA = 53
"""Bits of what `random()` draws; a tape holds them as a whole number."""


class Tape(msgspec.Struct, frozen=True):
    """The draws of the two streams of a world."""

    schedule: tuple[int, ...] = ()
    faults: tuple[int, ...] = ()

    @property
    def choices(self) -> int:
        """How many draws are not the simplest."""
        return sum(1 for draw in (*self.schedule, *self.faults) if draw)


class RecordingRandom(Random):
    """Draws as `Random` does from the same seed, and writes it down."""

    def __init__(self, name: str) -> None:
        """As `Random(name)`; nothing is drawn yet."""
        self.drawn: list[int] = []
        super().__init__(name)

    def random(self) -> float:
        """From 0 up to 1."""
        drawn = super().random()
        self.drawn.append(int(drawn * (1 << MANTISSA)))
        return drawn

    def getrandbits(self, k: int, /) -> int:
        """So many bits; whatever draws among whole numbers or items draws these."""
        drawn = super().getrandbits(k)
        self.drawn.append(drawn)
        return drawn


class PlayedRandom(RecordingRandom):
    """Draws what a tape says."""

    def __init__(self, tape: tuple[int, ...]) -> None:
        """At its beginning."""
        super().__init__("")
        self._tape = iter(tape)

    def random(self) -> float:
        """From 0 up to 1."""
        self.drawn.append(next(self._tape, 0))
        return (self.drawn[-1] % (1 << MANTISSA)) / (1 << MANTISSA)

    def getrandbits(self, k: int, /) -> int:
        """So many bits."""
        self.drawn.append(next(self._tape, 0))
        return self.drawn[-1] & ((1 << k) - 1)


class Deck:
    """The streams of one run: of its seed, or of a tape; either way they are recorded."""

    def __init__(self, tape: Tape | None = None) -> None:
        """None: what the seed draws."""
        self._tape = tape
        self._streams: dict[str, RecordingRandom] = {}

    def stream(self, name: str) -> Random:
        """See `Streams`."""
        kind = name.partition(" ")[0]
        made = RecordingRandom(name) if self._tape is None else PlayedRandom(getattr(self._tape, kind))
        self._streams[kind] = made
        return made

    def drawn(self) -> Tape:
        """What was drawn so far; simplest draws at the end are left out, as they need no tape."""
        return Tape(**{kind: _without_zeros(stream.drawn) for kind, stream in self._streams.items()})


def _without_zeros(drawn: list[int]) -> tuple[int, ...]:
    end = len(drawn)
    while end and not drawn[end - 1]:
        end -= 1
    return tuple(drawn[:end])
