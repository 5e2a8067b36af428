"""The lab's mail server: SMTP on a socket of its own, and a box for everything that it takes."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from ucmlab.cluster.outside.place import Holding, Place
from ucmlab.cluster.outside.received import MAIL, Kept, Mail

if TYPE_CHECKING:
    from ucmlab.cluster.outside.conversation import Conversation


class MailServer(Place):
    """Takes mail for every address that is one."""

    wanted_port = 25

    def __init__(self, holding: Holding, *, now: Callable[[], str], keep: int) -> None:
        """It listens nowhere until `open`.

        Args:
            holding: holds its answers back.
            now: the lab's clock, as RFC 3339.
            keep: how many mails.
        """
        super().__init__(MAIL, holding)
        self.now = now
        self.box: Kept[Mail] = Kept(keep)
        self._server: asyncio.Server | None = None
        self._conversations: set[Conversation] = set()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._conversation, self.host, self.port)

    def _conversation(self) -> asyncio.BaseProtocol:
        # Most labs never send a mail: whoever sends the first waits for the import.
        from ucmlab.cluster.outside.conversation import Conversation  # noqa: PLC0415

        return Conversation(self)

    def _deafen(self) -> None:
        if self._server is not None:
            self._server.close()
        for conversation in list(self._conversations):
            conversation.break_off()

    # -- what conversations tell

    def begun(self, conversation: "Conversation") -> None:
        """Somebody has connected."""
        self._conversations.add(conversation)

    def ended(self, conversation: "Conversation") -> None:
        """Somebody is gone."""
        self._conversations.discard(conversation)
