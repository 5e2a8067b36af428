"""How the answer to an operation is told: a line for people, an object for programs, an exit status for both."""

import secrets
import sys
from collections.abc import Mapping
from typing import NoReturn

import click

from ucmlab.cluster.cli.ending import DONE, INDEFINITE, REFUSED, one_line
from ucmlab.cluster.cli.printing import print_result
from ucmlab.node.commands import Reply
from ucmlab.node.errors import Refusal
from ucmlab.node.rulebook import RuleBook

STATUS: Mapping[str, int] = {"done": DONE, "refused": REFUSED, "partial": REFUSED, "indefinite": INDEFINITE}


def operation_id() -> str:
    """A new operation's id: random, because two operators know nothing of each other."""
    return f"cli-{secrets.token_hex(8)}"


def refused(rulebook: RuleBook, refusal: Refusal, **fields: str) -> Reply:
    """The reply to what is refused before any node is asked; `fields` are those of the product's text."""
    text = rulebook.refusal_text(refusal.reason, detail=refusal.text, release=rulebook.release.name, **fields)
    return Reply("", "refused", refusal.reason, text)


def end_with(reply: Reply, *, as_json: bool, done: str, status: int | None = None) -> NoReturn:
    """Tell the reply and end the command.

    Args:
        reply: the answer.
        as_json: as an object rather than as lines.
        done: what was done, for people.
        status: an exit status other than the outcome's.
    """
    if as_json:
        print_result(_object(reply))
    else:
        _tell(reply, done)
    sys.exit(STATUS[reply.outcome] if status is None else status)


def _object(reply: Reply) -> dict[str, object]:
    return {
        "outcome": reply.outcome,
        "reason": reply.reason,
        "text": reply.text,
        "warnings": reply.warnings,
        "operation_id": reply.op_id,
        "nodes": reply.nodes,
    }


def _tell(reply: Reply, done: str) -> None:
    for warning in reply.warnings:
        click.echo(f"warning: {one_line(warning)}", err=True)
    if reply.outcome == "done":
        click.echo(done)
    else:
        # One line, whatever happened: scripts and people look for the reason word in it.
        words = " ".join(filter(None, (reply.outcome, reply.reason)))
        click.echo(f"{words}: {one_line(reply.text)}" if reply.text else words, err=True)
    if reply.nodes:
        click.echo("  ".join(f"{node}: {word}" for node, word in reply.nodes.items()), err=reply.outcome != "done")
