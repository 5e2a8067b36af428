"""What a fault's parameters may be, and how they are read from the text that stories and command lines write."""

from collections.abc import Callable
from typing import Literal, get_args

import msgspec

from ucmlab.cluster.errors import Unusable
from ucmlab.node.commands import AnyCommand
from ucmlab.node.instant import duration

Value = int | float | str
"""Durations and offsets are microseconds."""
COMMANDS = tuple(sorted(command.__name__ for command in get_args(AnyCommand)))
"""What a node performs: a death may wait for its next one of a name."""
Kind = Literal["duration", "offset", "share", "rate", "count", "word", "command", "text"]


class Parameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One parameter of a row. Without a default it must be given."""

    kind: Kind
    default: str | None = None
    words: tuple[str, ...] = ()
    """Of kind `word`: those there are."""


def read(owner: str, name: str, parameter: Parameter, text: str) -> Value:
    """The value that a text stands for.

    Raises:
        Unusable: it stands for none; the line says of whose parameter, and what would work.
    """
    if parameter.kind == "word" and text not in parameter.words:
        raise Unusable(f"{owner} has no {name} {text!r}; there are {', '.join(parameter.words)}")
    if parameter.kind == "command" and text and text not in COMMANDS:
        raise Unusable(f"a node performs no command {text!r}; there are {', '.join(COMMANDS)}")
    reading, example = _READINGS[parameter.kind]
    try:
        return reading(text)
    except ValueError:
        raise Unusable(f"{name}={text} of {owner} is no {parameter.kind}; write it like {example}") from None


def _offset(text: str) -> int:
    return -duration(text.removeprefix("-")) if text.startswith("-") else duration(text)


def _duration(text: str) -> int:
    if text.startswith("+"):
        raise ValueError(text)
    return duration(text)


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise ValueError(text)
    return value


def _rate(text: str) -> float:
    value = float(text)
    if not 0.1 <= value <= 10:  # noqa: PLR2004  # a clock beyond that is off at once, which is an offset's business
        raise ValueError(text)
    return value


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError(text)
    return int(text)


_READINGS: dict[Kind, tuple[Callable[[str], Value], str]] = {
    "duration": (_duration, "50ms, 90s or 31m"),
    "offset": (_offset, "+48h, -10m or 90s"),
    "share": (_share, "0.5, above 0 and at most 1"),
    "rate": (_rate, "1.001, from 0.1 to 10"),
    "count": (_count, "3"),
    "word": (str, ""),
    "command": (str, ""),
    "text": (str, ""),
}
"""How each kind is read, and what an error shows as an example."""
