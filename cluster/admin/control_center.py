"""What Control Center tells of services, and what it lists of them (W2.2). No I/O.

ReturnCode 0 and ReasonCode -1 are "nothing to report"; clients check nothing numeric. [ASSUMED] other codes and texts.
"""

import tomllib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from importlib.resources import files

import msgspec

from ucmlab.cluster.admin.soap_messages import Value
from ucmlab.node.config import NodeConfig
from ucmlab.node.instant import SECOND, Instant, to_datetime
from ucmlab.node.rulebook import RuleBook, Service
from ucmlab.node.status import ServiceStatus

PRODUCTS = {"imp": ("Cisco Unified Presence", "CUP"), "": ("Cisco Unified Communications Manager", "CallManager")}
"""By role: name and id of what is installed."""
_SHOWN = {
    "started": "Started",
    "starting": "Starting",
    "stopping": "Stopping",
    "stopped": "Stopped",
    "not activated": "Stopped",
}
NOTHING = -1
NOT_ACTIVATED = (-1068, "Service Not Activated ")
COMMANDED = "Commanded Out of Service"
UNKNOWN = "Service is not known"


class _Listed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    groups: dict[str, tuple[str, ...]]


def group_of(service: str) -> str:
    """Under which head a service is listed."""
    return next((group for group, names in _listed().groups.items() if service in names), "")


def listed(rulebook: RuleBook, config: NodeConfig) -> list[Service]:
    """The services of a node that Control Center lists: not what is the operating system's alone (R-104)."""
    return [service for service in rulebook.services_of(config.role) if service.kind != "platform"]


def information(name: str, status: ServiceStatus | None, now: Instant) -> dict[str, Value]:
    """One element of a `ServiceInfoList`."""
    if status is None:
        return _information(name, "Unknown", NOTHING, UNKNOWN)
    code, reason = NOTHING, " "
    if status.state == "not activated":
        code, reason = NOT_ACTIVATED
    elif status.state == "stopped":
        reason = COMMANDED
    if status.state != "started":
        return _information(name, _SHOWN[status.state], code, reason)
    up = max(now.lab - status.since, 0) // SECOND
    began = to_datetime(now.wall - up * SECOND)
    return _information(name, "Started", code, reason, start=_c_time(began), up=up)


def report(found: Iterable[Mapping[str, Value]], *, text: str = " ", code: int = NOTHING) -> dict[str, Value]:
    """A `ServiceInformationResponse`."""
    return {
        "ReturnCode": "0" if code == NOTHING else "1",
        "ReasonCode": code,
        "ReasonString": text,
        "ServiceInfoList": {"item": list(found)},
    }


def static_list(services: Iterable[Service]) -> dict[str, Value]:
    """`soapGetStaticServiceList`."""
    return {
        "Services": {
            "item": [{**_specified(each), "DependentServices": {"Service": list(each.needs)}} for each in services]
        }
    }


def products(services: Iterable[Service], config: NodeConfig, version: str) -> dict[str, Value]:
    """`getProductInformationList`: what is installed here, in which version of the product, and its services."""
    name, product = PRODUCTS.get(config.role, PRODUCTS[""])
    return {
        "ActiveServerVersion": version,
        "PrimaryNode": str(config.is_publisher).lower(),
        "SecondaryNode": str(not config.is_publisher).lower(),
        "Products": {
            "item": [
                {
                    "ProductName": name,
                    "ProductVersion": version,
                    "ProductDescription": name,
                    "ProductID": product,
                    "ShortName": product,
                }
            ]
        },
        "Services": {
            "item": [
                {**_specified(each), "ProductID": product, "DependentServices": {"Service": list(each.needs)}}
                for each in services
            ]
        },
    }


def extended_list(services: Iterable[Service], config: NodeConfig) -> dict[str, Value]:
    """`getStaticServiceListExtended`."""
    _, product = PRODUCTS.get(config.role, PRODUCTS[""])
    items: list[Value] = []
    for number, each in enumerate(services, 1):
        only_there = each.roles == ("pub",)
        items.append(
            {
                "ServiceName": each.name,
                "DependentServices": {"item": list(each.needs)},
                "ProductID": product,
                "ServiceType": "Service",
                "RestrictServer": "yes" if only_there else "no",
                "Restrict": "PrimaryNode" if only_there else "none" if each.can_stop else "DoNotStop",
                "SetDefault": "yes" if config.role in each.activated else "no",
                "SequenceNumber": number,
                "ServiceEnum": number,
                "GroupName": group_of(each.name),
                "Deployable": each.kind == "feature",
            }
        )
    return {
        "PrimaryNode": config.is_publisher,
        "SecondaryNode": not config.is_publisher,
        "Services": {"item": items},
    }


def _specified(service: Service) -> dict[str, Value]:
    return {
        "ServiceName": service.name,
        "ServiceType": "Service",
        "Deployable": service.kind == "feature",
        "GroupName": group_of(service.name),
    }


def _information(
    name: str, state: str, code: int, reason: str, *, start: str = " ", up: int = NOTHING
) -> dict[str, Value]:
    return {
        "ServiceName": name,
        "ServiceStatus": state,
        "ReasonCode": code,
        "ReasonCodeString": reason,
        "StartTime": start,
        "UpTime": up,
    }


def _c_time(moment: datetime) -> str:
    """`Thu Nov 26 07:36:19 2026`, as the product's services write times; in UTC here, whatever the machine's zone."""
    return moment.astimezone(UTC).ctime()


@lru_cache(maxsize=1)
def _listed() -> _Listed:
    text = files("ucmlab.cluster.admin").joinpath("control_center.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), _Listed)
