"""Command lines as processes of their own that need not begin with importing everything: forked from one that has.

`ucmlab` takes 0.3 s to begin and 0.01 s to ask something. Tests of what a lab does run dozens of commands; how one
begins, and what that costs, is the business of `test_cli_lab`.
"""

import atexit
import importlib
import json
import os
import pkgutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from ucmlab.cluster import cli
from ucmlab.cluster.cli.root import root
from ucmlab.scenarios.__main__ import COMMANDS

ROOT = Path(__file__).parents[2]
_STREAMS = ("in", "out", "err")


class Warm:
    """The process that has imported everything."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.warm"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        atexit.register(self._process.communicate)

    def run(
        self, arguments: list[str], *, environment: dict[str, str], stdin: bytes
    ) -> "subprocess.CompletedProcess[bytes]":
        """Run one command line to its end."""
        to_it, from_it = self._process.stdin, self._process.stdout
        assert to_it is not None is not from_it
        with TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "in").write_bytes(stdin)
            to_it.write(json.dumps([arguments, environment, name]).encode() + b"\n")
            to_it.flush()
            status = int(from_it.readline())
            return subprocess.CompletedProcess(
                arguments, status, (folder / "out").read_bytes(), (folder / "err").read_bytes()
            )


@cache
def warm() -> Warm:
    """The one of this process; it ends when nobody can write to it any more."""
    return Warm()


def _serve() -> None:
    for module in pkgutil.iter_modules(cli.__path__):
        importlib.import_module(f"{cli.__name__}.{module.name}")
    for line in sys.stdin.buffer:
        arguments, environment, folder = json.loads(line)
        child = os.fork()
        if child == 0:
            _be_command(arguments, environment, Path(folder))
        _, ended = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(ended)}\n")
        sys.stdout.flush()


def _be_command(arguments: list[str], environment: dict[str, str], folder: Path) -> NoReturn:
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, stream in enumerate(_STREAMS):
        file = os.open(folder / stream, os.O_RDONLY if stream == "in" else os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(file, descriptor)
        os.close(file)
    status: object = 0
    group = root()
    group.add_entries(COMMANDS)
    try:
        group.main(arguments, prog_name="ucmlab")
    except SystemExit as ended:
        status = ended.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status if isinstance(status, int) else 1)


if __name__ == "__main__":
    _serve()
