"""A node's journal on disk: one JSON line for each fact, written before the next command is performed."""

import sys
from collections.abc import Generator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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


class JournalFile:
    """Appends to `<lab>/logs/<node>.jsonl`."""

    def __init__(self, path: Path, node: str) -> None:
        """Open it; the folder must be there."""
        self._file = path.open("ab")
        self._log = structlog.wrap_logger(
            structlog.BytesLogger(self._file), processors=[_event_in_third_place, _as_line], node=node
        )

    def write(self, record: Record, now: Instant) -> None:
        """Append one fact. After a kill the line is there: it is in the system's hands when this returns."""
        self._log.info(
            record.name,
            id=record.id,
            at=rfc3339(now.wall),
            cause=record.cause,
            operation_id=record.op_id,
            lab_us=now.lab,
            machine_us=machine_ns() // 1000,
            **record.fields,
        )

    def close(self) -> None:
        """Close the file."""
        self._file.close()


# structlog's processors pass a mapping of anything; that is its signature, not ours.
def _event_in_third_place(_log: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    first = {key: event[key] for key in ("id", "at", "node", "event")}
    return {**first, **event}


def _as_line(_log: object, _name: str, event: MutableMapping[str, Any]) -> bytes:
    return msgspec.json.encode(event)
