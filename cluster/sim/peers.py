"""TLS servers outside the cluster in virtual time: the decision function in the place of OpenSSL, at both ends.

They behave as the real one (`ucmlab.cluster.outside.peer`): a client that must present a certificate is judged without
dates as OpenSSL would, and with them by the lab's clock.
"""

from typing import TYPE_CHECKING

from ucmlab.cluster.sim.exchanges import Answering
from ucmlab.node.certificates import parse
from ucmlab.node.commands import CloseLink, OpenTls
from ucmlab.node.events import LinkEnded, TlsOpened
from ucmlab.node.handshake import Shown, Standard, judge, undated_verdict

if TYPE_CHECKING:
    from ucmlab.cluster.sim.world import SimNode, World

PORT = 443


class SimPeer:
    """One server."""

    def __init__(self, world: "World", host: str, *, chain: tuple[bytes, ...], trusted: tuple[bytes, ...]) -> None:
        """It is up. `chain` is what it presents, `trusted` what it trusts in clients; both DER."""
        self.address = f"{host}:{PORT}"
        self.up = True
        self._world = world
        self._chain = chain
        self._trusted = trusted
        self._links: list[tuple[SimNode, str]] = []
        """Connections that stayed open: whose, and under which token."""

    def stop(self) -> None:
        """Let nobody in any more, and break off whoever is connected."""
        self.up = False
        links, self._links = self._links, []
        for node, link in links:
            self._world.at(self._world.now, self._world.deliver, node, LinkEnded("", link))

    def leave(self, node: "SimNode", link: str | None = None) -> None:
        """A node has closed a connection; without a `link`, its process has ended."""
        self._links = [each for each in self._links if each[0] is not node or link not in (None, each[1])]

    def connect(self, node: "SimNode", command: OpenTls, presented: Shown) -> TlsOpened:
        """What comes of a node's connection, which would present that if it is asked."""
        opened = self._handshake(command, presented)
        if command.lasting and opened.outcome == "open":
            self._links.append((node, command.token))
        return opened

    def _handshake(self, command: OpenTls, presented: Shown) -> TlsOpened:
        token, chain = command.token, self._chain
        if not self.up:
            return _nobody(token)
        if command.ec_only and parse(chain[0]).key.startswith("rsa"):
            return TlsOpened(token, "failed", text="no shared cipher")
        name = command.name if command.checks_name else ""
        standard = Standard(trusted=command.trusted, usage="server", name=name, wall=0)
        if not undated_verdict(Shown(chain), standard).trusted:
            return TlsOpened(token, "failed", chain)
        refused = self._refused(presented)
        return TlsOpened(token, "rejected" if refused else "open", chain, refused)

    def _refused(self, presented: Shown) -> str:
        """Why the client is not let in; empty when it is."""
        if not self._trusted:
            return ""
        wall = self._world.wall_start + self._world.now
        return judge(presented, Standard(trusted=self._trusted, usage="client", wall=wall)).reason


class SimPeers:
    """All of a world, by their names."""

    def __init__(self, world: "World") -> None:
        """There are none: whoever connects is refused."""
        self._world = world
        self._places: dict[str, SimPeer] = {}

    def open(self, host: str, *, chain: tuple[bytes, ...], trusted: tuple[bytes, ...]) -> SimPeer:
        """Open one at a name of its own."""
        place = SimPeer(self._world, host, chain=chain, trusted=trusted)
        self._places[host] = place
        return place

    def connect(self, node: "SimNode", command: OpenTls, presented: Shown) -> TlsOpened:
        """Connect a node to where the command says; a name leads to its server whatever the port, as each has one."""
        place = self._places.get(command.address.rpartition(":")[0])
        return _nobody(command.token) if place is None else place.connect(node, command, presented)

    def forget(self, node: "SimNode") -> None:
        """A process has ended, and its connections with it."""
        for place in self._places.values():
            place.leave(node)

    def close_link(self, node: "SimNode", command: CloseLink, answer: Answering) -> None:
        """A node closes a connection that stayed open, or sees that it is."""
        for place in self._places.values():
            place.leave(node, command.link)
        answer(LinkEnded(command.token, command.link))


def _nobody(token: str) -> TlsOpened:
    return TlsOpened(token, "unreachable", text="nobody listens there")
