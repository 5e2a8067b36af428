"""What a test asks of its lab: keywords of `@pytest.mark.ucmlab`, which are the options of `ucmlab up`."""

from collections.abc import Iterable, Mapping

OPTIONS = frozenset(
    {
        "accept_der_pkcs7",
        "at",
        "beyond_product",
        "broker",
        "broker_ca",
        "config",
        "fresh_keys",
        "listen",
        "nodes",
        "ports",
        "profile",
        "release",
        "replication",
        "speed",
        "strict_uploads",
        "timeout",
        "timing",
    }
)
"""Those that say which lab, and how it starts."""


def command_line(keywords: Mapping[str, object]) -> list[str]:
    """The options for `ucmlab up`."""
    return [word for name, value in keywords.items() for word in _words(name, value)]


def _words(name: str, value: object) -> list[str]:
    option = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return [option] if value else []
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [option, ",".join(map(str, value))]
    return [option, str(value)]
