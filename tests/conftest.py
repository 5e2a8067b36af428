"""What holds for every test: a `rule` marker names rules that there are; a soak test may take its time.

Files are made in memory, where there is room for them: homes of labs are hundreds of small synced files, and no test is
of how quick a disk is. `TMPDIR`, where it is set, says where instead.
"""

import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from tests.rules import known_names, why_unknown
from tests.soak_sizes import TIMEOUT_S

MEMORY = Path("/dev/shm")  # noqa: S108  a file system, in which pytest and labs make folders of their own
ROOM = 4 << 30
"""Bytes. A whole run needs a tenth of it."""


def pytest_configure() -> None:
    """See that what tests start can be interrupted: a job in a script's background hands down that it cannot."""
    if "TMPDIR" not in os.environ and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None  # whoever asks next finds it
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a whole run in which a test claims to prove a rule that does not exist; give soak tests their time."""
    known = known_names()
    wrong = {
        f"{item.nodeid}: {problem}"
        for item in items
        for marker in item.iter_markers("rule")
        for problem in (why_unknown(name, known) for name in marker.args)
        if problem is not None
    }
    if wrong:
        raise pytest.UsageError("\n".join(sorted(wrong)))
    for item in items:
        if item.get_closest_marker("soak") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))
