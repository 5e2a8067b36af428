"""Which operation each identity certificate of a node is from, kept beside the node's state.

Asked for again after a kill, an operation must be known to have put its certificate in place: the request that it
consumed is gone, and what is left to do are the rows. Written before the certificate, so an entry counts only with it.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ucmlab.broker.codec import UNREADABLE
from ucmlab.node.durable import make_folder, replace_file

_Noted = dict[str, tuple[str, str]]
"""Unit to fingerprint and operation id."""


def note_installation(file: Path, unit: str, der: bytes, op_id: str) -> None:
    """Note, durably, that an operation is about to put this certificate (DER) in place.

    Raises:
        OSError: it could not be written.
    """
    noted = {**_read(file), unit: (hashlib.sha256(der).hexdigest(), op_id)}
    make_folder(file.parent)
    replace_file(file, msgspec.json.encode(noted), durable=True)


def read_installed_by(file: Path, identities: Mapping[str, bytes]) -> dict[str, str]:
    """Identity unit to operation id, for certificates (DER by unit) that are the noted ones."""
    found = _read(file)
    return {
        unit: found[unit][1]
        for unit, der in identities.items()
        if unit in found and found[unit][0] == hashlib.sha256(der).hexdigest()
    }


def _read(file: Path) -> _Noted:
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Noted)
    except (FileNotFoundError, *UNREADABLE):
        return {}
