"""`ucmlab` as a process of its own: what a test's lab is started, asked and ended with."""

import os
import subprocess
import sys
from pathlib import Path

# -P: a `ucmlab` in the folder that pytest was started in is not ours.
COMMAND = (sys.executable, "-P", "-m", "ucmlab.scenarios")


def ucmlab(home: Path, *arguments: str | Path, stdin: str = "", timeout_s: float) -> "subprocess.CompletedProcess[str]":
    """Run a command on the lab of `home` to its end.

    Raises:
        subprocess.TimeoutExpired: it did not end in so much machine time; it was killed.
    """
    return subprocess.run(  # noqa: S603  our own program, and no shell
        [*COMMAND, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=timeout_s,
        env=os.environ | {"UCMLAB_DIR": str(home)},
        check=False,
    )
