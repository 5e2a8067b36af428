"""Sessions of the application's interfaces: a cookie that stands for a password that was right (W2.1)."""

import secrets
from collections import OrderedDict

from ucmlab.cluster.admin.accounts import AdminAccount
from ucmlab.node.instant import MINUTE

COOKIE = "JSESSIONIDSSO"
"""[ASSUMED] no client checks the name."""
LASTS = 30 * MINUTE
"""Lab time since it was used last."""
LIMIT = 256
"""At once; the one that was not used for longest goes."""


class Sessions:
    """Those of one node; they end with its process, as with the product's Tomcat."""

    def __init__(self) -> None:
        """There are none."""
        self._open: OrderedDict[str, tuple[AdminAccount, int]] = OrderedDict()

    def begin(self, account: AdminAccount, *, now: int) -> str:
        """The token of a new one."""
        token = secrets.token_hex(16).upper()
        self._open[token] = (account, now)
        while len(self._open) > LIMIT:
            self._open.popitem(last=False)
        return token

    def account(self, token: str, *, now: int) -> AdminAccount | None:
        """Whose it is; None if there is no such session, or not any more."""
        account, used = self._open.pop(token, (None, 0))
        if account is None or now - used > LASTS:
            return None
        self._open[token] = (account, now)
        return account
