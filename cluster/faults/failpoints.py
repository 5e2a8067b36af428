"""Failpoints: named places in what a process does, at which it dies. Data, and one small machine that both shells use.

A core is pure, so the places where its process may die are those between its commands: after one was performed, or
before the next. A point is a sequence of commands, one after the other, and whether the last is still performed.
"""

from typing import NamedTuple


class Point(NamedTuple):
    """A place. `commands` come in this order, others may come between; `before` spares the last."""

    commands: tuple[str, ...]
    before: bool = False


POINTS = {
    "before_append": Point(("AppendLog",), before=True),
    "after_append": Point(("AppendLog",)),
    "before_publish": Point(("AppendLog", "Publish"), before=True),
    "after_publish": Point(("AppendLog", "Publish")),
    "before_apply": Point(("ApplyEntry",), before=True),
    "after_apply": Point(("ApplyEntry",)),
    "before_write": Point(("WriteFile",), before=True),
    "after_write": Point(("WriteFile",)),
    "before_sync": Point(("SyncDisk",), before=True),
    "after_sync": Point(("SyncDisk",)),
    "before_snapshot": Point(("InstallSnapshot",), before=True),
    "after_snapshot": Point(("InstallSnapshot",)),
    "after_refusal": Point(("RecordAnswer",)),
    "before_epoch": Point(("BeginEpoch",), before=True),
    "after_epoch": Point(("BeginEpoch",)),
    "after_order": Point(("RecordOrder",)),
}


class Failpoint:
    """Watches one process until it comes to a point."""

    def __init__(self, point: Point) -> None:
        """Nothing was performed yet."""
        self._left = list(point.commands)
        self._before = point.before

    def before(self, command: str) -> bool:
        """Whether the process dies before it performs this command."""
        return self._before and self._left == [command]

    def after(self, command: str) -> bool:
        """Whether it dies now that it has performed it."""
        if self._left and self._left[0] == command:
            del self._left[0]
            return not self._left
        return False
