"""Where a command that serves is to listen, as people write it."""

import ipaddress
from typing import NamedTuple

from ucmlab.cluster.errors import Unusable

LAST_PORT = 65_535


class Listen(NamedTuple):
    """Where to listen."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def name(self) -> str | None:
        """What clients may call it; None for "all addresses"."""
        return None if self.host in ("0.0.0.0", "::", "") else self.host  # noqa: S104  compared, not bound


def read_listen(text: str, *, like: str) -> Listen:
    """Read `127.0.0.1:1883`, `[::1]:1883`; `like` is an example for whoever writes something else.

    Raises:
        Unusable: it is no address and port.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdecimal() or int(port) > LAST_PORT:
        raise Unusable(f"{text!r} is no place to listen; write it like {like}")
    return Listen(host.strip("[]"), int(port))
