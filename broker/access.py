"""Who may connect and who may do what: accounts with passwords, and access rules as data.

Pure: salts come from the caller, nothing is read from disk. The broker core takes `Accounts.authenticate` and
`Accounts.authorize` as its two questions; anything else with the same signatures serves as well.

Passwords are kept as one salted SHA-256. That would be careless for words that people choose, and is enough here: a lab
makes 32 random bytes per member, which no amount of guessing finds, so a slow hash would only slow down each connect
(scrypt at its usual setting costs tens of milliseconds of the broker's one thread; this costs 1 µs). The salt keeps two
members with one password from showing it.
"""

import hashlib
import hmac
from collections.abc import Iterable
from typing import Literal

import msgspec

from ucmlab.broker.filters import filter_covers, filter_matches

Action = Literal["publish", "subscribe", "receive"]

_UNKNOWN_SALT = b"nobody"


class ClientIdentity(msgspec.Struct, frozen=True, gc=False):
    """Who is asking: the session's client id and the name that was authenticated, `None` for anonymous."""

    client_id: str
    username: str | None = None


class AccessRule(msgspec.Struct, frozen=True, gc=False):
    """One permission, or with `allow=False` one refusal, which outweighs every permission.

    In `filter`, `%u` stands for the user name and `%c` for the client id. A name that holds `/`, `+` or `#` matches no
    such rule: else a client could widen its own rule by the name it chooses. A `subscribe` rule applies to filters
    that it covers whole; a refusal therefore wants a `receive` rule beside it, because `#` is not inside `secret/#`.
    """

    action: Action
    filter: str
    allow: bool = True


ALLOW_ALL = (AccessRule("publish", "#"), AccessRule("subscribe", "#"), AccessRule("receive", "#"))
"""Everything but topics beginning with `$`."""


class Account(msgspec.Struct, frozen=True, gc=False):
    """One user: salted password digest, rules, and the only client id it may use (`None`: any; `%u`: its own name)."""

    username: str
    salt: bytes
    digest: bytes
    rules: tuple[AccessRule, ...] = ()
    client_id: str | None = None

    def __repr__(self) -> str:
        """Without salt and digest: they belong in no log."""
        return f"Account({self.username!r}, rules={self.rules!r}, client_id={self.client_id!r})"


def make_account(
    username: str,
    password: bytes,
    *,
    salt: bytes,
    rules: Iterable[AccessRule] = (),
    client_id: str | None = None,
) -> Account:
    """An account for this password; `salt` is the caller's randomness, different for each account."""
    bound = None if client_id is None else client_id.replace("%u", username)
    return Account(username, salt, _digest(salt, password), tuple(rules), bound)


class Accounts:
    """The users of one broker, and its answers to the core's two questions.

    Args:
        accounts: the users; see `make_account`.
        anonymous: rules for clients without a name, or `None` to refuse them.
    """

    def __init__(self, accounts: Iterable[Account] = (), *, anonymous: Iterable[AccessRule] | None = None) -> None:
        self._accounts = {account.username: account for account in accounts}
        self._anonymous = None if anonymous is None else tuple(anonymous)

    def put(self, account: Account) -> None:
        """Adds or replaces a user; connections that are open stay. Tell the core: `BrokerCore.access_changed`."""
        self._accounts[account.username] = account

    def remove(self, username: str) -> None:
        """Forgets a user; an unknown one is no error."""
        self._accounts.pop(username, None)

    def authenticate(self, client_id: str, username: str | None, password: bytes | None) -> bool:
        """Whether this client may connect. A client id bound to one account is refused to every other."""
        owner = next((a for a in self._accounts.values() if a.client_id == client_id), None)
        if username is None:
            return self._anonymous is not None and password is None and owner is None
        account = self._accounts.get(username)
        # An unknown name costs the same time as a wrong password, so names cannot be probed for.
        salt = _UNKNOWN_SALT if account is None else account.salt
        digest = _digest(salt, password or b"")
        if account is None or not hmac.compare_digest(digest, account.digest) or password is None:
            return False
        return account.client_id in (None, client_id) and owner in (None, account)

    def authorize(self, client: ClientIdentity, action: Action, topic_or_filter: str) -> bool:
        """Whether the rules let this client do this; what no rule names is refused."""
        allowed = False
        for rule in self._rules_of(client.username):
            if rule.action == action and _applies(rule, client, topic_or_filter):
                if not rule.allow:
                    return False
                allowed = True
        return allowed

    def _rules_of(self, username: str | None) -> tuple[AccessRule, ...]:
        if username is None:
            return self._anonymous or ()
        account = self._accounts.get(username)
        return () if account is None else account.rules


def allow_everyone(client_id: str, username: str | None, password: bytes | None) -> bool:  # noqa: ARG001  the core's signature
    """Authenticates anybody; for simulations and loopback trials."""
    return True


def allow_everything(client: ClientIdentity, action: Action, topic_or_filter: str) -> bool:  # noqa: ARG001  the core's signature
    """Authorizes anything; for simulations and loopback trials."""
    return True


def _applies(rule: AccessRule, client: ClientIdentity, topic_or_filter: str) -> bool:
    pattern = _filled(rule.filter, client)
    if pattern is None:
        return False
    if rule.action == "subscribe":
        return filter_covers(pattern, topic_or_filter)
    return filter_matches(pattern, topic_or_filter)


def _filled(pattern: str, client: ClientIdentity) -> str | None:
    # Level by level, so that a name that itself contains "%c" is not filled in again.
    if "%" not in pattern:
        return pattern
    values = {"%u": client.username, "%c": client.client_id}
    levels: list[str] = []
    for level in pattern.split("/"):
        for mark, value in values.items():
            if mark in level:
                if not value or any(sign in value for sign in "/+#"):
                    return None
                levels.append(level.replace(mark, value))
                break
        else:
            levels.append(level)
    return "/".join(levels)


def _digest(salt: bytes, password: bytes) -> bytes:
    return hashlib.sha256(len(salt).to_bytes(2, "big") + salt + password).digest()
