"""Files that are whole or absent: atomic replacement, appending with a check, and what survives a power cut.

What must live here: how bytes get on the disk. What this file must not know: what the bytes mean.

A kill keeps every completed system call, so a rename is enough against it; a power cut keeps only what was synced, so
whoever promises `durable` syncs the file *and* the folder that names it (a rename is an entry of the folder).
"""

import os
import struct
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ucmlab.node.privatefile import TEMPORARY

PRIVATE = 0o600
PUBLIC = 0o644

_FRAME = struct.Struct("<II")
_LARGEST_RECORD = 1 << 26
"""64 MiB: a snapshot of the largest cluster is a tenth of it; a longer length field is garbage, not a record."""


def replace_file(path: Path, content: bytes, *, mode: int = PRIVATE, durable: bool = False) -> None:
    """Put `content` in the place of `path`: readers see the old file or the new one, never part of one.

    Args:
        path: the file; its folder must be there.
        content: all of it.
        mode: the permissions from the first byte on, so that a private key is never readable for an instant.
        durable: whether it survives a power cut when this returns.

    Raises:
        OSError: disk full, no permission, name too long. The old file is then still in place.
    """
    # Not the file's name with something added: a certificate's name may already be as long as names can be.
    # And strings, not paths: a node's start writes a hundred files, and pathlib costs as much as the system does.
    target = os.fspath(path)
    folder, name = os.path.split(target)
    temporary = f"{folder or '.'}/{TEMPORARY}{zlib.crc32(name.encode()):08x}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        try:
            os.fchmod(descriptor, mode)  # the umask, or a leftover of a killed process, may have said otherwise
            write_all(descriptor, content)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, target)  # noqa: PTH104  as above
    except OSError:
        with suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108  as above
        raise
    if durable:
        sync_path(path.parent)


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of `content`; the system may take it in parts."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_path(path: Path) -> bool:
    """Make a file's content, or a folder's names, survive a power cut; False when it is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return True


def remove_file(path: Path | str) -> bool:
    """Remove a file; False when it was not there."""
    try:
        os.unlink(path)  # noqa: PTH108  a string will do, as above
    except FileNotFoundError:
        return False
    return True


def remove_temporaries(folder: Path) -> None:
    """Remove what a killed process was writing. A folder that is not there has none."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        leftovers = [entry.path for entry in entries if entry.name.startswith(TEMPORARY)]
        for path in leftovers:
            remove_file(Path(path))


def make_folder(path: Path, *, mode: int = 0o755) -> None:
    """Make a folder and its parents, each synced into the folder above it. One that is there is left as it is."""
    if path.is_dir():
        return
    make_folder(path.parent, mode=mode)
    path.mkdir(mode=mode, exist_ok=True)
    sync_path(path.parent)


class RecordFile:
    """An append-only file of records, each framed by its length and a checksum; a torn tail is cut when it is opened.

    The file stays open; one process writes it. Not for secrets' sake but for order's: it is made 0600.
    """

    def __init__(self, path: Path) -> None:
        """Name the file; nothing is touched before `open`."""
        self._path = path
        self._descriptor = -1
        self._size = 0

    def open(self) -> tuple[list[bytes], int]:
        """Open or make the file, and cut off the tail that a kill or power cut tore.

        Returns:
            The records, oldest first, and how many bytes had to be cut.

        Raises:
            OSError: the file cannot be read or written.
        """
        self.close()
        made = not self._path.exists()
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, PRIVATE)
        if made:
            sync_path(self._path.parent)
        content = self._path.read_bytes()
        records, self._size = unframe(content)
        torn = len(content) - self._size
        if torn:
            self._cut_back()
        return records, torn

    def append(self, *records: bytes) -> None:
        """Append records, with one write and one sync: durable. A kill in between leaves the first few of them.

        Raises:
            OSError: they could not be written; the file is as it was before.
        """
        framed = b"".join(map(frame, records))
        try:
            write_all(self._descriptor, framed)
            os.fdatasync(self._descriptor)
        except OSError:
            with suppress(OSError):  # the first error is the one to report; a torn tail is cut at the next start
                self._cut_back()
            raise
        self._size += len(framed)

    def rewrite(self, records: Sequence[bytes]) -> None:
        """Replace all records, atomically: durable.

        Raises:
            OSError: it could not be written; the file is as it was before, or replaced and perhaps not durable.
        """
        try:
            replace_file(self._path, b"".join(map(frame, records)), durable=True)
        finally:
            # Even after a failure: if it came after the rename, appending to the file that is open would be lost.
            self.close()
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
            self._size = os.fstat(self._descriptor).st_size

    def close(self) -> None:
        """Let go of the file; closed twice is closed."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _cut_back(self) -> None:
        os.ftruncate(self._descriptor, self._size)
        os.fsync(self._descriptor)


def frame(record: bytes) -> bytes:
    """A record as it lies in the file: length, CRC-32 over length and record (little-endian), record."""
    length = len(record).to_bytes(4, "little")
    return _FRAME.pack(len(record), zlib.crc32(record, zlib.crc32(length))) + record


def unframe(content: bytes) -> tuple[list[bytes], int]:
    """Read records up to the first that is not whole; return them and the number of bytes that they take."""
    records: list[bytes] = []
    end = 0
    while end + _FRAME.size <= len(content):
        length, checksum = _FRAME.unpack_from(content, end)
        record = content[end + _FRAME.size : end + _FRAME.size + length]
        # A file that was extended but not written is zeros: length 0 with checksum 0 must not read as a record, so
        # the length is part of what the checksum covers.
        if length > _LARGEST_RECORD or zlib.crc32(record, zlib.crc32(content[end : end + 4])) != checksum:
            break
        if len(record) != length:
            break
        records.append(record)
        end += _FRAME.size + length
    return records, end
