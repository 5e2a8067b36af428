"""One SMTP conversation of the lab's mail server: aiosmtpd's protocol, on the loop that runs and without its threads.

A slow server is slow at the first word: it says EHLO's answer late, so whoever gives up before has brought nothing.
"""

import asyncio
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from aiosmtpd.smtp import SMTP, Envelope, Session

from ucmlab.cluster.outside.received import Mail, is_address, node_of
from ucmlab.node.instant import from_datetime, rfc3339

if TYPE_CHECKING:
    from ucmlab.cluster.outside.mail import MailServer

LARGEST_MAIL = 1 << 20
IDLE_S = 10 * 24 * 3600.0
"""Machine time: lab time may stand still for as long as somebody thinks."""
_parser = BytesParser(EmailMessage, policy=policy.SMTP)


class Conversation(SMTP):
    """The server's side."""

    def __init__(self, server: "MailServer") -> None:
        """Nobody is there yet."""
        self._place = server
        super().__init__(
            _Answers(server),
            data_size_limit=LARGEST_MAIL,
            hostname=f"{server.name}.outside",
            ident="ucmlab",
            timeout=IDLE_S,
            loop=asyncio.get_running_loop(),
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._place.begun(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio; whoever waits for an answer is let go."""
        self._place.ended(self)
        super().connection_lost(error)

    def break_off(self) -> None:
        """Hang up without a word."""
        transport = self.transport
        if isinstance(transport, asyncio.Transport):
            transport.abort()


class _Answers:
    """What the server says; aiosmtpd calls these by their names."""

    def __init__(self, server: "MailServer") -> None:
        self._place = server

    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        del server, envelope
        session.host_name = hostname
        await self._place.delay(node_of(hostname))
        return responses

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del server, session, options
        if not is_address(address):
            return "553 5.1.3 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 taken"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        del server
        content = envelope.original_content or b""
        message = _parser.parsebytes(content)
        mail = Mail(
            at=self._place.now(),
            node=node_of(session.host_name or ""),
            sender=envelope.mail_from or "",
            recipients=tuple(envelope.rcpt_tos),
            subject=str(message["Subject"] or ""),
            text=_text(message),
            written=_date(message),
        )
        self._place.box.put(mail)
        return "250 2.0.0 taken"


def _text(message: EmailMessage) -> str:
    """The text of a mail; empty for what has none, or none that can be read."""
    body = message.get_body(("plain",))
    if body is None:
        return ""
    try:
        return str(body.get_content()).replace("\r\n", "\n")
    except (LookupError, ValueError):
        return ""


def _date(message: EmailMessage) -> str:
    try:
        return rfc3339(from_datetime(parsedate_to_datetime(str(message["Date"]))))
    except (TypeError, ValueError):
        return ""
