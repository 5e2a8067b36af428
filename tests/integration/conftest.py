"""Labs that more than one file of real ones uses."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.command_line import CommandLine, Forked


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[CommandLine]:
    """A home for a lab that is operated by commands; the lab is down in the end."""
    made = Forked(tmp_path)
    try:
        yield made
    finally:
        made.run("down")
