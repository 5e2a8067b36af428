"""Reading what a command line names: a file, or standard input for `-`."""

import sys
from pathlib import Path

from ucmlab.cluster.errors import Unusable


def read_file(file: str, limit: int) -> bytes:
    """At most `limit` bytes, so that `/dev/zero` ends too.

    Raises:
        Unusable: it cannot be read.
    """
    try:
        if file == "-":
            return sys.stdin.buffer.read(limit)
        with Path(file).open("rb") as source:
            return source.read(limit)
    except OSError as error:
        raise Unusable(f"{file} cannot be read: {error.strerror}; name a file, or - for standard input") from error
