"""One service of a node: its state, why it is in it, and what it still runs on (`ucmlab.node.services`)."""

from collections.abc import Callable
from typing import Literal

import msgspec

from ucmlab.node.found import Lying, is_same
from ucmlab.node.loaded import NOTHING, Loaded
from ucmlab.node.rulebook import Service
from ucmlab.node.status import ServiceState, ServiceStatus

State = Literal["started", "starting", "stopping", "stopped"]
Why = Literal["", "ordered", "crashed", "failed", "dependency"]
"""Why a service is stopped; empty: it was never started, or it is not stopped."""


class Order(msgspec.Struct, frozen=True):
    """An order as received."""

    op_id: str
    service: str
    action: str


class Slot:
    """One service of this node."""

    __slots__ = (
        "enabled",
        "fell_with",
        "found",
        "loaded",
        "order",
        "pending",
        "rule",
        "since",
        "state",
        "unasked",
        "why",
    )

    def __init__(self, rule: Service, *, enabled: bool) -> None:
        """Stopped, until something starts it.

        Args:
            rule: which service it is.
            enabled: whether it is started at boot; of a feature service, whether it is activated on this node.
        """
        self.rule = rule
        self.enabled = enabled
        self.state: State = "stopped"
        self.why: Why = ""
        self.since = 0
        self.loaded: Loaded = NOTHING
        self.found: dict[str, Lying] = {}
        """What lay on disk when it started, by unit; of what it took up by itself since, what lay there then."""
        self.pending: dict[str, bool] = {}
        """Units, or parameters, that were changed since its start and take effect at its next one, in order; and
        whether they do so whatever lies there by now."""
        self.fell_with = ""
        """The service with which it stopped, or for which it waits: it comes up after that one."""
        self.unasked = False
        """Whether it went down without an order: nobody waits for its reports, so that they are sent all the same."""
        self.order: Order | None = None
        """What is being carried out: it is answered when the service has come to rest."""

    @property
    def shown(self) -> ServiceState:
        """The state as Control Center tells it.

        A feature service that is not activated cannot be started; a network service that is only not started at boot
        can, as the product has no word for it. One that is deactivated while it runs goes on until it is stopped.
        """
        if self.state == "stopped" and self.rule.kind == "feature" and not self.enabled:
            return "not activated"
        return self.state

    def status(self, lies: Callable[[str], Lying]) -> ServiceStatus:
        """As others read it; `lies` tells what a unit holds on disk now.

        Of a unit that holds what it held at the start nothing is pending: the change was undone, and R-118 has services
        restarted for what they would take up then.
        """
        loaded = self.loaded.fingerprints
        waiting = (
            unit for unit, lasts in self.pending.items() if lasts or not is_same(self.found.get(unit), lies(unit))
        )
        old = (unit for unit, fingerprint in loaded.items() if lies(unit) != fingerprint)
        return ServiceStatus(
            state=self.shown,
            kind=self.rule.kind,
            enabled=self.enabled,
            since=self.since,
            loaded=dict(loaded),
            pending=tuple(dict.fromkeys((*waiting, *old))),
            reason=self.why if self.state == "stopped" else "",
        )
