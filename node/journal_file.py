"""A node's journal on disk: one JSON line for each fact, written before the next command is performed."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ucmlab.node.clock import machine_ns
from ucmlab.node.commands import Record
from ucmlab.node.instant import Instant, rfc3339


@contextmanager
def _without(module: str) -> Generator[None]:
    """Import something as if `module` were not installed, unless it is there already."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]  # as the import system documents it
    try:
        yield
    finally:
        del sys.modules[module]


# structlog takes rich along for tracebacks on a console: four fifths of its import, 80 ms for nothing in each process.
with _without("rich"):
    import structlog

_encode = msgspec.json.Encoder().encode


class JournalFile:
    """Appends to `<lab>/logs/<node>.jsonl`."""

    def __init__(self, path: Path, node: str) -> None:
        """Open it; the folder must be there."""
        self._file = path.open("ab")
        self._node = node
        # The logger itself, no wrapper with processors around it: there is one kind of line, and a node that applies an
        # entry writes two of them before its file counts as there.
        self._log = structlog.BytesLogger(self._file)

    def write(self, record: Record, now: Instant) -> None:
        """Append one fact. After a kill the line is there: it is in the system's hands when this returns."""
        line = {
            "id": record.id,
            "at": rfc3339(now.wall),
            "node": self._node,
            "event": record.name,
            "cause": record.cause,
            "operation_id": record.op_id,
            "lab_us": now.lab,
            "machine_us": machine_ns() // 1000,
            **record.fields,
        }
        self._log.msg(_encode(line))

    def close(self) -> None:
        """Close the file."""
        self._file.close()
