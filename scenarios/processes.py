"""Which processes a lab consists of, as its report tells before the story: a class is to see that they are real."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from ucmlab.cluster.addresses import block_of
from ucmlab.cluster.network import BROKER
from ucmlab.cluster.port import LabPort
from ucmlab.scenarios.telling import CameUp


def processes(port: LabPort) -> Iterator[CameUp]:
    """The broker, then the nodes, the publisher first; none in virtual time, where nothing has a pid."""
    now, broker = port.now(), port.facts().broker
    pid, url = broker["pid"], str(broker["url"] or "")
    if isinstance(pid, int):
        yield CameUp(BROKER, pid, url, now)
    # Nobody else's broker says anything about where the nodes are.
    block = None if broker["kind"] == "url" else block_of(urlsplit(url).hostname or "")
    for number, name in enumerate(port.names):
        node = port.view(name)
        if node.pid is not None:
            started = sum(service.state == "started" for service in node.services.values())
            address = block.node(number) if block is not None else ""
            yield CameUp(name, node.pid, f"{address}  {node.fqdn}, {started} services", now)
