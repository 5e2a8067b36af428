"""Faults that lie in wait among a node's commands: deaths at a point, and disks that do not take what is written.

Pure, and the same in the simulation and in a real node's shell: both ask `before` and `after` each command that they
perform, for as long as any hazard stands.
"""

import errno
import os
from collections.abc import Callable

from ucmlab.cluster.faults.failpoints import POINTS, Failpoint, Point
from ucmlab.cluster.faults.ledger import Injected
from ucmlab.node import commands as c

Sprung = Callable[[], None]
"""Hears that a hazard took effect."""

WRITES: tuple[type[c.Command], ...] = (
    c.WriteFile,
    c.ApplyEntry,
    c.InstallSnapshot,
    c.AppendLog,
    c.RecordAnswer,
    c.BeginEpoch,
    c.RecordOrder,
    c.SetEnabled,
    c.SetInstalled,
    c.SetFips,
    c.SetRelease,
    c.MakeIdentity,
    c.InstallIdentity,
    c.ReuseIdentity,
    c.MakeCsr,
    c.OpenShared,
    c.MakeAuthz,
    c.OpenKeys,
)
"""What needs room on the disk."""


class Trap:
    """The process dies at a point, once."""

    def __init__(self, point: Point, sprung: Sprung) -> None:
        """It has yet to come there."""
        self._point = Failpoint(point)
        self._sprung = sprung
        self._over = False

    def before(self, command: c.AnyCommand) -> bool:
        """Whether it dies first."""
        return self._dies(self._point.before(type(command).__name__))

    def after(self, command: c.AnyCommand) -> bool:
        """Whether it dies now."""
        return self._dies(self._point.after(type(command).__name__))

    def _dies(self, there: bool) -> bool:  # noqa: FBT001  # the point's own answer
        if not there or self._over:
            return False
        self._over = True
        self._sprung()
        return True


class Tear:
    """The process dies after so many more commands: in the middle of a list, or between two."""

    def __init__(self, left: int, sprung: Sprung) -> None:
        """Nothing was performed yet."""
        self._left = left
        self._sprung = sprung

    def before(self, command: c.AnyCommand) -> bool:  # noqa: ARG002  # whatever it is
        """Whether the last was the last."""
        self._left -= 1
        if self._left != -1:
            return False
        self._sprung()
        return True

    def after(self, command: c.AnyCommand) -> bool:  # noqa: ARG002  # the next one tells
        """Nobody dies between two lists."""
        return False


class BadDisk:
    """Some commands fail, of one unit or of all."""

    def __init__(
        self, commands: tuple[type[c.Command], ...], number: int, sprung: Sprung, unit: str | None = None
    ) -> None:
        """`number` is the error's, as in errno.h."""
        self._commands = commands
        self._number = number
        self._sprung = sprung
        self._unit = unit

    def before(self, command: c.AnyCommand) -> bool:
        """Fail what the disk does not take.

        Raises:
            OSError: that is this disk's fault.
        """
        if isinstance(command, self._commands) and self._unit in (None, getattr(command, "unit", None)):
            self._sprung()
            raise OSError(self._number, os.strerror(self._number))
        return False

    def after(self, command: c.AnyCommand) -> bool:  # noqa: ARG002  # what was performed is none of this fault's
        """Nobody dies of what worked."""
        return False


Hazard = Trap | Tear | BadDisk


def hazard_of(injected: Injected, sprung: Sprung) -> Hazard:
    """The hazard that a row is; `HAZARDS` names the rows that are one."""
    return HAZARDS[injected.row.name](injected, sprung)


HAZARDS: dict[str, Callable[[Injected, Sprung], Hazard]] = {
    "kill": lambda injected, sprung: Trap(Point((injected.text("at"),)), sprung),
    "failpoint": lambda injected, sprung: Trap(POINTS[injected.text("at")], sprung),
    "torn": lambda injected, sprung: Tear(injected.number("after"), sprung),
    "disk-full": lambda _injected, sprung: BadDisk(WRITES, errno.ENOSPC, sprung),
    "permission-denied": lambda injected, sprung: BadDisk(
        (c.WriteFile, c.RemoveFile, c.SettleFile), errno.EACCES, sprung, injected.text("unit")
    ),
}
