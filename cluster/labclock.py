"""The lab's clock between runs: where lab time stood, so that a lab that is started again goes on and never back."""

from pathlib import Path

import msgspec

from ucmlab.node.clock import ClockSetting, machine_ns, machine_wall
from ucmlab.node.privatefile import write_private


class SavedClock(msgspec.Struct, frozen=True):
    """What was true at the last change of the clock."""

    lab: int
    machine_wall: int
    """The machine's wall clock then, microseconds since 1970."""
    speed: float
    stepped: bool


class ClockFile:
    """`clock.json` in a lab's home."""

    def __init__(self, home: Path) -> None:
        """Name it."""
        self._path = home / "clock.json"

    @property
    def exists(self) -> bool:
        """Whether the lab's time has begun."""
        return self._path.exists()

    def resume(self, *, wall_zero: int, speed: float, stepped: bool) -> ClockSetting:
        """How the clock of a lab that is started now runs.

        While a lab that flows is down its time flows on, as that of servers that are switched off; a kill of the lab
        therefore loses nothing, however long ago the file was written.
        """
        lab = 0
        if self._path.exists():
            saved = msgspec.json.decode(self._path.read_bytes(), type=SavedClock)
            away = max(0, machine_wall() - saved.machine_wall)
            lab = saved.lab + (0 if saved.stepped else int(away * saved.speed))
        return ClockSetting(stepped=stepped, lab=lab, machine=machine_ns(), speed=speed, wall_zero=wall_zero)

    def begin(self, machine_wall: int) -> None:
        """A lab that was made now, and whose wall clock is the machine's: its time flows from that instant.

        Not from its first start, which is a second later: a certificate that somebody made in between would count as
        not yet valid.
        """
        write_private(self._path, msgspec.json.encode(SavedClock(0, machine_wall, 1.0, stepped=False)))

    def save(self, setting: ClockSetting, lab: int) -> None:
        """Remember that it is `lab` now, and how time runs."""
        saved = SavedClock(lab, machine_wall(), setting.speed, setting.stepped)
        write_private(self._path, msgspec.json.encode(saved))
