"""Inputs that something was wrong with once, byte for byte: each goes through everything again, and ends as it should.

What the fuzzer finds is put into `found/` and into the table (`python -m tests.fuzz SEED --write FOLDER`).
"""

from collections import Counter
from pathlib import Path

import pytest

from tests.fuzz.inputs import Kind, Mutant
from tests.fuzz.running import LIMIT_S, examine

FOUND = Path(__file__).parent / "found"
GENEROUS_S = 10 * LIMIT_S
WRONG: dict[str, tuple[Kind, str]] = {
    "unknown-tls-feature.pem": ("upload", "upload refused: format"),  # KeyError, and the node's process ended
    "unknown-tls-feature.csr": ("request", "request refused: format"),  # KeyError
    "timestamps.csr": ("request", "request refused: format"),  # signed, and nobody could read the certificate
    "serial-zero.pem": ("upload", "upload accepted"),  # `cert show` printed the library's warning
    "serial-of-two-thousand-octets.pem": ("upload", "upload accepted"),  # `cert show`: ValueError, too many digits
    "serial-of-a-hundred-octets.pem": ("upload", "upload accepted"),  # a file name too long for a disk
    "negative-number-in-an-extension.pem": ("upload", "upload accepted"),  # `cert show`: ValueError
    "parameters-of-no-signature.pem": ("upload", "upload accepted"),  # `cert show`: ValueError
}
"""File to its kind of input and how it must end."""


def test_every_file_is_in_the_table() -> None:
    assert {path.name for path in FOUND.iterdir()} == set(WRONG)


@pytest.mark.parametrize("file", WRONG)
def test_what_was_found_is_mended(file: str, tmp_path: Path) -> None:
    kind, end = WRONG[file]
    seen = Counter[str]()
    made = Mutant(0, kind, (FOUND / file).read_bytes(), "tomcat-trust")
    assert examine(made, seen, tmp_path) < GENEROUS_S
    assert seen[end] >= 1
    assert not [what for what in seen if what.startswith(end.partition(" ")[0]) and what != end]
