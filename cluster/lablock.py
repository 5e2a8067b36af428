"""Who runs a lab: one supervisor at a time, found by a lock that ends with its holder, and a note where to reach it."""

import fcntl
import os
from pathlib import Path

import msgspec

from ucmlab.broker.codec import UNREADABLE
from ucmlab.cluster.errors import Unusable
from ucmlab.node.privatefile import write_private


class Pointer(msgspec.Struct, frozen=True):
    """`control.json` in a lab's home: where its supervisor listens. One that died leaves it behind, of no use."""

    socket: str
    pid: int


class LabLock:
    """Held as long as the process (or one it forked) lives, unless released."""

    def __init__(self, home: Path) -> None:
        """Take it.

        Raises:
            Unusable: somebody else has it: the lab runs.
        """
        self._home = home
        self._lock = os.open(lock_path(home), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise Unusable(f"the lab in {home} runs already; end it with `ucmlab down`") from None

    def point(self, socket: Path) -> None:
        """Tell where the lab is reached."""
        write_private(self._home / "control.json", msgspec.json.encode(Pointer(str(socket), os.getpid())))

    def release(self) -> None:
        """Let others have it."""
        (self._home / "control.json").unlink(missing_ok=True)
        os.close(self._lock)


def lock_path(home: Path) -> Path:
    """The file that is locked while a lab runs. It stays: removing it would let two hold it."""
    return home / "lab.lock"


def read_pointer(home: Path) -> Pointer | None:
    """Where the supervisor of the lab listens, or did."""
    try:
        return msgspec.json.decode((home / "control.json").read_bytes(), type=Pointer)
    except (OSError, *UNREADABLE):
        return None
