"""`ucmlab mail`, `syslog`: what the nodes of a running lab told the outside."""

import time
from collections.abc import Iterator
from pathlib import Path

import click

from ucmlab.cluster.cli import attaching
from ucmlab.cluster.cli.lablink import LabLink
from ucmlab.cluster.cli.options import directory_option, json_option
from ucmlab.cluster.cli.printing import print_line, printable
from ucmlab.cluster.outside.received import Logged, Mail
from ucmlab.cluster.provision import open_lab

FOLLOW_EVERY_S = 0.1
"""Machine time between two questions."""
SEVERITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")


@click.command()
@directory_option
@json_option
def mail(*, directory: Path, as_json: bool) -> None:
    """Print what the lab's mail server has taken, the oldest first."""
    with attaching.attach(open_lab(directory)) as lab:
        for each in lab.mail().mails:
            if as_json:
                print_line(each)
            else:
                click.echo(mail_text(each))


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on until interrupted.")
@click.option("--node", metavar="N", help="Only messages of this node.")
@directory_option
@json_option
def syslog(*, follow: bool, node: str | None, directory: Path, as_json: bool) -> None:
    """Print what the lab's syslog collector was told, the oldest first."""
    home = open_lab(directory)
    if node is not None:
        home.node_home(node)
    with attaching.attach(home) as lab:
        for each in _messages(lab, follow=follow):
            if node not in (None, each.node):
                continue
            if as_json:
                print_line(each)
            else:
                click.echo(message_text(each))


def mail_text(mail: Mail) -> str:
    """A mail as people read it."""
    head = (f"{mail.at}  {mail.node}", f"To: {'; '.join(mail.recipients)}", f"Subject: {mail.subject}", "")
    return "\n".join(printable(line) for line in (*head, *mail.text.splitlines(), ""))


def message_text(message: Logged) -> str:
    """A syslog message in a line."""
    severity = SEVERITIES[message.severity]
    return printable(f"{message.at}  {message.node:<6} {severity:<7} {message.text}")


def _messages(lab: LabLink, *, follow: bool) -> Iterator[Logged]:
    seen = 0
    while True:
        told = lab.syslog(seen)
        yield from told.messages
        seen = told.count
        if not follow:
            return
        time.sleep(FOLLOW_EVERY_S)
