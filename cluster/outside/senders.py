"""How a node of a real lab brings mail and syslog messages to a server: SMTP, and RFC 5424 over UDP and TCP.

Whatever a server does (refuse, reset, say nothing, speak nonsense) becomes the event that answers; whether it is worth
another try is said with it. Time limits are the core's, in lab time; the one here is machine time, for a server outside
the lab that hangs while lab time stands still.
"""

import asyncio
import hashlib
import os
from collections.abc import Mapping
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING

from ucmlab.cluster.exchanges import Performer
from ucmlab.cluster.outside.hangup import reset_when_left
from ucmlab.cluster.outside.received import DOMAIN
from ucmlab.node.commands import Exchange, SendMail, SendSyslog
from ucmlab.node.events import Sent
from ucmlab.node.instant import to_datetime
from ucmlab.node.syslog import framed

if TYPE_CHECKING:
    import aiosmtplib

Address = tuple[str, int]
SMTP_PORT = 25
SYSLOG_PORT = 514
LAST_PORT = 65_535
PATIENCE_S = 30.0
"""Machine time for a conversation with somebody else's server, which knows nothing of lab time: a lab whose
time is stepped waits for it. The lab's own answer when lab time says so, however long somebody thinks meanwhile."""
FAREWELL_S = 1.0
"""Machine time for the answer to QUIT: the mail is taken by then, whatever becomes of the connection."""
_LASTING = range(500, 600)
"""Reply codes after which trying again is of no use (RFC 5321, 4.2.1)."""
_TAKEN = range(200, 300)
_WIRE = SMTP.clone(cte_type="7bit")


class Senders:
    """What one node sends."""

    def __init__(self, fqdn: str, places: Mapping[str, Address]) -> None:
        """`fqdn` is the node's name; `places` are the lab's own servers, by the names that only nodes know."""
        self._fqdn = fqdn
        self._places = places

    def performers(self) -> dict[type[Exchange], Performer]:
        """What carries out which exchange."""
        return {SendMail: self.mail, SendSyslog: self.syslog}

    # -- mail

    async def mail(self, command: SendMail) -> Sent:
        """Bring one mail."""
        # Mail is off until somebody turns it on, and a node that sends none is to be small.
        from aiosmtplib import SMTP as Client  # noqa: N811, PLC0415
        from aiosmtplib import SMTPException, SMTPResponseException  # noqa: PLC0415

        client = Client(local_hostname=self._fqdn, use_tls=False, start_tls=False, timeout=None)
        try:
            async with asyncio.timeout(self._patience(command.server)):
                host, port = self._where(command.server, SMTP_PORT)
                await client.connect(hostname=host, port=port)
                return await self._converse(client, command)
        except SMTPResponseException as error:
            return Sent(command.token, _said(error.code, error.message), lasting=error.code in _LASTING)
        except (SMTPException, OSError, ValueError) as error:
            # ValueError: a reply that is no text, or a name that cannot be looked up.
            return Sent(command.token, _reason(error, command.server))
        finally:
            client.close()

    async def _converse(self, client: "aiosmtplib.SMTP", command: SendMail) -> Sent:
        await client.ehlo()
        answer = await client.execute_command(b"MAIL", b"FROM:<%b>" % command.sender.encode())
        if answer.code not in _TAKEN:
            return Sent(command.token, _said(*answer), lasting=answer.code in _LASTING)
        refused: list[str] = []
        for recipient in command.recipients:
            # As it is: the client's own call would make one address of what an administrator took for two.
            answer = await client.execute_command(b"RCPT", b"TO:<%b>" % recipient.encode())
            if answer.code in _LASTING:
                refused.append(recipient)
            elif answer.code not in _TAKEN:
                return Sent(command.token, _said(*answer))
        if len(refused) == len(command.recipients):
            return Sent(command.token, "no recipient was taken", lasting=True, refused=tuple(refused))
        await client.data(self._written(command))
        await _take_leave(client)
        return Sent(command.token, refused=tuple(refused))

    def _written(self, command: SendMail) -> bytes:
        message = EmailMessage(policy=_WIRE)
        written = to_datetime(command.wall)
        identity = hashlib.blake2b(f"{command.token} {command.wall}".encode(), digest_size=8).hexdigest()
        message["From"] = command.sender
        message["To"] = _header(command.recipients)
        message["Subject"] = command.subject
        message["Date"] = format_datetime(written)
        message["Message-ID"] = f"<{identity}@{self._fqdn}>"
        message.set_content(command.text)
        return message.as_bytes()

    # -- syslog

    async def syslog(self, command: SendSyslog) -> Sent:
        """Bring syslog messages."""
        send = self._stream if command.protocol == "tcp" else self._datagrams
        try:
            async with asyncio.timeout(self._patience(command.server)):
                written = tuple(message.write() for message in command.messages)
                await send(self._where(command.server, SYSLOG_PORT), written)
        except (OSError, ValueError) as error:
            return Sent(command.token, _reason(error, command.server))
        return Sent(command.token)

    async def _datagrams(self, address: Address, messages: tuple[bytes, ...]) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=address)
        for message in messages:
            transport.sendto(message)
        transport.close()

    async def _stream(self, address: Address, messages: tuple[bytes, ...]) -> None:
        """Over one connection; the collector has read everything when it closes its end as well."""
        reader, writer = await asyncio.open_connection(*address)
        reset_when_left(writer.get_extra_info("socket"))
        try:
            writer.write(b"".join(map(framed, messages)))
            writer.write_eof()
            while await reader.read(4096):
                pass  # nothing that a collector says means anything (RFC 6587, 3.1)
        finally:
            writer.close()

    def _patience(self, server: str) -> float | None:
        return None if server in self._places else PATIENCE_S

    def _where(self, server: str, usual_port: int) -> Address:
        """Where a server is that an administrator named.

        Raises:
            ValueError: its port is none, or it is a place of the lab's that is not here.
        """
        if server in self._places:
            return self._places[server]
        if server.endswith(DOMAIN):
            # A node that runs on its own has no such places beside it, and no DNS to ask for them.
            raise ValueError(f"{server} cannot be reached")
        host, _, port = server.partition(":")
        if not port:
            return host, usual_port
        if not (port.isascii() and port.isdigit() and 0 < int(port) <= LAST_PORT):
            raise ValueError(f"{server}: {port!r} is no port")
        return host, int(port)


async def _take_leave(client: "aiosmtplib.SMTP") -> None:
    from aiosmtplib import SMTPException  # noqa: PLC0415  see `Senders.mail`

    try:
        async with asyncio.timeout(FAREWELL_S):
            await client.quit()
    except (SMTPException, OSError):
        pass


def _header(recipients: tuple[str, ...]) -> str:
    """Recipients as a header may have them: what is no address is shown, and means nothing there."""
    return ", ".join(each for each in recipients if each.isascii() and "," not in each) or "undisclosed-recipients:;"


def _said(code: int, text: str) -> str:
    return f"{code} {text}".replace("\n", " ")[:200]


def _reason(error: Exception, server: str) -> str:
    """Why there was no conversation, or no end of one, in a line."""
    if isinstance(error, TimeoutError):
        return f"{server} does not answer"
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    number = getattr(cause, "errno", None)
    # asyncio's own words for a refusal have the address in them, and are not the same in every version.
    text = os.strerror(number) if isinstance(number, int) and number > 0 else str(error) or type(error).__name__
    return text.replace("\n", " ")[:200]
