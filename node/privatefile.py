"""Files that hold secrets: readable by their owner alone, replaced whole or not at all."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

TEMPORARY = ".tmp-"
"""Beginning of the name of a file that was not put in place yet; a crash may leave one."""


def private_folder(folder: Path) -> Path:
    """Make the folder, or check that it is ours alone.

    Raises:
        PermissionError: it is a link, another user's, or others may enter it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check(folder, folder.lstat(), kind=stat.S_ISDIR)
    return folder


def write_private(path: Path, content: bytes) -> None:
    """Put a file in place with mode 0600, durably: after this call it survives a power cut.

    Raises:
        PermissionError: its folder is not ours alone.
        OSError: it cannot be written; what was there before is unchanged.
    """
    private_folder(path.parent)
    temporary = path.parent / f"{TEMPORARY}{path.name}"
    temporary.unlink(missing_ok=True)
    # O_EXCL and O_NOFOLLOW: whatever appears under that name meanwhile was not made here.
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def read_private(path: Path) -> bytes:
    """Read a file that `write_private` wrote.

    Raises:
        FileNotFoundError: there is none.
        PermissionError: it is not ours alone, so what it holds is not to be trusted.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        _check(path, os.fstat(file.fileno()), kind=stat.S_ISREG)
        return file.read()


def sync_folder(folder: Path) -> None:
    """Make renames and removals in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check(path: Path, status: os.stat_result, *, kind: Callable[[int], bool]) -> None:
    if not kind(status.st_mode):
        raise PermissionError(f"{path} is a link or of another kind; it must be made by ucmlab")
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise PermissionError(f"{path} must belong to you alone (owner you, no access for others); it does not")
