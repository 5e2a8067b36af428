"""The root of `ucmlab`: which commands there are, and how each of them may end.

Nothing here may import more than click: this file is paid for by every command, `ucmlab version` too.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import click

from ucmlab.cluster.cli.ending import ending_well, noticing_the_reader
from ucmlab.cluster.cli.lazy import Entry, LazyGroup

_CLI = "ucmlab.cluster.cli"
COMMANDS: Mapping[str, Entry] = {
    "init": Entry(f"{_CLI}.lab:init", "Make a lab's home; start nothing."),
    "up": Entry(f"{_CLI}.up:up", "Start a lab, made first if there is none."),
    "down": Entry(f"{_CLI}.lab:down", "End the lab's processes; its home stays."),
    "status": Entry(f"{_CLI}.watching:status", "How the lab is, on one screen."),
    "dump": Entry(f"{_CLI}.watching:dump", "The whole state of the lab as JSON."),
    "hosts": Entry(f"{_CLI}.lab:hosts", "The nodes' addresses as lines for /etc/hosts."),
    "env": Entry(f"{_CLI}.env:env", "Addresses and passwords for programs."),
    "wait": Entry(f"{_CLI}.waiting:wait", "Wait until something is so."),
    "time": Entry(f"{_CLI}.waiting:time", "Read or move the lab's time."),
    "stores": Entry(f"{_CLI}.stores:stores", "Which certificate is on which node."),
    "watch": Entry(f"{_CLI}.watch:watch", "Watch certificates reach nodes, live."),
    "bus": Entry(f"{_CLI}.bus:bus", "Show what travels on the bus, decoded."),
    "events": Entry(f"{_CLI}.watching:events", "The journal: what happened, and why."),
    "mail": Entry(f"{_CLI}.outside:mail", "What the lab's mail server has taken."),
    "syslog": Entry(f"{_CLI}.outside:syslog", "What the lab's syslog collector was told."),
    "cert": Entry(f"{_CLI}.cert:cert", "List, show, upload, delete, request and make certificates."),
    "plant": Entry(f"{_CLI}.planting:plant", "Set up a state: certificates past all rules."),
    "age": Entry(f"{_CLI}.planting:age", "Set up a state: an identity that expires soon."),
    "ca": Entry(f"{_CLI}.ca:ca", "The lab's own third-party CAs: sign requests, revoke."),
    "service": Entry(f"{_CLI}.service:service", "List services and order them about."),
    "cli": Entry(f"{_CLI}.platform_cli:cli", "The command line of the platform of a node."),
    "parameter": Entry(f"{_CLI}.parameter:parameter", "List, read and set what administrators set."),
    "upgrade": Entry(f"{_CLI}.upgrade:upgrade", "Upgrade a node or the cluster to a later release."),
    "tls": Entry(f"{_CLI}.tls:tls", "See what a listener presents, and whether it is trusted."),
    "fault": Entry(f"{_CLI}.fault:fault", "Break something, or mend it."),
    "explore": Entry(f"{_CLI}.explore:explore", "Search thousands of failure schedules in virtual time."),
    "exhaust": Entry(f"{_CLI}.exhaust:command", "Try every schedule of a small cluster in virtual time."),
    "bench": Entry(f"{_CLI}.bench:bench", "Measure this machine's lab."),
    "node": Entry(f"{_CLI}.node:node", "Run one node in the foreground, as a container does."),
    "broker": Entry(f"{_CLI}.brokercmd:broker", "Run the embedded broker alone, in the foreground."),
    "doctor": Entry(f"{_CLI}.doctor:doctor", "Examine what a lab is to use: a broker."),
    "version": Entry(f"{_CLI}.version:version", "Print the version."),
}
HELP = """A laboratory for the certificate life of a Unified CM cluster.

Exit status: 0 done, 1 refused or not met, 2 could not be carried out as asked, 3 indefinite."""


class Root(LazyGroup):
    """The root group. However a command ends, a user sees a line and an exit status, never a stack trace."""

    def main(self, args: Sequence[str] | None = None, *more: Any, **options: Any) -> NoReturn:  # noqa: ANN401  click's
        """Run one command line and end the process."""
        given = list(sys.argv[1:] if args is None else args)
        with ending_well(given):
            options["standalone_mode"] = False
            status = super().main(given, *more, **options)
            sys.exit(status if isinstance(status, int) else 0)
        raise AssertionError("a command line has no other end")  # pragma: no cover

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:  # noqa: ANN401  click's
        """See click; --help is printed in here."""
        with noticing_the_reader():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: click.Context) -> object:
        """See click."""
        with noticing_the_reader():
            return super().invoke(ctx)


def root() -> Root:
    """A root group with the commands of this folder; the stories' commands are added by who may import them."""
    made = Root(name="ucmlab", entries=COMMANDS, help=HELP)
    # Looked up only when asked for; the same line as `ucmlab version` prints.
    return click.version_option(package_name="ucmlab", prog_name="ucmlab", message="%(prog)s %(version)s")(made)
