"""Copies of nodes' folders, for faults that bring an old state back: cheap enough to be made at every start.

    backups/NODE/NAME/…     a node's home as it was (0700; what is private stays 0600)

What a node replaces as a whole (certificates, keys, state) is linked, not copied: replacing leaves the other name with
the old content. What grows in place is copied: the database by SQLite itself, so that a node may go on meanwhile, and
before the log, which is written first, so that the copy is one that a kill might have left.
"""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from ucmlab.node.disk import NodeState, read_state
from ucmlab.node.durable import replace_file
from ucmlab.node.layout import HomeLayout
from ucmlab.node.replica_db import open_for_reading

INSTALLATION, LAST_START = "installation", "last-start"


class Backups:
    """The copies of one node."""

    def __init__(self, folder: Path, layout: HomeLayout) -> None:
        """`folder` is where they are kept; it need not be there."""
        self._folder = folder
        self._layout = layout

    def place(self, name: str) -> Path:
        """Where a copy is."""
        return self._folder / name

    def has(self, name: str) -> bool:
        """Whether there is one of that name."""
        return (self._folder / name).is_dir()

    def take(self, name: str) -> None:
        """Copy the node's home as it is now; the former copy of that name goes.

        Raises:
            OSError: the disk did not take it.
        """
        target = self._folder / name
        shutil.rmtree(target, ignore_errors=True)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _copy(self._layout.home, target)

    def restore(self, name: str) -> None:
        """Put the node's home, whose process must be gone, back to a copy.

        The boots go on counting: the number tells this node's lives apart, and no backup takes it back.

        Raises:
            OSError: the disk did not take it.
        """
        home, boot = self._layout.home, read_state(self._layout.state).boot
        shutil.rmtree(home)
        _copy(self._folder / name, home)
        set_boot(self._layout, boot)


def set_boot(layout: HomeLayout, boot: int) -> None:
    """Have a node that is down know that it was started so often, at least."""
    state = read_state(layout.state)
    _write_state(layout, msgspec.structs.replace(state, boot=max(state.boot, boot)))


def empty(layout: HomeLayout) -> None:
    """Take a node's database, log and trust files away; its identity, its keys and its place in the lab stay."""
    state = read_state(layout.state)
    for folder in (layout.replica.parent, layout.log, *layout.trust_folders.values()):
        shutil.rmtree(folder, ignore_errors=True)
    layout.orders.unlink(missing_ok=True)
    _write_state(layout, msgspec.structs.replace(state, enabled={}))


def _write_state(layout: HomeLayout, state: NodeState) -> None:
    layout.state.parent.mkdir(mode=0o700, exist_ok=True)
    replace_file(layout.state, msgspec.json.encode(state))


def _copy(home: Path, target: Path) -> None:
    database = home / "db" / "replica.sqlite"
    target.mkdir(mode=0o700)
    if database.exists():
        (target / "db").mkdir(mode=0o700)
        _copy_database(database, target / "db" / database.name)
    shutil.copytree(home, target, ignore=_but_the_database, copy_function=_keep, dirs_exist_ok=True)


def _but_the_database(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name.startswith("replica.sqlite") and folder.endswith("/db")]


def _copy_database(source: Path, target: Path) -> None:
    target.touch(mode=0o600)
    try:
        with closing(open_for_reading(source)) as reading, closing(sqlite3.connect(target)) as writing:
            reading.backup(writing)
    except sqlite3.Error as error:
        raise OSError(f"{source}: {error}") from error


def _keep(source: str, target: str) -> None:
    if source.endswith(GROWING):
        shutil.copy2(source, target)
    else:
        os.link(source, target, follow_symlinks=False)  # a link beside a certificate stays a link


GROWING = ("/log/entries", "/log/answers", "/state/orders")
"""What is appended to."""
