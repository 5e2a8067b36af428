"""The node's services: what runs, what each loaded at its last start, and orders that take effect once.

Two rules govern this file. A service uses the certificates that it loaded when it started, never what lies on disk now
(domain.md 0.3, fact 5). An order takes effect at most once per operation id and never after its `not_after` (S11):
the id is made durable before the effect.

    stopped --start--> starting --(takes a while)--> started --stop--> stopping --> stopped
"""

from collections.abc import Callable

import msgspec

from ucmlab.broker.messages import ServiceReport
from ucmlab.node.commands import RecordOrder, SetEnabled
from ucmlab.node.context import Context
from ucmlab.node.events import ServiceTroubled
from ucmlab.node.rulebook import Service
from ucmlab.node.status import ServiceStatus

ACTIONS = ("start", "stop", "restart", "enable", "disable")
CHANGE_NOTIFICATION = "Cisco Certificate Change Notification"
REMEMBERED_ORDERS = 4096


class Slot:
    """One service of this node."""

    __slots__ = ("enabled", "loaded", "order", "rule", "since", "state")

    def __init__(self, rule: Service, *, enabled: bool) -> None:
        """Stopped, until something starts it."""
        self.rule = rule
        self.enabled = enabled
        self.state = "stopped"
        self.since = 0
        self.loaded: dict[str, str] = {}
        self.order: Order | None = None
        """What is being carried out: it is answered when the service has come to rest."""


class Order(msgspec.Struct, frozen=True):
    """An order as received."""

    op_id: str
    service: str
    action: str


class Services:
    """All services of one node."""

    def __init__(
        self,
        context: Context,
        *,
        identities: Callable[[], dict[str, str]],
        changed: Callable[[str, bool], None],
        reported: Callable[[ServiceReport], None],
    ) -> None:
        """No services until `take`.

        Args:
            identities: tells the fingerprints on disk, by unit.
            changed: hears of every service that came up or ended.
            reported: hears every report that goes out.
        """
        self._context = context
        self._identities = identities
        self._changed = changed
        self._reported = reported
        self._slots: dict[str, Slot] = {}
        self._done: dict[str, ServiceReport | None] = {}
        self._troubles: dict[str, ServiceTroubled] = {}
        self._reports = 0

    def take(self, *, enabled: dict[str, bool], done_orders: tuple[str, ...]) -> None:
        """Believe the disk: which services start at boot, which orders took effect."""
        config, rulebook = self._context.config, self._context.rulebook
        activated = rulebook.activated(config.name, {member.name: member.role for member in config.members})
        self._slots = {
            rule.name: Slot(rule, enabled=enabled.get(rule.name, rule.name in activated))
            for rule in rulebook.services_of(config.role)
        }
        self._done = dict.fromkeys(done_orders)

    def boot(self) -> None:
        """Start what is enabled."""
        for slot in self._slots.values():
            if slot.enabled:
                self._start(slot)
            else:
                slot.since = self._context.now.lab

    def shut_down(self) -> None:
        """The node stops: everything ends at once."""
        for slot in self._slots.values():
            slot.state, slot.loaded, slot.order = "stopped", {}, None

    def running(self, service: str) -> bool:
        """Whether the service is started."""
        slot = self._slots.get(service)
        return slot is not None and slot.state == "started"

    def states(self) -> dict[str, str]:
        """State by service."""
        return {name: slot.state for name, slot in self._slots.items()}

    def status(self) -> dict[str, ServiceStatus]:
        """Everything about every service."""
        identities = self._identities()
        return {name: slot_status(slot, identities) for name, slot in self._slots.items()}

    def busy(self) -> int:
        """Orders being carried out."""
        return sum(slot.order is not None for slot in self._slots.values())

    def receive(self, order: Order, *, not_after: int) -> None:
        """Carry out an order, if it is new, in time and possible."""
        if order.op_id in self._done:
            report = self._done[order.op_id]
            if report is not None:
                self._send(report)
            return
        if self._context.now.lab > not_after:
            self._context.record("service_command", order.op_id, service=order.service, outcome="expired")
            return
        refusal = self._refusal(order)
        if refusal:
            self._report(order.op_id, order.service, "refused", *refusal)
            return
        self._remember(order.op_id, None)
        self._context.ask(RecordOrder(order.op_id))
        self._context.record("service_command", order.op_id, service=order.service, action=order.action)
        self._carry_out(self._slots[order.service], order)

    def timer(self, service: str) -> None:
        """A start or a stop has taken its time; or a service that is to crash has lived long enough."""
        slot = self._slots.get(service)
        if slot is None:
            return
        if slot.state == "starting":
            self._started(slot)
        elif slot.state == "stopping":
            self._stopped(slot)
        elif slot.state == "started" and self._ails(slot, "crashes"):
            self._context.alarm("service_crashed", service=service)
            self._stopped(slot)

    def trouble(self, trouble: ServiceTroubled) -> None:
        """From now on a service fails, hangs, is slow or crashes, or is well again; one that hung comes up."""
        hung = self._troubles.pop(trouble.service, None)
        if trouble.trouble:
            self._troubles[trouble.service] = trouble
        slot = self._slots.get(trouble.service)
        if slot is None:
            return
        if hung is not None and hung.trouble == "hangs" and slot.state == "starting":
            self._started(slot)
        elif slot.state == "started" and self._ails(slot, "crashes"):
            self._doom(slot)

    def _ails(self, slot: Slot, trouble: str) -> bool:
        known = self._troubles.get(slot.rule.name)
        return known is not None and known.trouble == trouble

    def _doom(self, slot: Slot) -> None:
        self._context.start_timer(f"service:{slot.rule.name}", self._troubles[slot.rule.name].delay)

    def _refusal(self, order: Order) -> tuple[str, str] | None:
        slot = self._slots.get(order.service)
        if slot is None:
            return "not_found", f"Service {order.service} does not exist on {self._context.config.name}"
        if order.action not in ACTIONS:
            return "not_found", f"{order.action} is no service command; use {', '.join(ACTIONS)}"
        if order.action in ("stop", "disable") and not slot.rule.can_stop:
            return "permission", f"Service {order.service} cannot be stopped"
        if slot.order is not None:
            return "permission", f"Service {order.service} is busy with another command"
        return None

    def _carry_out(self, slot: Slot, order: Order) -> None:
        if order.action in ("enable", "disable"):
            slot.enabled = order.action == "enable"
            self._context.ask(SetEnabled(slot.rule.name, slot.enabled))
            self._report(order.op_id, slot.rule.name, "done")
            return
        slot.order = order
        if order.action == "start" and slot.state == "started":
            self._rest(slot)
        elif order.action == "start" or slot.state == "stopped":
            self._start(slot) if order.action != "stop" else self._rest(slot)
        else:
            self._stop(slot)

    def _start(self, slot: Slot) -> None:
        self._move(slot, "starting")
        least, most = self._context.timing.start(slot.rule)
        delay = most and self._context.draw(least, most, "service", slot.rule.name, self._context.boot, self._reports)
        if self._troubles and slot.rule.name in self._troubles:
            self._start_in_trouble(slot, self._troubles[slot.rule.name], delay)
        elif delay:
            self._context.start_timer(f"service:{slot.rule.name}", delay)
        else:
            self._started(slot)

    def _start_in_trouble(self, slot: Slot, trouble: ServiceTroubled, delay: int) -> None:
        self._context.alarm("service_trouble", service=slot.rule.name, trouble=trouble.trouble)
        match trouble.trouble:
            case "hangs":
                pass  # it is heard of again when the trouble is over
            case "fails":
                self._failed(slot, trouble)
            case "slow":
                self._context.start_timer(f"service:{slot.rule.name}", trouble.delay)
            case _ if delay:
                self._context.start_timer(f"service:{slot.rule.name}", delay)
            case _:
                self._started(slot)

    def _failed(self, slot: Slot, trouble: ServiceTroubled) -> None:
        """The service did not come up: it is stopped, and whoever ordered the start is told so."""
        if trouble.count == 1:
            del self._troubles[slot.rule.name]
        elif trouble.count:
            self._troubles[slot.rule.name] = msgspec.structs.replace(trouble, count=trouble.count - 1)
        self._move(slot, "stopped")
        order, slot.order = slot.order, None
        if order is not None:
            text = f"Service {slot.rule.name} failed to start"
            self._report(order.op_id, slot.rule.name, "refused", "service_failed", text)

    def _started(self, slot: Slot) -> None:
        """It loads the certificates that are on disk now, and keeps them until its next start."""
        identities = self._identities()
        slot.loaded = {unit: identities[unit] for unit in slot.rule.loads if unit in identities}
        self._move(slot, "started")
        if slot.order is not None:
            self._rest(slot)
        self._changed(slot.rule.name, True)
        if self._troubles and self._ails(slot, "crashes"):
            self._doom(slot)

    def _stop(self, slot: Slot) -> None:
        self._move(slot, "stopping")
        self._stopped(slot)

    def _stopped(self, slot: Slot) -> None:
        slot.loaded = {}
        self._move(slot, "stopped")
        self._changed(slot.rule.name, False)
        if slot.order is not None and slot.order.action == "restart":
            self._start(slot)
        else:
            self._rest(slot)

    def _move(self, slot: Slot, state: str) -> None:
        slot.state = state
        slot.since = self._context.now.lab
        if slot.order is not None:
            self._report(slot.order.op_id, slot.rule.name, "")

    def _rest(self, slot: Slot) -> None:
        order, slot.order = slot.order, None
        if order is not None:
            self._report(order.op_id, slot.rule.name, "done")

    def _report(self, op_id: str, service: str, outcome: str, reason: str = "", text: str = "") -> None:
        slot = self._slots.get(service)
        self._reports += 1
        report = ServiceReport(
            op_id=op_id,
            service=service,
            state=slot.state if slot else "stopped",
            enabled=slot.enabled if slot else False,
            since=slot.since if slot else 0,
            outcome=outcome,  # type: ignore[arg-type]  # "", done or refused: the callers' literals
            reason=reason,
            text=text,
            count=self._reports,
        )
        if outcome:
            self._remember(op_id, report)
        self._context.record("service_state", op_id, service=service, state=report.state, outcome=outcome)
        self._send(report)

    def _remember(self, op_id: str, report: ServiceReport | None) -> None:
        self._done[op_id] = report
        while len(self._done) > REMEMBERED_ORDERS:
            del self._done[next(iter(self._done))]

    def _send(self, report: ServiceReport) -> None:
        topic = self._context.topics.service_state(self._context.config.name, report.service)
        self._context.publish(topic, report, retain=True)
        self._reported(report)


def slot_status(slot: Slot, identities: dict[str, str]) -> ServiceStatus:
    """A slot as others read it. Pending: units whose certificate on disk is not the one that the service loaded."""
    pending = tuple(unit for unit, fingerprint in slot.loaded.items() if identities.get(unit) != fingerprint)
    return ServiceStatus(
        state=slot.state,  # type: ignore[arg-type]  # the four states of the diagram above
        kind=slot.rule.kind,
        enabled=slot.enabled,
        since=slot.since,
        loaded=dict(slot.loaded),
        pending=pending,
    )
