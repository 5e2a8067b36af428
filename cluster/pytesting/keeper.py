"""The process between pytest and a lab: starts it, and ends it when pytest is done with it or is gone.

Whoever wants the lab holds the other end of this process's standard input and writes nothing. However he ends, also by
SIGKILL, the kernel closes that end, and the lab goes with its folder. One line on standard output tells how it started.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from ucmlab.cluster.pytesting.commandline import ucmlab

START_TIMEOUT_S = 3600.0
"""More than any --timeout that makes sense: `ucmlab up` gives up by itself."""
END_TIMEOUT_S = 60.0


def main() -> None:
    """Keep one lab: `FOLDER OPTION…`, the options being those of `ucmlab up`."""
    folder, *options = sys.argv[1:]
    home = Path(folder) / "lab"
    try:
        done = ucmlab(home, "up", "--detach", *options, timeout_s=START_TIMEOUT_S)
        with contextlib.suppress(BrokenPipeError):  # nobody waits any more
            os.write(sys.stdout.fileno(), json.dumps([done.returncode, done.stderr]).encode() + b"\n")
        sys.stdin.read()
    finally:
        _end(home)
        shutil.rmtree(folder, ignore_errors=True)


def _end(home: Path) -> None:
    try:
        ucmlab(home, "down", timeout_s=END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        # Every process of a lab dies with its supervisor.
        with contextlib.suppress(OSError, ValueError, KeyError):
            os.kill(json.loads((home / "control.json").read_bytes())["pid"], signal.SIGKILL)


if __name__ == "__main__":
    main()
