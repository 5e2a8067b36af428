"""Pins what the environment is made of: `python .ci/lock.py requirements-dev.lock`, or `make lock`.

pyproject.toml names the packages (what runs, what builds, what tests); a clean environment tells the versions that go
together. pip before 25.1 knows no dependency groups, so they are read here.
"""

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HEADER = """\
# What .venv is made of: the names are pyproject.toml's, `make lock` chose the versions. Not edited by hand.
# Pinned because ruff's "ALL" and mypy's strictness change from release to release.
"""
EDITABLE_BUILDS_NEED = "editables"
"""hatchling asks for it only at the moment of an editable install."""


def main(target: Path) -> None:
    """Write the lock."""
    with Path("pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    wanted = [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *project["dependency-groups"]["dev"],
        EDITABLE_BUILDS_NEED,
    ]
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder, "bin", "python")
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
        frozen = subprocess.run([python, "-m", "pip", "freeze"], check=True, capture_output=True, text=True)
    target.write_text(HEADER + frozen.stdout, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
