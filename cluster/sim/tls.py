"""TLS connections in virtual time: the decision function in the place of OpenSSL, at both ends (design 3).

A connection takes no time. Server and client are asked in the order of a real handshake: what is presented, whether
the client accepts it, what the client presents, whether the server's OpenSSL would, and last the server's core, which
judges the dates and lets the client in or not (`PeerShown`, `Admit`).
"""

from typing import TYPE_CHECKING

from ucmlab.cluster.sim.exchanges import Answering
from ucmlab.cluster.sim.peers import SimPeers
from ucmlab.node.commands import Admit, OpenTls
from ucmlab.node.events import NO_CERTIFICATE, REJECTED, PeerShown, TlsOpened
from ucmlab.node.handshake import Shown, Standard, sent, undated_verdict
from ucmlab.node.listeners import Endpoint
from ucmlab.node.loaded import NOTHING

if TYPE_CHECKING:
    from ucmlab.cluster.sim.world import SimNode, World


class SimTls:
    """The listeners of all nodes of a world, and the servers outside."""

    def __init__(self, world: "World") -> None:
        """Nobody connects yet."""
        self.peers = SimPeers(world)
        self._world = world
        self._admissions: dict[tuple[str, str], bool] = {}
        self._shown = 0

    def open_tls(self, node: "SimNode", command: OpenTls, answer: Answering) -> None:
        """A node connects: a step of its own, as the other one's core has its say, if it is a node."""
        self._world.at(self._world.now, self._connect, node, command, answer)

    def _connect(self, node: "SimNode", command: OpenTls, answer: Answering) -> None:
        client = node.core.services.loaded(command.service) or NOTHING if node.core is not None else NOTHING
        own = client.chains.get(command.unit, ())
        presented = sent(own, command.trusted) if own else Shown()
        if not command.node:
            answer(self.peers.connect(node, command, presented))
            return
        target = self._world.nodes.get(command.node)
        if target is None:
            answer(TlsOpened(command.token, "unreachable", text="nobody listens there"))
            return
        if target.life == "paused" or not self._world.network.reaches(node.name, target.name):
            return  # as in a network that swallows packets: it hangs until its time is over
        answer(self._handshake(target, command, presented))

    def probe(self, node: "SimNode", command: OpenTls) -> TlsOpened:
        """Somebody outside connects to a node, without a certificate."""
        return self._handshake(node, command, Shown())

    def admit(self, node: "SimNode", command: Admit) -> None:
        """A server's core has decided."""
        self._admissions[node.name, command.token] = command.admitted

    def _handshake(self, target: "SimNode", command: OpenTls, presented: Shown) -> TlsOpened:
        token, found = command.token, self._endpoint(target, command.listener)
        if found is None or target.core is None or target.life != "up":
            return TlsOpened(token, "unreachable", text="nobody listens there")
        service, endpoint = found
        unit = self._unit(endpoint, ec_only=command.ec_only)
        if unit is None:
            self._world.handle(target, PeerShown("", service, endpoint.name, (), "no shared cipher"))
            return TlsOpened(token, "failed", text="no shared cipher")
        chain = sent(endpoint.chains[unit], endpoint.trusted).chain
        standard = Standard(
            trusted=command.trusted, usage="server", name=command.name if command.checks_name else "", wall=0
        )
        if not undated_verdict(Shown(chain), standard).trusted:
            self._world.handle(target, PeerShown("", service, endpoint.name, (), REJECTED))
            return TlsOpened(token, "failed", chain)
        shown = Shown() if endpoint.client == "none" else presented
        trouble = _refused(endpoint, shown)
        self._shown += 1
        peer = "" if trouble else f"peer {self._shown}"
        self._world.handle(target, PeerShown(peer, service, endpoint.name, shown.chain, trouble))
        admitted = self._admissions.pop((target.name, peer), False)
        return TlsOpened(token, "open" if admitted else "rejected", chain, trouble)

    def _unit(self, endpoint: Endpoint, *, ec_only: bool) -> str | None:
        """What is shown: of two identities the EC one, as OpenSSL's own list of suites begins with it."""
        ec = self._world.rulebook.ec_identities
        families = {unit in ec: unit for unit in endpoint.chains}
        return families.get(True) or (None if ec_only else families.get(False))

    def _endpoint(self, target: "SimNode", listener: str) -> tuple[str, Endpoint] | None:
        row = self._world.rulebook.listeners.get(listener)
        loaded = target.core.services.loaded(row.service) if target.core is not None and row is not None else None
        if row is None or loaded is None:
            return None
        endpoint = loaded.endpoint_named(listener)
        return None if endpoint is None else (row.service, endpoint)


def _refused(endpoint: Endpoint, shown: Shown) -> str:
    """Why the server's OpenSSL ends the handshake; empty when it does not."""
    if not shown.chain:
        return NO_CERTIFICATE if endpoint.client == "required" else ""
    verdict = undated_verdict(shown, Standard(trusted=endpoint.trusted, usage="client", wall=0))
    return "" if verdict.trusted else verdict.reason
