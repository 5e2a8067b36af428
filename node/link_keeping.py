"""Long-lived links of this node to servers outside: which connections stay open, and when they end (R-192, C-59).

A connection of a client that `revocation.toml` calls long-lived is not closed again when it has been trusted. It ends
when the check of `ucmlab.node.links` drops it, when its service stops, with the node, or when the other end has gone.
Between nodes a connection only says hello: what keeps such a link up is nothing that is public.
"""

from ucmlab.node.commands import CloseLink
from ucmlab.node.context import Context
from ucmlab.node.events import LinkEnded
from ucmlab.node.links import Links
from ucmlab.node.status import LinkStatus


class LinkKeeping:
    """Knows what stands, and has it closed."""

    def __init__(self, context: Context, links: Links) -> None:
        """Nothing stands."""
        self._context = context
        self._links = links
        self._standing: dict[str, LinkStatus] = {}
        links.dropped = self._dropped

    def lasts(self, client: str) -> bool:
        """Whether connections of a client stay open."""
        row = self._context.rulebook.revocation.clients.get(client)
        return row is not None and row.long_lived

    def standing(self) -> tuple[LinkStatus, ...]:
        """All that stand, the oldest first."""
        return tuple(self._standing.values())

    def stands(self, link_id: str) -> bool:
        """Whether a connection is there, by its token."""
        return link_id in self._standing

    def close(self, link_id: str, why: str) -> None:
        """Have a connection end that stands, as nobody needs it any more; `why` is a stable word."""
        self._forget(link_id, why)
        self.refused(link_id)

    def opened(self, link_id: str, link: LinkStatus, chain: tuple[bytes, ...]) -> None:
        """A connection has been trusted, and stays: its token, what it is, and what the other end showed (DER)."""
        self._standing[link_id] = link
        self._links.opened(link_id, link.client, chain)
        self._context.record("link_opened", link=link_id, client=link.client, to=link.to)

    def refused(self, link_id: str) -> None:
        """A connection is not to stay, whether or not it had come about."""
        self._context.ask(CloseLink(f"close:{link_id}", link_id))

    def service_stopped(self, service: str) -> None:
        """A service has stopped, and what it had opened ends."""
        for link_id in [link_id for link_id, link in self._standing.items() if link.service == service]:
            self.close(link_id, "service_stopped")

    def ended(self, event: LinkEnded) -> None:
        """The other end has gone; or the shell has closed it, which is no news."""
        if event.link in self._standing:
            self._forget(event.link, "peer")

    def _forget(self, link_id: str, why: str) -> None:
        link = self._standing.pop(link_id)
        self._links.closed(link_id)
        self._context.record("link_closed", link=link_id, client=link.client, to=link.to, reason=why)

    def _dropped(self, link_id: str, _why: str) -> None:
        self._standing.pop(link_id, None)
        self.refused(link_id)
