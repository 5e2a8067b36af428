"""The files of a lab's home that say which lab it is, and how such files are written and read."""

from pathlib import Path
from typing import TypeVar

import msgspec

from ucmlab.broker.codec import UNREADABLE
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.ports import AUTO
from ucmlab.cluster.topology import Topology
from ucmlab.node.privatefile import read_private, write_private
from ucmlab.node.sealing import Secret

SCHEMA = 1
OPTION_DEFAULTS = {"broker": "embedded", "listen": "its own loopback address", "ports": AUTO, "speed": "1"}
"""What holds where `LabFile.options` says nothing."""
_Value = TypeVar("_Value")


class LabFile(msgspec.Struct, frozen=True, kw_only=True):
    """`lab.json`."""

    schema: int = SCHEMA
    made_by: str
    """The version of ucmlab that made it."""
    name: str
    """What people call it."""
    cluster: str
    """Its id on the bus: random, so that two labs on one broker do not meet."""
    seed: int
    """Delays of `--timing product` are drawn from it."""
    wall_start: int
    """The wall clock at lab instant 0, microseconds since 1970 UTC."""
    topology: Topology
    options: dict[str, str] = {}
    """Other options that `up` was given (`broker`, `ports`, `listen`, …), as text."""


class Credentials(Secret, frozen=True):
    """What `ucmlab env` prints: random for each lab."""

    os_user: str
    os_password: str
    app_user: str
    app_password: str
    reader_user: str
    """An OS administrator of privilege 0, who only reads."""
    reader_password: str
    observer_user: str
    observer_password: str


class KeptCa(Secret, frozen=True):
    """A CA that stands in for one of the product's image: its common name, and certificate and private key in PEM."""

    name: str
    certificate: str
    key: str


def write_json(path: Path, value: object) -> None:
    """Write a value as JSON that people can read, mode 0600, durably."""
    write_private(path, msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")


def read_json(path: Path, kind: type[_Value]) -> _Value:
    """Read what `write_json` wrote.

    Raises:
        Unusable: it is not there, not ours alone, or of another version.
    """
    try:
        return msgspec.json.decode(read_private(path), type=kind)
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror or error}") from error
    except UNREADABLE as error:
        raise Unusable(f"{path} was not made by this version of ucmlab; make the lab anew with --fresh") from error
