"""What a test that failed leaves of its lab: in the report its state and the end of its journal, the rest in files."""

import re
import shutil
import subprocess
from pathlib import Path

from ucmlab.cluster.pytesting.commandline import ucmlab
from ucmlab.cluster.pytesting.lab import RunningLab

JOURNAL_LINES = 30
COMMAND_TIMEOUT_S = 30.0
FILES = {"journal.jsonl": ("events", "--json"), "state.json": ("dump", "--json")}
Section = tuple[str, str]
"""Of pytest's report: title and text."""


def sections(lab: RunningLab, folder: Path) -> list[Section]:
    """Write the files, and return what the report shows. It never fails: what cannot be had is told in its place."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, command in FILES.items():
            (folder / name).write_text(_said(lab, *command), encoding="utf-8")
        for log in sorted((lab.home / "logs").glob("*.log")):
            shutil.copyfile(log, folder / log.name)
        kept = f"files of this lab: {folder}"
    except OSError as error:
        kept = f"no files of this lab are kept: {error}"
    journal = _said(lab, "events").splitlines()
    return [
        ("ucmlab status", f"{_said(lab, 'status').rstrip()}\n{kept}"),
        (f"ucmlab events, the last {JOURNAL_LINES}", "\n".join(journal[-JOURNAL_LINES:])),
    ]


def folder_name(node_id: str) -> str:
    """A test's name as one folder's."""
    return re.sub(r"[^\w.-]+", "-", node_id).strip("-.")[-150:]


def _said(lab: RunningLab, *command: str) -> str:
    try:
        done = ucmlab(lab.home, *command, timeout_s=COMMAND_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return done.stdout + done.stderr
