"""How somebody outside the cluster looks at a listener: connects, sees what is presented, and says hello."""

from ucmlab.cluster.calling import Caller
from ucmlab.cluster.errors import Unusable
from ucmlab.node.commands import OpenTls
from ucmlab.node.connections import reason_of
from ucmlab.node.events import TlsOpened
from ucmlab.node.handshake import Shown, Standard
from ucmlab.node.listeners import Listener
from ucmlab.node.rulebook import RuleBook


class _NoKeys:
    """Who has no certificate presents none."""

    def identity(self, service: str, unit: str) -> None:
        """None."""


def look(listener: Listener, *, node: str, name: str, trusted: tuple[bytes, ...], ec_only: bool = False) -> OpenTls:
    """A look at a node's listener: called by this name, trusting these (DER). The address is the lab's to fill in."""
    return OpenTls(
        token=node,
        service="",
        unit="",
        node=node,
        listener=listener.name,
        address="",
        name=name,
        checks_name=True,
        trusted=trusted,
        ec_only=ec_only,
        speaks=listener.speaks,
    )


def seen(command: OpenTls, opened: TlsOpened, *, wall: int) -> tuple[str, str]:
    """Why the one who looked does not go on, a word and a text; empty when he does."""
    standard = Standard(trusted=command.trusted, usage="server", name=command.name, wall=wall)
    return reason_of(Shown(opened.chain), standard, opened)


async def probe(command: OpenTls) -> TlsOpened:
    """Connect as the command says; whatever the server does is told in the answer."""
    return await Caller(_NoKeys()).open_tls(command)


def listener_of(rulebook: RuleBook, where: str | int) -> Listener:
    """The TLS listener of a service (its last one: 8443 of Tomcat), of a name as `dump` has it, or of a port.

    Raises:
        Unusable: there is none.
    """
    wanted = str(where).casefold()
    there = [row for row in rulebook.listeners.values() if row.speaks != "ssh"]
    found = [row for row in there if wanted in _names(row)]
    always = [row for row in found if row.when is None]
    if not found:
        known = ", ".join(f"{row.service} ({row.port})" for row in there)
        raise Unusable(f"nothing listens at {where}; there are {known}")
    return (always or found)[-1]


def _names(row: Listener) -> tuple[str, ...]:
    service = row.service.casefold()
    return row.name, service, service.removeprefix("cisco "), str(row.port)
