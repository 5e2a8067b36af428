"""Services that do not come up, take for ever, or go down again: what a node is told, and how it tells that it felt it.

Pure, for both modes.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

from ucmlab.cluster.faults.ledger import Injected
from ucmlab.node.events import ServiceTroubled

Trouble = Literal["", "fails", "hangs", "slow", "crashes"]
TROUBLES: dict[str, Trouble] = {
    "service-start-fails": "fails",
    "service-hangs": "hangs",
    "service-slow": "slow",
    "service-crashes": "crashes",
}
ALARMS = ("service_trouble", "service_crashed")
"""By which the node tells that it felt one."""


def trouble_of(injected: Injected) -> ServiceTroubled:
    """What the node is told."""
    delay = injected.number("takes") if "takes" in injected.values else 0
    return ServiceTroubled(injected.text("service"), TROUBLES[injected.row.name], injected.left or 0, delay)


def felt_trouble(injected: Injected, alarms: Iterable[Mapping[str, object]]) -> bool:
    """Whether one of a node's alarms (the fields of each) tells of it."""
    service = injected.text("service")
    return any(fields["alarm"] in ALARMS and fields.get("service") == service for fields in alarms)
