"""The alarms that a node raises: how bad each is, and what it says (B.17)."""

from collections.abc import Iterable, Mapping

from ucmlab.node.instant import DAY
from ucmlab.node.rule_rows import RuleRow
from ucmlab.node.syslog import Severity


class Alarm(RuleRow, frozen=True, kw_only=True):
    """A row of `alarms.toml`."""

    name: str
    severity: Severity
    facility: str
    """The first word of the product's form, `%UC_CERT-0-CertExpired`; not syslog's facility."""
    application: str
    text: str
    """What it means, the same each time; what it is about this time stands in front of it."""
    under_days: int | None = None
    """Of a notice of the certificate monitor: it is raised for certificates with less than so many days left."""

    def product_form(self, message: str, *, cluster: str, node: str) -> str:
        """What the product writes into syslog."""
        about = f"[Message={message}][AppID={self.application}][ClusterID={cluster}][NodeID={node}]"
        return f"%{self.facility}-{self.severity}-{self.name}: %{about}: {self.text}"


def notice_for(rows: Iterable[Alarm], left: int) -> Alarm:
    """The alarm for a certificate that ends in `left` microseconds: of those that fit, the one for the fewest days.

    Raises:
        ValueError: it has longer than any row is for.
    """
    fitting = [(row.under_days, row) for row in rows if row.under_days is not None and left < row.under_days * DAY]
    return min(fitting, key=lambda each: each[0])[1]


def plain_message(fields: Mapping[str, str | int | bool | None]) -> str:
    """What an alarm is about, where the product has no sentence for it."""
    return " ".join(f"{name}:{value}" for name, value in fields.items() if value not in (None, ""))
