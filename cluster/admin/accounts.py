"""The accounts of the admin interfaces: who may log in where, with how much privilege, and who is locked out.

The OS administrators (REST, command line) and the application user (SOAP) are different accounts, as on the product;
passwords are made per lab (`ucmlab env` prints them), a node's process knows their digests only.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from typing import Literal

import msgspec

from ucmlab.node.instant import MINUTE

Kind = Literal["platform", "application"]
READ, ORDINARY, FULL = 0, 1, 4
"""Privilege levels of the platform (wire-interfaces 3.1): 0 reads, 4 does everything."""
FAILURES = 5
"""One after another, until an account is locked. [ASSUMED] this and the time: the product's depend on its policy."""
LOCKED_FOR = 5 * MINUTE
"""Lab time; a right password in between does not open it."""
FAILED_S = 1.0
"""Machine time that a wrong password takes, so that guessing takes its time."""
_NOBODY = b"nobody"


class AdminAccount(msgspec.Struct, frozen=True):
    """One account, with its password as a salted digest: 144 random bits need no slow hash (`broker.access`)."""

    name: str
    kind: Kind
    privilege: int
    salt: bytes
    digest: bytes

    def __repr__(self) -> str:
        """Without salt and digest: they belong in no log."""
        return f"AdminAccount({self.name!r}, {self.kind!r}, {self.privilege!r})"


def make_admin(name: str, password: str, kind: Kind, *, privilege: int) -> AdminAccount:
    """An account for this password."""
    salt = secrets.token_bytes(16)
    return AdminAccount(name, kind, privilege, salt, _digest(salt, password))


class LockedOut(Exception):
    """The account is locked, whatever the password."""


class Guard:
    """Lets administrators in; one for all interfaces of a node, so that failures count together."""

    def __init__(self, accounts: Iterable[AdminAccount]) -> None:
        """Nobody has failed yet."""
        self._accounts = {(account.kind, account.name): account for account in accounts}
        self._failures: dict[tuple[Kind, str], int] = {}
        self._locked_until: dict[tuple[Kind, str], int] = {}

    def admit(self, kind: Kind, name: str, password: str, *, now: int) -> AdminAccount | None:
        """The account, if it is the right password; None if not, or if there is no such account.

        Args:
            kind: of which interface.
            name: as the client says it.
            password: likewise.
            now: lab microseconds.

        Raises:
            LockedOut: it is locked. Accounts that there are not are never locked: nothing is kept about them.
        """
        account = self._accounts.get((kind, name))
        digest = _digest(_NOBODY if account is None else account.salt, password)
        if account is None:
            return None
        key = (kind, name)
        if self.locked(account, now=now):
            raise LockedOut
        if hmac.compare_digest(digest, account.digest):
            self._failures.pop(key, None)
            return account
        self._failed(key, now)
        return None

    def locked(self, account: AdminAccount, *, now: int) -> bool:
        """Whether an account is locked, so that what it began before is over too."""
        return now < self._locked_until.get((account.kind, account.name), 0)

    def _failed(self, key: tuple[Kind, str], now: int) -> None:
        count = self._failures.get(key, 0) + 1
        self._failures[key] = count % FAILURES
        if count == FAILURES:
            self._locked_until[key] = now + LOCKED_FOR


def _digest(salt: bytes, password: str) -> bytes:
    # Lone surrogates, which some clients' bytes decode to, are no password of ours, and no reason to stumble.
    return hashlib.sha256(salt + password.encode(errors="surrogatepass")).digest()
