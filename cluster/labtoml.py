"""A `lab.toml` (`--config`): says what options of `ucmlab init` and `up` say. Each mistake is told with its line.

    nodes = ["pub", "sub1", "sub2", "imp1"]   # or "pub,sub1,sub2,imp1"; their names choose their roles
    release = "14SU2"
    profile = "seed"             # seed, english, tac
    replication = "auto"         # auto, faithful, modern, legacy
    timing = "instant"           # instant, product
    domain = "lab.test"
    beyond_product = false       # true: more nodes than the product allows
    der_pkcs7 = false            # true: an upload may be a PKCS#7 chain in DER (X-15)
    strict_uploads = false       # true: a certificate that lacks what its request asked for is refused (R-031)
    at = 2027-01-31T08:00:00Z    # the lab's wall clock at its start
    speed = 1                    # of lab time
    broker = "embedded"          # embedded, mosquitto, or a broker's URL
    broker_ca = "ca.pem"         # beside this file
    listen = "127.0.0.1"         # the broker's address
    ports = "auto"               # of the services: auto, real, offset:10000

Every key may be left out. Here each is judged by itself; whether they make a lab is judged where options are, and
`LabToml.place` then says which line to look at.
"""

import codecs
import difflib
import re
import tomllib
from bisect import bisect_left
from collections.abc import Callable, Sequence
from datetime import date
from typing import get_args

import msgspec

from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.toml_lines import Lines, line_numbers
from ucmlab.cluster.topology import DEFAULT_DOMAIN, DEFAULT_RELEASE, Profile
from ucmlab.node.config import Policy, Timing

SIZE_LIMIT = 1 << 18
"""Bytes: a lab of ten thousand nodes fits."""
SPEED_LIMIT = 100_000
_SHOWN = 40
"""Characters of a wrong value that its line repeats."""
_SHOWN_BITS = 64
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_KEY_OF_LINE = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")
_SYNTAX = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)


class Accepted(msgspec.Struct, frozen=True):
    """What may stand behind a key."""

    fits: Callable[[object], bool]
    words: str
    """The same for people."""


def _one_of(values: Sequence[str]) -> Accepted:
    return Accepted(lambda value: isinstance(value, str) and value in values, f"there are {', '.join(values)}")


def _text_like(example: str) -> Accepted:
    # A null byte ends a path for the system, and not for Python.
    return Accepted(
        lambda value: isinstance(value, str) and "\0" not in value, f'say a text in quotation marks, like "{example}"'
    )


def _are_names(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(each, str) for each in value))


def _is_speed(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= SPEED_LIMIT


_FLAG = Accepted(lambda value: isinstance(value, bool), "say true or false")
KEYS: dict[str, Accepted] = {
    "nodes": Accepted(_are_names, 'say names, which choose the roles, like ["pub", "sub1"] or "pub,sub1"'),
    "release": _text_like(DEFAULT_RELEASE),
    "profile": _one_of(get_args(Profile)),
    "replication": _one_of(("auto", *get_args(Policy))),
    "timing": _one_of(get_args(Timing)),
    "domain": _text_like(DEFAULT_DOMAIN),
    "beyond_product": _FLAG,
    "der_pkcs7": _FLAG,
    "strict_uploads": _FLAG,
    "at": Accepted(lambda value: isinstance(value, (str, date)), "say an instant, like 2027-01-31T08:00:00Z"),
    "speed": Accepted(_is_speed, f"say a number above 0, at most {SPEED_LIMIT}"),
    "broker": _text_like("embedded"),
    "broker_ca": _text_like("ca.pem"),
    "listen": _text_like("127.0.0.1"),
    "ports": _text_like("auto"),
}


class LabToml(msgspec.Struct, frozen=True):
    """A lab.toml in which each key by itself is right."""

    where: str
    """Its path, as it was named."""
    values: dict[str, object]
    """What it says, and nothing that it does not say; an instant is a text here, as options have it."""
    lines: Lines

    def __repr__(self) -> str:
        # A broker's URL may have a password in it.
        return f"LabToml({self.where!r})"

    def place(self, key: str, index: int | None = None) -> str:
        """What a message about a key, or about an element of its list, begins with: `lab.toml:12: nodes[2]`."""
        elements = self.lines.elements.get(key, ())
        if index is not None and index < len(elements):
            return f"{self.where}:{elements[index]}: {key}[{index}]"
        return f"{self.where}:{self.lines.keys[key]}: {key if _BARE.fullmatch(key) else _shown(key)}"


def read_lab_toml(data: bytes, *, where: str = "lab.toml") -> LabToml:
    """Read a lab.toml.

    Args:
        data: its content; may be cut off behind `SIZE_LIMIT`, as it is refused then.
        where: its path, for messages.

    Raises:
        Unusable: it is no TOML, has a key that there is not, or a value that its key does not take; the text names
            file, line and key, and what would do.
    """
    if len(data) > SIZE_LIMIT:
        raise Unusable(f"{where} is larger than {SIZE_LIMIT} bytes; name nodes and settings alone")
    text = _decoded(data, where)
    found = _parsed(text, where)
    file = LabToml(where, {key: _as_option(value) for key, value in found.items()}, line_numbers(text))
    for key, value in found.items():
        _judge(file, key, value)
    return file


def _judge(file: LabToml, key: str, value: object) -> None:
    if key not in KEYS:
        near = difflib.get_close_matches(key.lower().replace("-", "_")[:_SHOWN], KEYS, n=1)
        meant = f"the nearest is {near[0]}; " if near else ""
        raise Unusable(f"{file.place(key)}: there is no such key; {meant}there are {', '.join(KEYS)}")
    if KEYS[key].fits(value):
        return
    index = None
    if key == "nodes" and isinstance(value, list):
        index, value = next((at, each) for at, each in enumerate(value) if not isinstance(each, str))
    raise Unusable(f"{file.place(key, index)}: {_shown(value)} is not accepted; {KEYS[key].words}")


def _decoded(data: bytes, where: str) -> str:
    content = data.removeprefix(codecs.BOM_UTF8)  # editors of Windows put it there, and TOML does not know it
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Unusable(f"{where}:{line}: this is no text; save the file as UTF-8") from error


def _parsed(text: str, where: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = _SYNTAX.fullmatch(str(error))
        what, line, column = said.groups() if said else (str(error), None, None)
        why = f"{what[:1].lower()}{what[1:]}" + (f" at column {column}" if column else ", and the file is at its end")
        raise _no_toml(text, where, line=int(line) if line else None, why=why) from error
    except RecursionError as error:
        raise _no_toml(
            text, where, line=_first_with(text, RecursionError), why="brackets too deep in others"
        ) from error
    except ValueError as error:  # more digits than Python converts
        raise _no_toml(text, where, line=_first_with(text, ValueError), why="a number too long") from error


def _no_toml(text: str, where: str, *, line: int | None, why: str) -> Unusable:
    lines = text.removesuffix("\n").split("\n")
    number = min(line or len(lines), len(lines))
    key = _KEY_OF_LINE.match(lines[number - 1])
    place = f"{where}:{number}: " + (f"{key[1]}: " if key else "")
    return Unusable(
        f'{place}this is no TOML: {why}; a line is like release = "{DEFAULT_RELEASE}", and a key stands once'
    )


def _first_with(text: str, trouble: type[Exception]) -> int:
    """The first line with what makes `tomllib` give up without naming one: all texts that go further have it too."""
    lines = text.split("\n")

    def has_it(count: int) -> bool:
        try:
            tomllib.loads("\n".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            return False
        except trouble:
            return True
        return False

    return 1 + bisect_left(range(1, len(lines)), True, key=has_it)


def _as_option(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value


def _shown(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return repr(value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…")
        case int() if value.bit_length() > _SHOWN_BITS:
            return "a number that large"
        case list():
            return "a list"
        case dict():
            return "a table"
        case _:
            return str(value)
