"""OpenSSL's links in a folder of certificate files (B.5): `<hash>.N`, as `openssl rehash FOLDER` makes them.

Whoever verifies with that folder (`openssl verify -CApath`, `curl --capath`) opens `<hash>.0`, `<hash>.1` and so on for
the issuer it looks for, up to the first that is not there or cannot be read. So numbers have no hole, each link is
relative, and each certificate file that OpenSSL can read has one.

A symbolic link of such a name is ours to put right, as it is rehash's to remove; any other file of such a name is
somebody's, stays, and its number is passed over. Links are read, never followed. That one cannot be made fails nothing:
the certificate is there, nothing in ucmlab looks it up this way, and there are file systems that have no links.
"""

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path

from ucmlab.node.durable import remove_file
from ucmlab.node.privatefile import TEMPORARY
from ucmlab.node.subject_hash import subject_hash

_NAME = re.compile(r"([0-9a-f]{8})\.(0|[1-9][0-9]{0,8})")
_Numbers = dict[int, str | None]
"""Of one hash: number to the name in the link; None, it is no link and its number is taken."""


def link(path: Path, der: bytes, *, new: bool) -> None:
    """Have a certificate file linked under the hash of its subject, and no other.

    Args:
        path: the file, in place.
        der: what it holds.
        new: nothing had its name before.
    """
    with suppress(OSError):
        subject = subject_hash(der)
        linked: list[str] = []
        if not new:
            found = _read(path.parent)
            linked = [old for old, numbers in found.items() if path.name in numbers.values()]
            for old in linked:
                if old != subject:
                    _drop(path, old, found[old])
        if subject is not None and subject not in linked:
            _add(path, subject)


def unlink(path: Path) -> None:
    """Forget a certificate file, which may be gone already; the last link of its hash takes the place of its own.

    Raises:
        OSError: the disk did not take it.
    """
    for subject, numbers in _read(path.parent).items():
        if path.name in numbers.values():
            _drop(path, subject, numbers)


def relink(folder: Path, ders: Mapping[str, bytes]) -> None:
    """Put all links of a folder right, whatever is there.

    Args:
        folder: need not be there if there are no files.
        ders: name of each certificate file to what it holds.
    """
    hashes = {name: subject_hash(der) for name, der in ders.items()}
    with suppress(OSError):
        found = _read(folder)
        for subject in sorted({*found, *(each for each in hashes.values() if each is not None)}):
            numbers = found.get(subject, {})
            kept = dict.fromkeys(name for name in _in_order(numbers) if hashes.get(name) == subject)
            missing = sorted(name for name, its in hashes.items() if its == subject and name not in kept)
            _arrange(folder, subject, numbers, [*kept, *missing])


def _add(path: Path, subject: str) -> None:
    # A node does this a hundred times at its start: one system call, where the subject is new too.
    folder, name = os.path.split(path)
    place, number = f"{folder or '.'}/{subject}", 0
    while _target(f"{place}.{number}") != name:
        try:
            os.symlink(name, f"{place}.{number}")  # noqa: PTH211  strings, as in `durable`
        except FileExistsError:
            number = _free(place, number)
            continue
        return


def _free(place: str, taken: int) -> int:
    """The first number after a taken one that nothing has. There are no holes, and hundreds may have one hash."""
    free = taken + 1
    while os.path.lexists(f"{place}.{free}"):
        taken, free = free, 2 * free
    while free - taken > 1:
        middle = (taken + free) // 2
        taken, free = (middle, free) if os.path.lexists(f"{place}.{middle}") else (taken, middle)
    return free


def _drop(path: Path, subject: str, numbers: _Numbers) -> None:
    # From behind, so that the last one is never one that goes too: at no moment is there a hole.
    ours = sorted(number for number, name in numbers.items() if name is not None)
    for number in [number for number in reversed(ours) if numbers[number] == path.name]:
        last = ours.pop()
        if last != number:
            _replace(path.parent, f"{subject}.{number}", numbers[last] or "")
        remove_file(f"{path.parent}/{subject}.{last}")


def _arrange(folder: Path, subject: str, numbers: _Numbers, names: Sequence[str]) -> None:
    # Upwards, then the rest downwards: at no moment is there a hole, or a certificate that stays without a link.
    free = (number for number in count() if numbers.get(number, "") is not None)
    arranged = dict(zip(free, names, strict=False))
    for number, name in arranged.items():
        if numbers.get(number) != name:
            _replace(folder, f"{subject}.{number}", name)
    for number in sorted(numbers, reverse=True):
        if number not in arranged and numbers[number] is not None:
            remove_file(f"{folder}/{subject}.{number}")


def _replace(folder: Path, place: str, name: str) -> None:
    temporary = f"{folder}/{TEMPORARY}{place}"
    remove_file(temporary)
    os.symlink(name, temporary)  # noqa: PTH211  as above
    os.rename(temporary, f"{folder}/{place}")  # noqa: PTH104  as above


def _read(folder: Path) -> dict[str, _Numbers]:
    """Hash to what has its names."""
    found: dict[str, _Numbers] = {}
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            match = _NAME.fullmatch(entry.name)
            if match:
                target = _target(entry.path) if entry.is_symlink() else None
                found.setdefault(match[1], {})[int(match[2])] = target
    return found


def _in_order(numbers: _Numbers) -> list[str]:
    return [name for _, name in sorted(numbers.items()) if name is not None]


def _target(place: str) -> str | None:
    try:
        return os.readlink(place)  # noqa: PTH115  as above
    except OSError:
        return None
