"""What a node's disk holds at this moment, read from outside: the same way for a node that runs, is frozen or is down.

Reads only. A running node replaces files atomically and commits whole transactions, so whatever moment is hit, each
file and the database are whole; that files and database are of one moment is not promised, as on the product.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from ucmlab.broker.codec import UNREADABLE
from ucmlab.broker.messages import Row, Setting
from ucmlab.node.disk import read_state
from ucmlab.node.events import FileImage, ReplicaImage
from ucmlab.node.keyring import KeyRing
from ucmlab.node.layout import HomeLayout, read_csrs, read_identities
from ucmlab.node.replica_db import open_for_reading, read_replica
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.trust_files import TrustFiles


class HomeView(msgspec.Struct, frozen=True):
    """The parts of a `NodeView` that come from the disk."""

    epoch: int
    seq: int
    rows: tuple[Row, ...]
    settings: tuple[Setting, ...]
    files: tuple[FileImage, ...]
    paths: dict[tuple[str, str], str]
    """(unit, name) to the absolute path of the file."""
    identities: dict[str, bytes]
    """Unit to DER."""
    csrs: dict[str, bytes]
    """Identity unit to the DER of the request that waits for its certificate."""
    authz: dict[str, str] | None
    """`signing` and `encryption`: SHA-256 of the keys; None when the node has none."""
    enabled: dict[str, bool]
    """Services whose start at boot was changed by an operator."""
    boot: int
    """How often the node was started; 0 before the first time."""
    installed: bool
    unreadable: tuple[str, ...]
    """One line for each thing that is there and could not be read; it counts as empty."""


def read_home(home: Path, rulebook: RuleBook) -> HomeView:
    """Read a node's home (`LabHome.node_home`). Never fails: see `HomeView.unreadable`."""
    layout = HomeLayout(home.absolute(), rulebook)
    unreadable: list[str] = []
    replica = _replica(layout.replica, unreadable)
    files, strays = TrustFiles(layout.trust_folders).read()
    boot, installed, enabled = _state(layout.state, unreadable)
    return HomeView(
        epoch=replica.epoch,
        seq=replica.seq,
        rows=replica.rows,
        settings=replica.settings,
        files=files,
        paths={(file.unit, file.name): str(layout.trust_folders[file.unit] / file.name) for file in files},
        identities=read_identities(layout),
        csrs=read_csrs(layout),
        authz=_authz(layout.home, unreadable),
        enabled=enabled,
        boot=boot,
        installed=installed,
        unreadable=(*strays, *unreadable),
    )


def _replica(path: Path, unreadable: list[str]) -> ReplicaImage:
    if not path.exists():
        return ReplicaImage()
    try:
        with closing(open_for_reading(path)) as connection:
            return read_replica(connection)
    except sqlite3.Error as error:
        unreadable.append(f"{path}: {error}")
        return ReplicaImage()


def _state(path: Path, unreadable: list[str]) -> tuple[int, bool, dict[str, bool]]:
    try:
        state = read_state(path)
    except OSError as error:
        unreadable.append(str(error))
        return 0, False, {}
    return state.boot, state.installed, state.enabled


def _authz(home: Path, unreadable: list[str]) -> dict[str, str] | None:
    try:
        digests = KeyRing(home).authz()
    except (OSError, *UNREADABLE) as error:
        unreadable.append(f"authz keys: {type(error).__name__}")  # the text may quote what it could not read
        return None
    return None if digests is None else {"signing": digests.signing, "encryption": digests.encryption}
