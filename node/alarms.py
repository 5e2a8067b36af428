"""An alarm leaves the node: one syslog message to each collector that is set, and certificate notices by mail as well.

An alarm about a collector goes to the others only: nothing about it would get there, and nothing about that either.
What must live here: which alarm becomes what, and where it goes. What this file must not know: when to raise one.
"""

from collections.abc import Mapping

import msgspec

from ucmlab.node.alarm_rows import plain_message
from ucmlab.node.commands import SendMail, SendSyslog
from ucmlab.node.context import Context, Fact
from ucmlab.node.events import Sent
from ucmlab.node.instant import MINUTE, SECOND
from ucmlab.node.sending import Channel, Sending
from ucmlab.node.syslog import SyslogMessage

COLLECTORS = tuple(f"Remote Syslog Server Name {number}" for number in range(1, 6))
MESSAGE = "message"
"""The fact of an alarm that is the product's whole sentence about it."""
SENDER = "certmonitor"


class Letter(msgspec.Struct, frozen=True):
    """A mail that waits for its turn."""

    recipients: tuple[str, ...]
    subject: str
    text: str


def _send_syslog(context: Context, token: str, server: str, messages: tuple[SyslogMessage, ...]) -> SendSyslog:
    return SendSyslog(token, server, context.parameters.text("Remote Syslog Protocol"), messages)


def _send_mail(context: Context, token: str, server: str, letters: tuple[Letter, ...]) -> SendMail:
    (letter,) = letters
    sender = f"{SENDER}@{context.config.fqdn}"
    return SendMail(token, server, sender, letter.recipients, letter.subject, letter.text, wall=context.now.wall)


def _note_mail(context: Context, letters: tuple[Letter, ...], sent: Sent) -> None:
    for letter in letters:
        reached = [each for each in letter.recipients if each not in sent.refused]
        context.record("mail", recipients="; ".join(reached), subject=letter.subject)


SYSLOG = Channel(name="syslog", queue=256, batch=64, deadline=10 * SECOND, exchange=_send_syslog)
MAIL = Channel(name="mail", queue=32, batch=1, deadline=MINUTE, exchange=_send_mail, taken=_note_mail)


class Alarms:
    """What one node tells the outside."""

    def __init__(self, context: Context) -> None:
        """Nothing is to be told."""
        self._context = context
        self._collectors: dict[str, Sending[SyslogMessage]] = {}
        """By server; made when there is something to send."""
        self._mail_servers: dict[str, Sending[Letter]] = {}

    def raised(self, alarm: str, facts: Mapping[str, Fact]) -> None:
        """An alarm was raised: send it to every collector that is set, but for one that it is about."""
        concerned = facts.get("server") if alarm.startswith(SYSLOG.name) else None
        servers = [server for server in self._set_collectors() if server != concerned]
        if servers:
            message = self._message(alarm, facts)
            for server in servers:
                if server not in self._collectors:
                    self._collectors[server] = Sending(self._context, server, SYSLOG)
                self._collectors[server].put(message)

    def mail(self, recipients: tuple[str, ...], subject: str, text: str) -> None:
        """Send a mail, if a mail server is set."""
        server = self._set_mail_server()
        if server:
            if server not in self._mail_servers:
                self._mail_servers[server] = Sending(self._context, server, MAIL)
            self._mail_servers[server].put(Letter(recipients, subject, text))

    def sent(self, event: Sent) -> None:
        """A server has answered, or could not be reached."""
        any(each.sent(event) for each in self._all())
        self._forget()

    def timer(self, token: str) -> None:
        """A timer of `ucmlab.node.sending` has run out."""
        for each in self._all():
            if each.timer == token:
                each.due()
        self._forget()

    def _all(self) -> list[Sending[SyslogMessage] | Sending[Letter]]:
        return [*self._collectors.values(), *self._mail_servers.values()]

    def _set_collectors(self) -> list[str]:
        names = (self._context.parameters.text(name).strip() for name in COLLECTORS)
        return list(dict.fromkeys(name for name in names if name))

    def _set_mail_server(self) -> str:
        return self._context.parameters.text("SMTP Host").strip()

    def _message(self, alarm: str, facts: Mapping[str, Fact]) -> SyslogMessage:
        row, config = self._context.rulebook.alarms[alarm], self._context.config
        about = str(facts[MESSAGE]) if MESSAGE in facts else plain_message(facts)
        return SyslogMessage(
            severity=row.severity,
            wall=self._context.now.wall,
            host=config.fqdn,
            application=row.application,
            message_id=row.name,
            text=row.product_form(about, cluster=config.cluster, node=config.name),
        )

    def _forget(self) -> None:
        """Servers that are set no more, once nothing is to go there."""
        collectors, mail_server = self._set_collectors(), self._set_mail_server()
        for server in [name for name, each in self._collectors.items() if each.idle and name not in collectors]:
            del self._collectors[server]
        for server in [name for name, each in self._mail_servers.items() if each.idle and name != mail_server]:
            del self._mail_servers[server]
