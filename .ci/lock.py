"""Pins what an environment is made of: `python .ci/lock.py dev requirements-dev.lock`; `make lock` does it for each.

pyproject.toml names the packages: what runs, what builds and what tests for `dev`, its dependency group alone for the
others. A clean environment tells the versions that go together. pip before 25.1 knows no dependency groups, so they
are read here.
"""

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HEADER = """\
# What {environment} is made of: the names are pyproject.toml's, `make lock` chose the versions. Not edited by hand.
# Pinned because {why}.
"""
GROUPS = {
    "dev": (".venv", "ruff's \"ALL\" and mypy's strictness change from release to release"),
    "clients": (".venv-clients", "a client's next release must not make a test fail that ours has passed"),
}
"""By dependency group: which environment it is for, and the reason."""
EDITABLE_BUILDS_NEED = "editables"
"""hatchling asks for it only at the moment of an editable install."""


def main(group: str, target: Path) -> None:
    """Write the lock of a dependency group."""
    environment, why = GROUPS[group]
    with Path("pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    wanted = project["dependency-groups"][group]
    if group == "dev":
        wanted = [
            *project["build-system"]["requires"],
            *project["project"]["dependencies"],
            *wanted,
            EDITABLE_BUILDS_NEED,
        ]
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder, "bin", "python")
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
        frozen = subprocess.run([python, "-m", "pip", "freeze"], check=True, capture_output=True, text=True)
    target.write_text(HEADER.format(environment=environment, why=why) + frozen.stdout, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
