"""The little of a node's disk that an outline of the lab needs, read from outside as `homeview` reads all of it.

A lab of 200 nodes has more than a hundred thousand certificate files. What asks for the time, for who is there or for
how far the replicas are reads none of them.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from ucmlab.broker.messages import RowKey, Setting
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.state import keys_digest
from ucmlab.node.disk import read_state
from ucmlab.node.layout import HomeLayout
from ucmlab.node.replica_db import open_for_reading, read_extent
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.settings import settings_digest, settings_of


class HomeOutline(msgspec.Struct, frozen=True):
    """How far the replica is, and which services start at boot."""

    epoch: int
    seq: int
    digest: str
    settings_digest: str
    enabled: dict[str, bool]
    """Services whose start at boot was changed by an operator."""


def read_outline(home: Path, rulebook: RuleBook) -> HomeOutline:
    """Read it; what is not there, or cannot be read, counts as empty, as in `homeview.read_home`."""
    layout = HomeLayout(home.absolute(), rulebook)
    epoch, seq, keys, settings = _extent(layout.replica)
    return HomeOutline(epoch, seq, keys_digest(keys), settings_digest(settings_of(settings)), _enabled(layout.state))


def read_settings(home: Path, rulebook: RuleBook) -> tuple[Setting, ...]:
    """What is set in the replica of a node, which may run.

    Raises:
        Unusable: its database cannot be read.
    """
    path = HomeLayout(home.absolute(), rulebook).replica
    if not path.exists():
        return ()
    try:
        with closing(open_for_reading(path)) as connection:
            return read_extent(connection)[3]
    except sqlite3.Error as error:
        raise Unusable(f"the database of this node cannot be read: {path}: {error}") from error


def _extent(path: Path) -> tuple[int, int, list[RowKey], tuple[Setting, ...]]:
    try:
        with closing(open_for_reading(path)) as connection:
            return read_extent(connection)
    except sqlite3.Error:
        return 0, 0, [], ()


def _enabled(path: Path) -> dict[str, bool]:
    try:
        return read_state(path).enabled
    except OSError:
        return {}
