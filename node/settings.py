"""What was set in the cluster, as a part of the replicated database: values by place and name.

Changed by whole log entries and snapshots only, like rows; of two entries about one parameter the later one holds.
"""

import hashlib
from collections.abc import Iterable, Mapping

from ucmlab.broker.messages import Setting

Settings = Mapping[tuple[str, str], str]
"""By place (`cluster`, `cucm`, `imp`, or a node's name) and parameter: what was set; never changed, but replaced."""
NOTHING_SET: Settings = {}


def settings_of(settings: Iterable[Setting]) -> Settings:
    """As one finds them again."""
    return {(each.place, each.name): each.value for each in settings}


def after(settings: Settings, changes: Iterable[Setting]) -> Settings:
    """What is set when these have been set too."""
    return {**settings, **settings_of(changes)}


def in_order(settings: Settings) -> tuple[Setting, ...]:
    """As they are kept and sent: by place and name."""
    return tuple(Setting(place, name, value) for (place, name), value in sorted(settings.items()))


def settings_digest(settings: Settings) -> str:
    """What two nodes compare: SHA-256 over the lines `place TAB name TAB value LF` in order; empty, of nothing set."""
    if not settings:
        return ""
    lines = (f"{each.place}\t{each.name}\t{each.value}\n" for each in in_order(settings))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
