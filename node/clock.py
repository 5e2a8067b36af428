"""Lab time in a real process: flowing with the machine, or standing still until told.

What must live here: the one place of a node that reads the machine's clock. `CLOCK_MONOTONIC` is the same for all
processes of a machine, so nodes that were told the same setting agree on the lab's time without another word.
"""

import time

import msgspec

from ucmlab.node.instant import SECOND, Instant


class ClockSetting(msgspec.Struct, frozen=True):
    """How lab time runs, as the lab tells each of its processes."""

    stepped: bool
    """Lab time stands at `lab` until it is told to move; else it flows."""
    lab: int
    """Lab instant at `machine`."""
    machine: int
    """Nanoseconds of CLOCK_MONOTONIC at which lab time was `lab`."""
    speed: float
    """Lab seconds in a machine second."""
    wall_zero: int
    """The lab's wall clock at lab instant 0."""
    offset: int = 0
    """How far this node's wall clock is off, microseconds."""


class LabClock:
    """One process's view of the lab's time. It never goes back, whatever it is told."""

    def __init__(self, setting: ClockSetting) -> None:
        """Run as `setting` says."""
        self._setting = setting
        self._latest = setting.lab

    @property
    def stepped(self) -> bool:
        """Whether time stands still by itself."""
        return self._setting.stepped

    @property
    def setting(self) -> ClockSetting:
        """How it runs."""
        return self._setting

    def set(self, setting: ClockSetting) -> None:
        """Run differently from now on."""
        self._setting = setting
        if setting.stepped:
            self._latest = max(self._latest, setting.lab)

    def advance(self, lab: int) -> None:
        """Stepped: it is `lab` now."""
        self._latest = max(self._latest, lab)

    def lab(self) -> int:
        """Lab microseconds now."""
        if not self._setting.stepped:
            setting = self._setting
            flown = int((machine_ns() - setting.machine) * setting.speed) // 1000
            self._latest = max(self._latest, setting.lab + flown)
        return self._latest

    def now(self) -> Instant:
        """This node's now: the lab's time, and its own wall clock."""
        lab = self.lab()
        return Instant(lab, self._setting.wall_zero + lab + self._setting.offset)

    def machine_seconds(self, lab: int) -> float:
        """Flowing: how long until the lab instant, in machine seconds; not below 0."""
        return max(0.0, (lab - self.lab()) / (self._setting.speed * SECOND))


def machine_ns() -> int:
    """CLOCK_MONOTONIC in nanoseconds."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def machine_wall() -> int:
    """The machine's wall clock, microseconds since 1970. Labs begin with it; nothing measures with it."""
    return time.time_ns() // 1000
