"""The user's cache of throwaway RSA keys: making one costs 50 to 67 ms, a cold start of six nodes needs twenty.

Keys are taken by renaming, so labs that start side by side never share one, and a key is used at most once. They
protect laboratories only; still they are private files of one user, and none is in the repository.
"""

import os
import secrets
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from errno import EXDEV
from pathlib import Path

import psutil
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from ucmlab.cluster.ca.keys import RSA, KeySource, PrivateKey, make_key
from ucmlab.cluster.simkeys import is_simulation_key
from ucmlab.node.privatefile import TEMPORARY, private_folder, read_private, write_private

LARGEST_TARGET = 256
"""Keys of one length kept at most: 300 kB, and 15 seconds of one processor to fill."""
_CLAIM = "claim-"


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Where the cache is: `$UCMLAB_CACHE`, else `ucmlab` in `$XDG_CACHE_HOME`, else `~/.cache/ucmlab`."""
    own = environment.get("UCMLAB_CACHE")
    if own:
        return Path(own)
    shared = environment.get("XDG_CACHE_HOME")
    # The XDG specification has relative paths ignored.
    if shared and Path(shared).is_absolute():
        return Path(shared) / "ucmlab"
    return Path(environment.get("HOME") or Path.home()) / ".cache" / "ucmlab"


class KeyCache:
    """RSA keys in a folder, one a file. Any number of processes may use one folder at the same time."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, and make it if there is none.

        Raises:
            PermissionError: it is not ours alone: keys from it could be known to others.
        """
        self._folder = private_folder(folder)

    def count(self, bits: int) -> int:
        """How many keys of that length are there now."""
        return len(self._files(bits))

    def take(self, number: int, bits: int) -> list[bytes]:
        """Take up to `number` keys (PKCS#8 DER) out; fewer when there are no more."""
        taken: list[bytes] = []
        for path in self._files(bits):
            if len(taken) == number:
                break
            key = self._claim(path)
            if key is not None and _is_usable(key, bits):
                taken.append(key)
        return taken

    def move(self, bits: int, places: Iterable[Path]) -> int:
        """Move a key of that length to each of the places, as far as there are keys; returns how many.

        Nothing is written or synced, which would cost 1 ms a key and more; a key that a power cut loses is made anew.
        """
        files = iter(self._files(bits))
        moved = 0
        for place in places:
            if not any(self._move(path, bits, place) for path in files):
                break
            moved += 1
        return moved

    def refill(self, target: int, bits: int, *, jobs: int = 1) -> int:
        """Make keys until there are `target` of that length (at most `LARGEST_TARGET`), on `jobs` threads.

        Threads are enough: OpenSSL lets go of the interpreter lock while it searches primes.

        Returns:
            How many were made.
        """
        self._forget_dead_claims(bits)
        missing = max(0, min(target, LARGEST_TARGET) - self.count(bits))
        with ThreadPoolExecutor(max_workers=max(1, jobs), thread_name_prefix="keycache") as pool:
            list(pool.map(self._add, [bits] * missing))
        return missing

    def _add(self, bits: int) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        write_private(self._shelf(bits) / f"{secrets.token_hex(8)}.der", der)

    def _claim(self, path: Path) -> bytes | None:
        """Take one key for this process; `None` when another process was faster, or others may know it."""
        claim = path.with_name(f"{_CLAIM}{os.getpid()}-{path.name}")
        try:
            path.rename(claim)
        except FileNotFoundError:
            return None
        try:
            return read_private(claim)
        except PermissionError:
            return None
        finally:
            claim.unlink()

    def _move(self, path: Path, bits: int, target: Path) -> bool:
        unchecked = target.with_name(f"{TEMPORARY}{target.name}")
        try:
            path.rename(unchecked)
        except FileNotFoundError:
            return False  # another process was faster
        except OSError as error:
            if error.errno != EXDEV:
                raise
            return self._copy(path, bits, target)
        try:
            usable = _is_usable(read_private(unchecked), bits)
        except PermissionError:
            usable = False
        if usable:
            unchecked.rename(target)
        else:
            unchecked.unlink()
        return usable

    def _copy(self, path: Path, bits: int, target: Path) -> bool:
        """To another file system."""
        key = self._claim(path)
        if key is None or not _is_usable(key, bits):
            return False
        write_private(target, key)
        return True

    def _forget_dead_claims(self, bits: int) -> None:
        # A process that was killed between renaming and removing leaves its claim; nobody may use that key again.
        for claim in self._shelf(bits).glob(f"{_CLAIM}*"):
            owner = claim.name.removeprefix(_CLAIM).partition("-")[0]
            if not owner.isdecimal() or not psutil.pid_exists(int(owner)):
                claim.unlink(missing_ok=True)

    def _files(self, bits: int) -> list[Path]:
        shelf, hidden = self._shelf(bits), (_CLAIM, TEMPORARY)
        with os.scandir(shelf) as entries:
            names = [entry.name for entry in entries]
        return [shelf / name for name in sorted(names) if name.endswith(".der") and not name.startswith(hidden)]

    def _shelf(self, bits: int) -> Path:
        return private_folder(self._folder / f"rsa-{bits}")


def throwaway_keys(cache: KeyCache) -> KeySource:
    """Keys that nobody else has, for real labs: from the user's cache while it lasts, else made."""

    def next_key(kind: str) -> PrivateKey:
        for der in cache.take(1, RSA[kind]) if kind in RSA else ():
            # Validation would cost more than half of what making a key costs, and the file is our own.
            key = load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
            if isinstance(key, rsa.RSAPrivateKey):
                return key
        return make_key(kind)

    return next_key


def users_keys(environment: Mapping[str, str]) -> KeySource:
    """As `throwaway_keys`, from the cache that the environment names. Asking may raise `PermissionError`."""

    def next_key(kind: str) -> PrivateKey:
        return throwaway_keys(KeyCache(cache_folder(environment)))(kind)

    return next_key


def _is_usable(der: bytes, bits: int) -> bool:
    """Whether it is a key of that length, and none that everybody knows."""
    try:
        key = load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
    except ValueError:
        return False
    return isinstance(key, rsa.RSAPrivateKey) and key.key_size == bits and not is_simulation_key(key.public_key())
