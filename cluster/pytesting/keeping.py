"""pytest's end of a lab's keeper (`ucmlab.cluster.pytesting.keeper`)."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

END_TIMEOUT_S = 120.0
"""Machine time for a keeper to end its lab; it kills what does not end by itself before that."""


class NotStarted(Exception):
    """`ucmlab up` has started no lab."""

    def __init__(self, options: Sequence[str], text: str) -> None:
        """Keep what was asked for, and the command's own word."""
        super().__init__(f"`{' '.join(('ucmlab up', *options))}` started no lab: {text}")
        self.text = text


@contextmanager
def kept_lab(folder: Path, options: Sequence[str]) -> Iterator[Path]:
    """A lab that runs as long as this lasts; its home. In the end there are neither processes nor `folder`.

    Raises:
        NotStarted: there is none.
    """
    command = [sys.executable, "-P", "-m", "ucmlab.cluster.pytesting.keeper", str(folder), *options]
    # In a session of its own: a Ctrl-C is for pytest, which ends its labs in order.
    keeper = subprocess.Popen(  # noqa: S603  our own program, and no shell
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        told = keeper.stdout.readline() if keeper.stdout is not None else b""
        status, text = json.loads(told) if told else (1, "its keeper ended before it was ready")
        if status != 0:
            raise NotStarted(options, text.strip())
        yield folder / "lab"
    finally:
        if keeper.stdin is not None:
            keeper.stdin.close()
        keeper.wait(END_TIMEOUT_S)
        if keeper.stdout is not None:
            keeper.stdout.close()
