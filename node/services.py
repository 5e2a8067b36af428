"""The node's services: what runs, what each loaded at its last start, and orders that take effect once.

Three rules govern this file. A service uses the certificates that it loaded when it started, never what lies on disk
now (domain.md 0.3, fact 5). What was changed since takes effect at its next start if the release's table says so
(`pending`), else at once (A.10, X-07). An order takes effect at most once per operation id and never after its
`not_after` (S11): the id is made durable before the effect.

    stopped --start--> starting --(takes a while)--> started --stop--> stopping --(takes a while)--> stopped

A service that needs another one stops when that one does, and comes up after it: so a restart takes along what stands
on it (B.7: the XCP Router and the services around it).
"""

from collections.abc import Callable, Iterator

import msgspec

from ucmlab.broker.messages import ServiceReport
from ucmlab.node.commands import LayDown, RecordOrder, SetEnabled, TakeUp
from ucmlab.node.context import Context
from ucmlab.node.events import ServiceTroubled
from ucmlab.node.found import News
from ucmlab.node.loaded import NOTHING, Loaded
from ucmlab.node.loading import Loader
from ucmlab.node.restarts import AUTHZ, Condition, ConditionRow, Verb
from ucmlab.node.service_uses import Plan, Uses
from ucmlab.node.slots import Order, Slot, State
from ucmlab.node.status import ServiceStatus

ACTIONS = ("start", "stop", "restart", "enable", "disable")
CHANGE_NOTIFICATION = "Cisco Certificate Change Notification"
REMEMBERED_ORDERS = 4096


class Services:
    """All services of one node."""

    def __init__(
        self,
        context: Context,
        loader: Loader,
        *,
        changed: Callable[[str, bool], None],
        reported: Callable[[ServiceReport], None],
    ) -> None:
        """No services until `take`.

        Args:
            loader: makes what a service takes up.
            changed: hears of every service that came up or ended.
            reported: hears every report that goes out.
        """
        self._context = context
        self._loader = loader
        self._changed = changed
        self._reported = reported
        self._slots: dict[str, Slot] = {}
        self._uses: Uses
        self._held: frozenset[Condition] | None = None
        """The conditions that hold; None when one may have changed since they were looked at."""
        self._outward: frozenset[str] = frozenset()
        """Services that others connect to, or that connect to others."""
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
        self._uses = rulebook.uses(config.role)
        self._outward = rulebook.outward
        self._done = dict.fromkeys(done_orders)

    def boot(self) -> None:
        """Start what is enabled."""
        for slot in self._slots.values():
            if slot.enabled:
                self._start(slot)
            else:
                slot.since = self._context.now.lab

    def reboot(self) -> None:
        """The node boots: all services end, and what is enabled starts again; who ordered one about waits for that."""
        for slot in self._slots.values():
            slot.fell_with = ""
            if slot.state != "stopped":
                self._context.cancel_timer(f"service:{slot.rule.name}")
                self._lay_down(slot)
                slot.loaded = NOTHING
                slot.pending.clear()
                self._move(slot, "stopped")
                self._changed(slot.rule.name, False)
        self.boot()
        for slot in self._slots.values():
            if slot.state == "stopped" and not slot.fell_with:
                self._rest(slot)
        self._answer_who_waits()

    def shut_down(self) -> None:
        """The node stops: everything ends at once."""
        for slot in self._slots.values():
            slot.state, slot.loaded, slot.order, slot.fell_with = "stopped", NOTHING, None, ""
            slot.pending.clear()

    def running(self, service: str) -> bool:
        """Whether the service is started."""
        slot = self._slots.get(service)
        return slot is not None and slot.state == "started"

    def loaded(self, service: str) -> Loaded | None:
        """What a started service uses; None: it is not started."""
        return self._slots[service].loaded if self.running(service) else None

    def states(self) -> dict[str, str]:
        """State by service."""
        return {name: slot.shown for name, slot in self._slots.items()}

    def status(self) -> dict[str, ServiceStatus]:
        """Everything about every service."""
        return {name: slot.status(self._loader.lies) for name, slot in self._slots.items()}

    def busy(self) -> int:
        """Orders being carried out."""
        return sum(slot.order is not None for slot in self._slots.values())

    def conditions(self) -> frozenset[Condition]:
        """Those of the restart tables that hold here and now."""
        if self._held is None:
            rows = self._context.rulebook.after_change.conditions
            self._held = frozenset(condition for condition, row in rows.items() if self._holds(row))
        return self._held

    def _holds(self, row: ConditionRow) -> bool:
        if row.parameter:
            return self._context.parameters.flag(row.parameter)
        return bool(row.service) and self.running(row.service)

    # -- what was changed under a service that runs

    def unit_changed(self, unit: str, verb: Verb) -> None:
        """A unit was changed on this node.

        Who has to be restarted goes on with what it loaded, and that is pending while another one lies there; who uses
        it otherwise takes it up now. The OAuth keys lie in no unit: they are pending until the restart.
        """
        plan = self._plan(unit, verb, here=True)
        for name in plan.wait:
            if self._slots[name].state == "started":
                self._slots[name].pending.setdefault(unit, unit == AUTHZ)
        for name in plan.follow:
            slot = self._slots[name]
            if unit in slot.loaded.trusted or unit in slot.loaded.fingerprints:
                self._reload(slot, unit, verb)

    def changed_elsewhere(self, unit: str, verb: Verb, news: News) -> None:
        """A unit was changed on another node: whom the table has restarted on all nodes is, unless that was done since.

        It may use nothing of that here (B.7, B.18), so nothing here tells that the change was undone.
        """
        for name in self._plan(unit, verb, here=False).wait:
            slot = self._slots[name]
            if slot.state == "started" and not news.is_older(found=slot.found, since=slot.since):
                slot.pending[unit] = True

    def _plan(self, unit: str, verb: Verb, *, here: bool) -> Plan:
        return self._uses.plan(
            unit, verb, here=here, publisher=self._context.config.is_publisher, conditions=self.conditions()
        )

    def identity_arrived(self, unit: str) -> None:
        """An identity that this node did not have before: who uses it takes it up."""
        for name in self._uses.users(unit):
            if self._slots[name].state == "started":
                self._renew(self._slots[name], unit)
                self._take_up(self._slots[name])

    def trust_arrived(self, unit: str, certificates: tuple[bytes, ...]) -> None:
        """Trust certificates (DER) came as a member was installed: who uses them takes up these, and nothing else."""
        for slot in self._slots.values():
            for held in (slot.loaded.trusted, slot.found):
                known = held.get(unit)
                if isinstance(known, tuple):
                    held[unit] = (*known, *(der for der in certificates if der not in known))
        for name in self._uses.users(unit):
            if self._slots[name].state == "started":
                self._take_up(self._slots[name])

    def parameter_changed(self, name: str) -> None:
        """A parameter was set that its services read when they start: until then, were it set back (R-010)."""
        self._held = None
        for service in self._context.rulebook.parameters[name].restart:
            slot = self._slots.get(service)
            if slot is not None and slot.state == "started":
                slot.pending[name] = True

    def _renew(self, slot: Slot, unit: str) -> None:
        self._loader.renew(slot.loaded, unit)
        if unit in slot.found:
            slot.found[unit] = self._loader.lies(unit)

    def _reload(self, slot: Slot, unit: str, verb: Verb) -> None:
        self._renew(slot, unit)
        name, reloads = slot.rule.name, self._context.rulebook.reloads(unit, verb)
        if unit in slot.loaded.chains:
            by_itself = any(row.what == "certificate" and name in row.services for row in reloads)
            self._context.record("auto_restart" if by_itself else "reloaded", service=name, unit=unit)
            self._take_up(slot)
        elif any(unit in listener.trusts for listener in slot.loaded.listeners):
            self._take_up(slot)

    # -- orders

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
        self._answer_who_waits()

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
            slot.why, slot.unasked = "crashed", True
            self._lay_down(slot)
            self._stopped(slot)
        self._answer_who_waits()

    def trouble(self, trouble: ServiceTroubled) -> None:
        """From now on a service fails, hangs, is slow or crashes, or is well again; one that hung comes up."""
        hung = self._troubles.pop(trouble.service, None)
        if trouble.trouble:
            self._troubles[trouble.service] = trouble
        slot = self._slots.get(trouble.service)
        if slot is None:
            return
        is_well = hung is not None and hung.trouble == "hangs" and trouble.trouble != "hangs"
        if is_well and slot.state == "starting":
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
        return self._cannot_start(slot) if order.action in ("start", "restart") else None

    def _cannot_start(self, slot: Slot) -> tuple[str, str] | None:
        name, text = slot.rule.name, self._context.rulebook.refusal_text
        if slot.shown == "not activated":
            return "not_activated", text("not_activated", detail=f"enable {name} first")
        missing = self._missing(slot)
        if missing:
            return "dependency", text("dependency", detail=f"{name} needs {missing}, which is not started")
        return None

    def _missing(self, slot: Slot) -> str:
        """A service that this one needs and that is not started; empty when there is none."""
        there = (name for name in slot.rule.needs if name in self._slots)
        return next((name for name in there if not self.running(name)), "")

    def _carry_out(self, slot: Slot, order: Order) -> None:
        if order.action in ("enable", "disable"):
            slot.enabled = order.action == "enable"
            self._context.ask(SetEnabled(slot.rule.name, slot.enabled))
            self._report(order.op_id, slot.rule.name, "done")
            return
        if order.action == "stop" and slot.fell_with:
            slot.why = "ordered"
        slot.order, slot.fell_with = order, ""
        if order.action == "start" and slot.state == "started":
            self._rest(slot)
        elif order.action == "start" or slot.state == "stopped":
            self._start(slot) if order.action != "stop" else self._rest(slot)
        else:
            slot.why = "ordered"
            self._stop(slot)

    # -- starts

    def _start(self, slot: Slot) -> None:
        waits_for = slot.rule.needs and self._missing(slot)
        if waits_for:
            slot.fell_with, slot.why = waits_for, "dependency"
            slot.since = self._context.now.lab
            return
        slot.fell_with = ""
        self._move(slot, "starting")
        timing = self._context.timing
        delay = self._drawn(slot, timing.start(slot.rule)) if timing.service_times else 0
        if self._troubles and slot.rule.name in self._troubles:
            self._start_in_trouble(slot, self._troubles[slot.rule.name], delay)
        elif delay:
            self._context.start_timer(f"service:{slot.rule.name}", delay)
        else:
            self._started(slot)

    def _drawn(self, slot: Slot, between: tuple[int, int]) -> int:
        least, most = between
        return most and self._context.draw(least, most, "service", slot.rule.name, self._context.boot, self._reports)

    def _start_in_trouble(self, slot: Slot, trouble: ServiceTroubled, delay: int) -> None:
        self._context.alarm("service_trouble", service=slot.rule.name, trouble=trouble.trouble)
        match trouble.trouble:
            case "hangs":
                # It is heard of again when the trouble is over, and by no timer of an earlier one.
                self._context.cancel_timer(f"service:{slot.rule.name}")
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
        slot.why = "failed"
        self._move(slot, "stopped")
        order, slot.order = slot.order, None
        if order is not None:
            text = f"Service {slot.rule.name} failed to start"
            self._report(order.op_id, slot.rule.name, "refused", "service_failed", text)

    def _started(self, slot: Slot) -> None:
        """It loads the certificates that are on disk now, and keeps them until its next start."""
        slot.loaded = self._loader.take_up(slot.rule, self.conditions)
        slot.found = self._loader.found(slot.rule)
        slot.pending.clear()
        slot.why = ""
        self._take_up(slot)
        self._move(slot, "started")
        slot.unasked = False
        if slot.order is not None:
            self._rest(slot)
        self._changed(slot.rule.name, True)
        for other in self._those_on(slot):
            if other.fell_with == slot.rule.name and other.state == "stopped":
                self._start(other)
        if self._troubles and self._ails(slot, "crashes"):
            self._doom(slot)

    def _those_on(self, slot: Slot) -> Iterator[Slot]:
        """Those that need this one."""
        return (self._slots[name] for name in self._uses.standing_on[slot.rule.name])

    # -- stops

    def _stop(self, slot: Slot) -> None:
        self._lay_down(slot)
        self._move(slot, "stopping")
        for other in self._those_on(slot):
            self._fall_with(other, slot.rule.name)
        delay = self._drawn(slot, self._context.timing.stop(slot.rule))
        if delay:
            self._context.start_timer(f"service:{slot.rule.name}", delay)
        else:
            self._stopped(slot)

    def _fall_with(self, slot: Slot, needed: str) -> None:
        """What a service stands on goes: it stops with it, whatever it was doing, to come up after it."""
        if slot.state in ("started", "starting"):
            slot.fell_with, slot.why, slot.unasked = needed, "dependency", True
            self._context.cancel_timer(f"service:{slot.rule.name}")
            self._lay_down(slot)
            self._stopped(slot)

    def _stopped(self, slot: Slot) -> None:
        slot.loaded = NOTHING
        slot.pending.clear()
        self._move(slot, "stopped")
        self._changed(slot.rule.name, False)
        for other in self._those_on(slot):
            self._fall_with(other, slot.rule.name)
        if slot.order is not None and slot.order.action == "restart" and not slot.fell_with:
            self._start(slot)
        elif not slot.fell_with:
            self._rest(slot)

    def _answer_who_waits(self) -> None:
        """What a service waits for may not come up by itself: who ordered that service about is not kept waiting."""
        for slot in self._slots.values():
            order = slot.order
            if order is None or slot.state != "stopped" or not slot.fell_with or self._comes_up(slot.fell_with):
                continue
            slot.order = None
            refusal = None if order.action == "stop" else self._cannot_start(slot)
            self._report(order.op_id, slot.rule.name, "refused" if refusal else "done", *(refusal or ()))

    def _comes_up(self, name: str) -> bool:
        """Whether a service is on its way to being started, were it with another one."""
        slot = self._slots[name]
        if slot.state == "stopping":
            return slot.order is not None and slot.order.action == "restart"
        return slot.state != "stopped" or (slot.fell_with != "" and self._comes_up(slot.fell_with))

    # -- others

    def _take_up(self, slot: Slot) -> None:
        if slot.rule.name in self._outward:
            self._context.ask(TakeUp(slot.rule.name, slot.loaded))

    def _lay_down(self, slot: Slot) -> None:
        if slot.rule.name in self._outward:
            self._context.ask(LayDown(slot.rule.name))

    def _move(self, slot: Slot, state: State) -> None:
        if slot.rule.name in self._context.rulebook.decisive_services:
            self._held = None
        slot.state = state
        slot.since = self._context.now.lab
        if slot.order is not None or slot.unasked:
            self._report(slot.order.op_id if slot.order is not None else "", slot.rule.name, "")

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
            state=slot.shown if slot else "stopped",
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
