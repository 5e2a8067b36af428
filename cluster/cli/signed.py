"""A click command whose arguments may be negative: `ucmlab fault clock sub1 -48h`.

click takes every word that begins with a minus for an option, and -48h for a cluster of three, the last of them a call
for help. No option of ours begins with a digit, so what does is a value, wherever it stands.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import islice

import click

_NEGATIVE = re.compile(r"-\.?[0-9]")


class SignedCommand(click.Command):
    """A command that reads words like -48h as its arguments; all other words as click does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See click."""
        options = (each for each in self.get_params(ctx) if isinstance(each, click.Option))
        values = {name: each.nargs for each in options if not (each.is_flag or each.count) for name in each.opts}
        return super().parse_args(ctx, _arguments_last(args, values))


def _arguments_last(words: Sequence[str], values: Mapping[str, int]) -> list[str]:
    """The same words, options first; `values` says how many words an option takes, whatever they are."""
    options: list[str] = []
    arguments: list[str] = []
    left = iter(words)
    for word in left:
        if word == "--":
            arguments += left
        elif word in values:
            taken = list(islice(left, values[word]))
            options += [word, *taken]
            if len(taken) < values[word]:
                return options  # which click refuses, naming the option
        elif word.startswith("-") and word != "-" and not _NEGATIVE.match(word):
            options.append(word)
        else:
            arguments.append(word)
    return [*options, "--", *arguments]
