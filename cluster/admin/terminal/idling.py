"""How long a session may be idle (W3.1): kept at the node, for the sessions that begin after it was set.

Not in the product's database: no node learns it from another. An upgrade keeps it, as the guide says.
"""

from pathlib import Path

from ucmlab.node.privatefile import read_private, write_private

IDLE_MINUTES = 30
LEAST_MINUTES, MOST_MINUTES = 5, 99_999
FILE = Path("private", "cli_session_timeout")
"""In the node's home."""


def minutes_of(text: str) -> int | None:
    """A number of minutes that may be set; None: it is none."""
    digits = text.isascii() and text.isdigit() and len(text) <= len(str(MOST_MINUTES))
    return int(text) if digits and LEAST_MINUTES <= int(text) <= MOST_MINUTES else None


def idle_minutes(home: Path) -> int:
    """What holds at a node: what was set, or the product's 30."""
    try:
        kept = minutes_of(read_private(home / FILE).decode(errors="replace").strip())
    except OSError:
        kept = None
    return IDLE_MINUTES if kept is None else kept


def keep_idle_minutes(home: Path, minutes: int) -> None:
    """Have it hold from now on, whatever becomes of the node.

    Raises:
        OSError: it cannot be written.
    """
    write_private(home / FILE, f"{minutes}\n".encode())
