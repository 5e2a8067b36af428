"""What the lab's mail server and its syslog collector have received, in both modes, and what they take."""

import re
from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

import msgspec

from ucmlab.node.instant import from_rfc3339, rfc3339
from ucmlab.node.syslog import SyslogMessage

MAIL = "mail"
SYSLOG = "syslog"
PLACES = (MAIL, SYSLOG)
DOMAIN = ".outside"
"""What nodes call a place: its name and this, which no DNS knows."""
_ADDRESS = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")


class Mail(msgspec.Struct, frozen=True):
    """One mail. `at` is the lab's clock, unskewed, when it came; RFC 3339."""

    at: str
    node: str
    """Whose it is, by its own word: the first label of what it said in EHLO."""
    sender: str
    recipients: tuple[str, ...]
    """Those that were taken."""
    subject: str
    text: str
    written: str
    """Its date, by the node's clock; RFC 3339, in whole seconds as mail has it."""


class Logged(msgspec.Struct, frozen=True):
    """One syslog message. `at` is the lab's clock, unskewed, when it came; RFC 3339."""

    at: str
    node: str
    protocol: str
    """`udp` or `tcp`."""
    severity: int
    application: str
    message_id: str
    text: str
    written: str
    """Its timestamp, by the node's clock; RFC 3339."""


def logged(message: SyslogMessage, *, at: str, node: str, protocol: str) -> Logged:
    """A message as the collector keeps it; `at` is the lab's clock, RFC 3339."""
    return Logged(
        at=at,
        node=node,
        protocol=protocol,
        severity=message.severity,
        application=message.application,
        message_id=message.message_id,
        text=message.text,
        written=rfc3339(message.wall),
    )


Item = TypeVar("Item")
Received = TypeVar("Received", Mail, Logged)


class Kept(Generic[Item]):
    """The newest of what came, numbered from 1."""

    def __init__(self, limit: int) -> None:
        """Nothing came yet; at most `limit` are kept."""
        self._items: deque[Item] = deque(maxlen=limit)
        self.count = 0
        """How many came."""

    def put(self, item: Item) -> None:
        """Keep one."""
        self._items.append(item)
        self.count += 1

    def after(self, number: int = 0) -> list[Item]:
        """Those that came after the one of that number, as far as they are kept."""
        wanted = self.count - number
        return list(self._items)[-wanted:] if wanted > 0 else []


def in_order(items: Iterable[Received]) -> list[Received]:
    """As stories see them: by the lab's clock, then by node. Of one instant, chance says which node came first."""
    return sorted(items, key=lambda each: (from_rfc3339(each.at), each.node))


def is_address(text: str) -> bool:
    """Whether the mail server takes mail for it: one address, not several with commas between (R-180)."""
    return _ADDRESS.fullmatch(text) is not None


def node_of(host: str) -> str:
    """The node that calls itself so: names of nodes have no dots."""
    return host.partition(".")[0]
