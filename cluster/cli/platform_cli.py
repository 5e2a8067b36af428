"""`ucmlab cli`: the command line of the platform of one node, as its SSH shows it, without a client of one's own."""

import shlex
import sys
from pathlib import Path

import click

from ucmlab.cluster.cli import attaching
from ucmlab.cluster.cli.ending import REFUSED
from ucmlab.cluster.cli.options import directory_option
from ucmlab.cluster.cli.snapshot import Outline
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.provision import open_lab

LISTENER = "ssh"


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("node")
@click.argument("words", metavar="[COMMAND]", nargs=-1)
@directory_option
def cli(node: str, words: tuple[str, ...], *, directory: Path) -> None:
    """Be at the command line of a node, or have it carry out one command.

    Answers to a command's questions come from standard input, a line each, and so does a text to be pasted, which a
    blank line or the end of the input ends; what nobody asks for is not read. A `?` at the end of a command shows how
    it may go on. Exit status 1: the command failed; 2: it asked, and nobody answered; 3: the connection was lost
    meanwhile, as when the command has the node boot.
    """
    # asyncssh takes a third of a second to import: not before it is known that there is somebody to talk to.
    home = open_lab(directory)
    host, port = _place(attaching.running_outline(home), node)
    from ucmlab.cluster.cli.piping import Unanswered  # noqa: PLC0415  see above
    from ucmlab.cluster.cli.terminal import converse  # noqa: PLC0415  see above

    secret = home.credentials()
    try:
        status = converse(host, port, secret.os_user, secret.os_password, command=" ".join(words))
    except Unanswered as error:
        how = _answering(f"ucmlab cli {node}", shlex.join(words), error.waits)
        raise Unusable(f"it asked, and nobody answered; {how}, or `ucmlab cli {node}` at a terminal") from error
    sys.exit(REFUSED if status else 0)


def _place(state: Outline, node: str) -> tuple[str, int]:
    found = state.node(node)
    address = found.addresses.get(LISTENER)
    if address is None:
        mend = f"start it with `ucmlab fault start {node}`" if found.state == "down" else "see `ucmlab service list`"
        raise Unusable(f"{node} has no command line now, it is {found.state}; {mend}")
    host, _, port = address.rpartition(":")
    return host, int(port)


def _answering(program: str, command: str, waits: str) -> str:
    if not command:
        return "give the answer in the line behind the command"
    if waits == "text":
        return f"`{program} {command} < FILE`"
    return f"`echo {'NAME' if waits == 'name' else 'yes'} | {program} {command}`"
