"""Where the lab's parts are reached: the nodes' addresses, and the broker's."""

from typing import NamedTuple
from urllib.parse import urlsplit

from ucmlab.cluster.addresses import block_of
from ucmlab.cluster.cli.snapshot import Outline
from ucmlab.cluster.errors import Unusable

DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883}


class BrokerAddress(NamedTuple):
    """A broker's URL, taken apart."""

    host: str
    port: int
    tls: bool


def read_url(url: str) -> BrokerAddress:
    """Take `mqtt://host:port` or `mqtts://host:port` apart.

    Raises:
        Unusable: it is no such URL.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Unusable(f"{url!r} is no broker's URL: {error}") from error
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or parts.username or parts.path not in ("", "/"):
        raise Unusable(f"{url!r} is no broker's URL; write it like mqtt://127.0.0.1:1883 or mqtts://broker:8883")
    return BrokerAddress(parts.hostname, port or DEFAULT_PORTS[parts.scheme], parts.scheme == "mqtts")


def node_addresses(state: Outline) -> dict[str, str]:
    """Each node's IP address, as far as it can be told: by what it listens on, else by the block that the lab holds."""
    # Nobody else's broker says anything about where the nodes are.
    known = state.broker.url if state.broker.kind != "url" else None
    block = None if known is None else block_of(read_url(known).host)
    found: dict[str, str] = {}
    for number, (name, node) in enumerate(state.nodes.items()):
        named = next(iter(node.addresses.values()), None)
        if named is not None:
            found[name] = named.rpartition(":")[0].strip("[]")
        elif block is not None:
            found[name] = block.node(number)
    return found
