"""Programs that people administer the product with: from an environment of their own, which `make extras` makes."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.integration.command_line import CommandLine
from tests.rules import ROOT

ENVIRONMENT = ROOT / ".venv-clients"
PYTHON = ENVIRONMENT / "bin" / "python"
PATIENCE_S = 200
WHAT_THEY_NEED = [
    pytest.mark.slow,
    pytest.mark.clients,
    pytest.mark.skipif(
        not (ENVIRONMENT / ".ready").exists(), reason=f"{ENVIRONMENT.name} is not there: make extras installs it"
    ),
]
"""Marks of every test that runs one of them."""


def run(
    program: str | Path, *arguments: str | Path, folder: Path, environment: Mapping[str, str] = {}, stdin: str = ""
) -> tuple[int, str]:
    """Run one in a folder that it may fill; its exit status, and all that it said.

    Args:
        program: by its name in the environment's `bin`, or by its path.
        arguments: of it.
        folder: where it runs, and keeps what it keeps at home.
        environment: variables besides those of the tests.
        stdin: what it reads.
    """
    given = {**os.environ, "HOME": str(folder), "LC_ALL": "C.UTF-8", "NO_COLOR": "1", **environment}
    done = subprocess.run(
        [ENVIRONMENT / "bin" / program, *map(str, arguments)],
        cwd=folder,
        env=given,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return done.returncode, done.stdout


def restarts_by_command_line(lab: CommandLine, node: str, service: str) -> int:
    """How often a service of a node has come up again because somebody said so over SSH."""
    told = lab.must("events", "--json", "--name", "service_state", "--node", node).splitlines()
    rows = [row for row in map(json.loads, told) if ".ssh." in row["operation_id"] and row["service"] == service]
    return sum(row["outcome"] == "done" for row in rows)
