"""What the website reads of a request before anybody is let in."""

import base64

import pytest

from ucmlab.cluster.admin.website import _basic


def header(text: str, kind: str = "Basic") -> str:
    return f"{kind} {base64.b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    ("said", "given"),
    [
        (header("a:b"), ("a", "b")),
        (header("a:b:c"), ("a", "b:c")),
        (header("a:", "basic"), ("a", "")),
        (header(":"), ("", "")),
        (header("ä:ö"), ("ä", "ö")),
        (f"  {header('a:b')}  ", ("a", "b")),
        ("", None),
        ("Basic", None),
        ("Basic !!!", None),
        ("Basic /w==", None),
        (header("no colon"), None),
        (header("a:b", "Bearer"), None),
    ],
)
def test_http_basic(said: str, given: tuple[str, str] | None) -> None:
    assert _basic(said) == given
