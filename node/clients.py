"""What a node opens TLS connections for: the rows of `clients.toml` (R-024, R-194, B.14, B.20)."""

from ucmlab.node.rule_rows import RuleRow


class Client(RuleRow, frozen=True, kw_only=True):
    """A kind of connection that a node opens."""

    name: str
    service: str = ""
    presents: tuple[str, ...] = ()
    trusts: tuple[str, ...] = ()
    listener: str = ""
    checks_name: bool = False
