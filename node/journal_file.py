"""A node's journal on disk: one JSON line for each fact, written before the next command is performed."""

from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import msgspec
import structlog

from ucmlab.node.clock import machine_ns
from ucmlab.node.commands import Record
from ucmlab.node.instant import Instant, rfc3339

ORDER = "machine_us"
"""The field that orders lines of different nodes: one clock for all processes of a machine, and a cause takes longer
than a microsecond to have an effect elsewhere. Readers take it away."""


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
