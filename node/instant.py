"""Time as a value: what the core is told, and how people write it.

`lab` never goes back and drives timers and deadlines. `wall` is this node's clock, possibly skewed; it drives
certificate validity and the dates in certificates and logs. Both are integer microseconds: sums of floats differ
between Python versions, and the simulation promises the same journal byte for byte.
"""

import re
from datetime import UTC, datetime, timedelta

import msgspec

MICROSECOND = 1
MILLISECOND = 1_000
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_UNITS = {"us": MICROSECOND, "ms": MILLISECOND, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_PART = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h|d)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Instant(msgspec.Struct, frozen=True, gc=False):
    """Now, as one node sees it. `lab`: microseconds since the lab was made. `wall`: microseconds since 1970, UTC."""

    lab: int
    wall: int


def duration(text: str) -> int:
    """Read `90s`, `31m`, `1h30m`, `2d` as microseconds.

    Raises:
        ValueError: the text is no duration.
    """
    stripped = text.strip().lstrip("+")
    parts = _PART.findall(stripped)
    if not parts or "".join(number + unit for number, unit in parts) != stripped:
        raise ValueError(f"{text!r} is no duration; write it like 90s, 31m, 1h30m or 2d")
    return sum(round(float(number) * _UNITS[unit]) for number, unit in parts)


def rfc3339(wall: int) -> str:
    """Write a wall instant as RFC 3339 UTC, with as many fraction digits as it needs (none or six)."""
    moment = _EPOCH + timedelta(microseconds=wall)
    return moment.isoformat(timespec="microseconds" if wall % SECOND else "seconds").replace("+00:00", "Z")


def from_rfc3339(text: str) -> int:
    """Read an RFC 3339 instant as wall microseconds.

    Raises:
        ValueError: the text is no instant or names no zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone; write it like 2026-01-05T08:00:00Z")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_datetime(moment: datetime) -> int:
    """An aware datetime as wall microseconds."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def to_datetime(wall: int) -> datetime:
    """A wall instant as an aware datetime."""
    return _EPOCH + timedelta(microseconds=wall)
