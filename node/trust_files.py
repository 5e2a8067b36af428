"""The trust certificate files of one node on disk: PEM files people can open, and what is known about each beside it.

A unit's folder holds, for a certificate named `X.pem` (domain.md B.5):

    X.pem             the certificate, 0644
    X.description     what the operator wrote at the upload; absent when that was nothing
    .X.pem.pending    JSON: the operation not yet known to be in the log, and for which certificate (its fingerprint)
    <hash>.N          a link to it for OpenSSL, by its subject (`hash_links`); absent when OpenSSL cannot read it

Three files cannot change in one step, so the pending file is also the journal of a write: it goes first and names the
fingerprint, so that after a kill it can be told whether the certificate beside it is the one that it speaks of. What
is then half done is finished (certificate in place) or forgotten (certificate not in place) by `recover`.

A link comes after its certificate and goes before it, so that none points nowhere; one that is missing or wrong, after
a kill or because people changed the files, `recover` puts right as well.

The product also keeps `X.der` and a PKCS#12 key store of the whole folder. Neither is made here. A subscriber among 21
nodes writes 93 certificates at its start, and takes 95 ms of processor time for all of it. One more file for each would
be 2.3 ms in memory and 9 ms on disk; the key store, anew at each change, 3 ms a time for 53 of them, since its key is
derived slowly on purpose.
"""

import binascii
import hashlib
import os
from collections.abc import Container, Iterator, Mapping
from pathlib import Path

import msgspec

from ucmlab.broker.codec import UNREADABLE
from ucmlab.node.certificates import parse, pem
from ucmlab.node.durable import PUBLIC, make_folder, remove_file, remove_temporaries, replace_file, sync_path
from ucmlab.node.errors import Refusal
from ucmlab.node.events import FileImage
from ucmlab.node.hash_links import link, relink, unlink

_BEGIN = b"-----BEGIN CERTIFICATE-----"
_END = b"-----END CERTIFICATE-----"


class Pending(msgspec.Struct, frozen=True):
    """What lies beside a certificate while its operation is under way. Without `op_id`: only while it is written."""

    op_id: str
    fingerprint: str
    description: str
    before: "Pending | None" = None
    """What lay beside the certificate that this write replaces, should the write be cut off."""


class TrustFiles:
    """The trust folders of one node: unit to folder. Folders are made when something is first put in them."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        """Name the folders; nothing is touched."""
        self._folders = dict(folders)
        self._touched: dict[Path, None] = {}

    def path(self, unit: str, name: str) -> Path:
        """Where the certificate file of that name is.

        Raises:
            OSError: the unit has no trust folder on this node, or the name is none for a certificate file.
        """
        folder = self._folders.get(unit)
        if folder is None:
            raise FileNotFoundError(f"{unit} has no trust folder on this node")
        if "/" in name or "\0" in name or not name.endswith(".pem") or name == ".pem":
            raise OSError(f"{name!r} is no name for a certificate file")
        return folder / name

    def write(self, unit: str, name: str, *, der: bytes, description: str, op_id: str) -> None:
        """Put a certificate in place, atomically; its operation id, if any, is beside it first.

        Raises:
            OSError: disk full, no permission, no such unit.
        """
        path = self.path(unit, name)
        new = not path.exists()
        if new and not op_id:
            self._write_new(path, der=der, description=description)
            return
        make_folder(path.parent)
        beside = op_id or description or description_path(path).exists() or pending_path(path).exists()
        if beside:
            pending = Pending(op_id, _fingerprint(der), description, _valid_pending(path))
            self._put(pending_path(path), msgspec.json.encode(pending))
        self._put(path, pem(der).encode())
        link(path, der, new=new)
        if beside:
            self._describe(path, description)
            if not op_id:
                self._remove(pending_path(path))

    def _write_new(self, path: Path, *, der: bytes, description: str) -> None:
        # Nothing is there to be torn from: the certificate comes last, and orphans of an older one are cleared away.
        # A node does this a hundred times at its start, and for each upload that it hears of: no more than it takes.
        try:
            self._describe(path, description)
            self._put(path, pem(der).encode())
            link(path, der, new=True)
        except FileNotFoundError:
            if path.parent.is_dir():
                raise
            make_folder(path.parent)
            self._write_new(path, der=der, description=description)
        else:
            self._remove(pending_path(path))

    def remove(self, unit: str, name: str) -> None:
        """Remove a certificate and what lies beside it; one that is gone already is no error."""
        path = self.path(unit, name)
        unlink(path)
        self._remove(path)
        self._remove(description_path(path))
        self._remove(pending_path(path))

    def settle(self, unit: str, name: str) -> None:
        """Forget the operation id beside a certificate."""
        self._remove(pending_path(self.path(unit, name)))

    def recover(self) -> None:
        """After a kill: remove temporaries and orphans, finish what was cut off, mend links. Once, at the start."""
        for folder in self._distinct_folders():
            remove_temporaries(folder)
            for path in _named(folder, ".pending"):
                self._recover_pending(path)
            for path in _named(folder, ".description"):
                if not path.with_suffix(".pem").exists():
                    self._remove(path)
            ders = {path.name: read_certificate(path) for path in _named(folder, ".pem")}
            relink(folder, {name: der for name, der in ders.items() if der is not None})
        self.sync()

    def read(self) -> tuple[tuple[FileImage, ...], tuple[str, ...]]:
        """Read every certificate file as it is now.

        Returns:
            The files, by unit and name; and one line for each file that is no certificate and was passed over.
        """
        files: list[FileImage] = []
        strays: list[str] = []
        for unit, folder in sorted(self._folders.items()):
            names = _names(folder)
            for name in sorted(name for name in names if name.endswith(".pem")):
                path = folder / name
                der = read_certificate(path)
                if der is None:
                    strays.append(f"{path} is no certificate and is left alone")
                else:
                    files.append(_image(unit, path, der=der, beside=names))
        return tuple(files), tuple(strays)

    def sync(self) -> None:
        """Make what was written since the last sync survive a power cut: each file, then each folder once."""
        touched, self._touched = self._touched, {}
        for path in touched:
            sync_path(path)
        for folder in dict.fromkeys(path.parent for path in touched):
            sync_path(folder)

    def _put(self, path: Path, content: bytes) -> None:
        self._touched[path] = None  # before, not after: a write that failed half-way is synced for nothing, no harm
        replace_file(path, content, mode=PUBLIC)

    def _remove(self, path: Path) -> None:
        if remove_file(path):
            self._touched[path] = None

    def _describe(self, path: Path, description: str) -> None:
        if description:
            self._put(description_path(path), description.encode())
        else:
            self._remove(description_path(path))

    def _recover_pending(self, path: Path) -> None:
        certificate = path.with_name(path.name[1:].removesuffix(".pending"))
        pending = _valid_pending(certificate)
        if pending is None:
            self._restore(path, certificate)
            return
        if _text(description_path(certificate)) != pending.description:
            self._describe(certificate, pending.description)
        if not pending.op_id:
            self._remove(path)

    def _restore(self, path: Path, certificate: Path) -> None:
        # The certificate was not replaced: what lay beside it before lies there again.
        cut_off = _pending(path)
        before = None if cut_off is None else cut_off.before
        der = read_certificate(certificate)
        if before is not None and der is not None and _fingerprint(der) == before.fingerprint:
            self._put(path, msgspec.json.encode(before))
        else:
            self._remove(path)

    def _distinct_folders(self) -> Iterator[Path]:
        yield from dict.fromkeys(self._folders.values())  # units may share a folder: CallManager and its ECDSA twin


def pending_path(path: Path) -> Path:
    """Where the operation id of a certificate file is kept."""
    return path.parent / f".{path.name}.pending"


def description_path(path: Path) -> Path:
    """Where the description of a certificate file is kept."""
    return path.with_suffix(".description")


def read_certificate(path: Path) -> bytes | None:
    """The DER of the first certificate in a PEM file; None when there is no such file or no certificate in it."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    _, begun, rest = content.partition(_BEGIN)
    body, ended, _ = rest.partition(_END)
    if not begun or not ended:
        return None
    try:
        return parse(binascii.a2b_base64(body)).der
    except (binascii.Error, Refusal):
        return None


def _names(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries}
    except (FileNotFoundError, NotADirectoryError):
        return set()


def _named(folder: Path, suffix: str) -> list[Path]:
    return [folder / name for name in sorted(_names(folder)) if name.endswith(suffix)]


def _image(unit: str, path: Path, *, der: bytes, beside: Container[str]) -> FileImage:
    # Most files have nothing beside them: looking into the listing spares two failing opens for each.
    pending_file, description_file = pending_path(path), description_path(path)
    pending = _pending(pending_file) if pending_file.name in beside else None
    description = _text(description_file) if description_file.name in beside else ""
    # Certificate files are people's to replace by hand as well: an id that speaks of another certificate says nothing.
    op_id = pending.op_id if pending is not None and pending.fingerprint == _fingerprint(der) else ""
    return FileImage(unit, path.name, der, description, op_id)


def _valid_pending(certificate: Path) -> Pending | None:
    pending = _pending(pending_path(certificate))
    der = None if pending is None else read_certificate(certificate)
    if pending is None or der is None or _fingerprint(der) != pending.fingerprint:
        return None
    return Pending(pending.op_id, pending.fingerprint, pending.description)


def _fingerprint(der: bytes) -> str:
    return hashlib.sha256(der).hexdigest()


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""


def _pending(path: Path) -> Pending | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Pending)
    except (OSError, *UNREADABLE):
        return None
