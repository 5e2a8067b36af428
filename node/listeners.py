"""Who listens on a node: rows of `listeners.toml`, and what a started service opens (A.2, B.14).

All but the command line (SSH) listen for TLS connections.

A listener shows the identities and trusts the certificates that its service loaded, and nothing else: an `Endpoint` is
made once, when the service starts, and replaced only with the service's loaded copy.
"""

from typing import Literal

import msgspec

from ucmlab.node.restarts import Condition
from ucmlab.node.rule_rows import RuleRow

Speaks = Literal["", "website", "http", "sip", "ssh"]
ClientCertificate = Literal["none", "optional", "required"]


class Listener(RuleRow, frozen=True, kw_only=True):
    """A row of `listeners.toml`."""

    name: str
    service: str
    port: int
    presents: tuple[str, ...]
    speaks: Speaks = ""
    ciphers: Literal["https", "all"] = "all"
    client: ClientCertificate = "none"
    trusts: tuple[str, ...] = ()
    when: Condition | None = None


class Endpoint(msgspec.Struct, frozen=True):
    """A listener as it is open now."""

    name: str
    port: int
    speaks: Speaks
    chains: dict[str, tuple[bytes, ...]]
    """Identity unit to what is shown: DER, the identity first, then its issuers. One unit, or an RSA and an EC one."""
    client: ClientCertificate
    trusted: tuple[bytes, ...]
    """What a client's certificate is verified with, DER."""
