"""Authorities in a folder, for `ucmlab ca`: each survives the command that founded it.

    <folder>/.lock                    held by whoever changes something
    <folder>/<name>/authority.json    which one it is (`Note`)
                    key.pem           its private key, PKCS#8
                    chain.pem         its certificate and those above, the root last
                    books.json        what it issued and revoked (`Books`)
                    issued/           each certificate by its serial number
                    cross/            its certificate from another authority, by that one's folder, with those above

An authority's folder is its owner's alone (0700), files in it are 0600. A kill leaves an authority whole or absent; a
certificate that was put into the books may be lost to whoever asked for it, and can be issued again.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec
from cryptography import x509

from ucmlab.cluster.ca.authority import Authority, der_of, pem_of
from ucmlab.cluster.ca.kept import Kept, Note, key_pem, read_certificates, read_kept_json, read_key, write_kept
from ucmlab.cluster.ca.keys import make_key
from ucmlab.cluster.ca.office import Books, Clock, Office, open_root
from ucmlab.cluster.errors import Unusable
from ucmlab.node.certificates import trust_file_stem
from ucmlab.node.privatefile import TEMPORARY


class CAFolder:
    """A folder of authorities. Who changes something holds `locked` from the first look to the last write."""

    def __init__(self, folder: Path, *, now: Clock) -> None:
        """Name it; it need not be there."""
        self._folder = folder
        self.now = now

    @contextmanager
    def locked(self) -> Generator[None]:
        """Keep other commands out meanwhile; they wait."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unusable(f"{self._folder} cannot be used: {error.strerror}; name another folder") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for unfinished in self._folder.glob(f"{TEMPORARY}*"):  # of a command that was killed
                shutil.rmtree(unfinished, ignore_errors=True)
            yield
        finally:
            os.close(lock)

    def all(self) -> list[Kept]:
        """Every authority, by name.

        Raises:
            Unusable: one cannot be read.
        """
        if not self._folder.is_dir():
            return []
        paths = [path for path in self._folder.iterdir() if (path / "authority.json").exists()]
        opened = [self._open(path) for path in paths if not path.name.startswith(TEMPORARY)]
        return sorted(opened, key=lambda kept: kept.name)

    def find(self, name: str | None) -> Kept:
        """The authority of that name; without a name the only one.

        Raises:
            Unusable: there is none, or several and none is named.
        """
        kept = self.all()
        if not kept:
            raise Unusable(f"there is no CA in {self._folder}; found one with `ucmlab ca new NAME`")
        found = [each for each in kept if name in (None, each.name)]
        names = ", ".join(repr(each.name) for each in kept)
        if not found:
            raise Unusable(f"there is no CA {name!r}; there are {names}")
        if len(found) > 1:
            raise Unusable(f"there are several CAs; say which: {names}")
        return found[0]

    def check_free(self, name: str) -> None:
        """Whether an authority of that name can be founded.

        Raises:
            Unusable: there is one.
        """
        if any(kept.name == name for kept in self.all()):
            raise Unusable(f"there is a CA {name!r} already; choose another name")

    def found(
        self,
        name: str,
        *,
        parent: Kept | None,
        key: str,
        digest: str,
        not_before: datetime | None,
        not_after: datetime | None,
        honours_request: bool,
    ) -> Kept:
        """Found an authority: a root, or below another of this folder.

        Raises:
            Unusable: there is one of that name, or an option cannot be.
        """
        self.check_free(name)
        private = make_key(key)
        if parent is None:
            office = open_root(
                name,
                private,
                Books(),
                now=self.now,
                serials=_at_random,
                digest=digest,
                not_before=not_before,
                not_after=not_after,
            )
        else:
            made = parent.office.subordinate(name, private, digest=digest, not_before=not_before, not_after=not_after)
            office = Office(made, Books(), now=self.now, serials=_at_random)
        office.honours_request = honours_request
        certificate = office.authority.certificate
        path = self._free_path(certificate)
        if parent is not None:
            parent.enter(certificate)
        kept = self._keep(path, Note(name, honours_request), office)
        if parent is None:
            kept.enter(certificate)
        return kept

    def _free_path(self, certificate: x509.Certificate) -> Path:
        path = self._folder / trust_file_stem(der_of(certificate), "cn")
        if path.exists():
            raise Unusable(f"{path} is there already; choose a name that differs in more than blanks")
        return path

    def _keep(self, path: Path, note: Note, office: Office) -> Kept:
        unfinished = self._folder / f"{TEMPORARY}{secrets.token_hex(4)}"
        try:
            write_kept(unfinished / "key.pem", key_pem(office.authority.key))
            write_kept(unfinished / "chain.pem", pem_of(office.authority.chain))
            write_kept(unfinished / "books.json", msgspec.json.encode(office.books))
            write_kept(unfinished / "authority.json", msgspec.json.encode(note))
        except Unusable:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        unfinished.rename(path)
        return Kept(path, note, office)

    def _open(self, path: Path) -> Kept:
        note = read_kept_json(path / "authority.json", Note)
        books = read_kept_json(path / "books.json", Books)
        chain = read_certificates(path / "chain.pem")
        authority = Authority(chain[0], read_key(path / "key.pem"), above=chain[1:])
        office = Office(authority, books, now=self.now, serials=_at_random, honours_request=note.honours_request)
        return Kept(path, note, office)


def _at_random(_count: int) -> int:
    return x509.random_serial_number()
