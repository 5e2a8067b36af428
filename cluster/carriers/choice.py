"""Which broker a lab uses, as `--broker` says it: read once, and apart from the password that it may hold.

    embedded                               ours, in a process of the lab (the default)
    mosquitto                              started, supervised and ended by ucmlab
    mqtt://HOST:PORT, mqtts://HOST:PORT    somebody else's; `USER:PASSWORD@` before HOST is one account for all members

Pure: nothing here looks at files or opens a connection. What is printed, kept in `lab.json` or written to a journal is
`Carrier.text`, which never has a password in it.
"""

from typing import Literal
from urllib.parse import unquote, urlsplit

import msgspec

from ucmlab.cluster.errors import Unusable
from ucmlab.node.sealing import Secret

Kind = Literal["embedded", "mosquitto", "url"]
DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883}
EMBEDDED, MOSQUITTO = "embedded", "mosquitto"


class SharedAccount(Secret, frozen=True):
    """One user name and password for every member, on a broker that knows nothing of the lab's own accounts."""

    username: str
    password: str


class Carrier(msgspec.Struct, frozen=True):
    """What carries the bus."""

    kind: Kind
    host: str = ""
    """Of somebody else's broker, as are the others."""
    port: int = 0
    tls: bool = False
    account: SharedAccount | None = None

    @property
    def text(self) -> str:
        """As `--broker` takes it, without user name and password."""
        if self.kind != "url":
            return self.kind
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"


def read_carrier(text: str) -> Carrier:
    """Read what `--broker` says.

    Raises:
        Unusable: there is no such broker, or it is no URL; the line repeats no password.
    """
    if text == EMBEDDED:
        return Carrier("embedded")
    if text == MOSQUITTO:
        return Carrier("mosquitto")
    if "://" not in text:
        raise Unusable(
            f"there is no broker {text.rpartition('@')[2]!r};"
            f" there is {EMBEDDED}, {MOSQUITTO}, or an mqtt:// or mqtts:// URL"
        )
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or parts.path not in ("", "/") or parts.query:
        shown = f"{text.partition('://')[0]}://{text.partition('://')[2].rpartition('@')[2]}"
        raise Unusable(
            f"{shown!r} is no broker's URL; write it like mqtt://127.0.0.1:1883 or mqtts://user:password@broker:8883"
        )
    account = None
    if parts.username is not None:
        account = SharedAccount(unquote(parts.username), unquote(parts.password or ""))
    return Carrier("url", parts.hostname, port or DEFAULT_PORTS[parts.scheme], parts.scheme == "mqtts", account)
