"""What terminals send, as keys."""

import pytest

from ucmlab.cluster.cli.keys import names


@pytest.mark.parametrize(
    ("pressed", "keys"),
    [
        ("q", ["q"]),
        ("\x1b[A", ["up"]),
        ("\x1bOB", ["down"]),
        ("\x1b[6~\x1b[5~", ["page down", "page up"]),
        ("\x1b", ["escape"]),
        ("\x1b[99;5u", []),
        ("\r \x04", ["enter", "space", "closed"]),
        ("", []),
    ],
)
def test_a_sequence_is_one_key(pressed: str, keys: list[str]) -> None:
    assert names(pressed) == keys
