"""Orders to services, given from a node's Control Center (A.14): asked over the bus until reported or expired.

The order travels on the bus under its operation id and takes effect once on the addressed node (`node/services.py`).
This file only waits: it repeats the order until the node says something about it, and ends the operation with the
report or when `not_after` has passed. Who listens to the bus so sees one command for one restart, unless something was
lost; a report that was lost is asked for by the same order, when its node comes back or a service has taken too long.
"""

from ucmlab.broker.messages import ServiceOrder, ServiceReport
from ucmlab.node.commands import Reply
from ucmlab.node.context import Context
from ucmlab.node.events import OrderService
from ucmlab.node.instant import MINUTE, SECOND

PATIENCE = 60 * SECOND
"""How long an order may begin to take effect."""
SILENCE = (4 * MINUTE, 5 * MINUTE)
"""After a node said that it carries out an order, until it is asked for its report: no restart takes so long (A.22)."""
COMPLETION = 10 * MINUTE
"""How long the operator is kept waiting for a service that is starting."""
TIMER = "order:"


class Ordering:
    """Orders given here that nobody has reported on yet."""

    def __init__(self, context: Context) -> None:
        """None yet."""
        self._context = context
        self._open: dict[str, tuple[OrderService, int, bool]] = {}
        self._attempts: dict[str, int] = {}

    def open(self) -> int:
        """How many are waited for."""
        return len(self._open)

    def give(self, event: OrderService) -> int:
        """Put the order on the bus; return the instant after which it must not take effect."""
        not_after = self._context.now.lab + PATIENCE
        if event.op_id not in self._open:
            self._context.cause = event.cause or self._context.cause
            self._context.record("operation", event.op_id, phase="begun", kind="service", service=event.service)
            self._open[event.op_id] = (event, not_after, False)
            self._send(event)
        return not_after

    def connected(self) -> None:
        """A new session: ask again at once."""
        for event, _, heard in self._open.values():
            if not heard:
                self._send(event)

    def reported(self, node: str, report: ServiceReport) -> None:
        """A node reports on a service."""
        waiting = self._open.get(report.op_id)
        if waiting is None or waiting[0].node != node:
            return
        if report.outcome:
            self._end(report.op_id, report.outcome, node, reason=report.reason, text=report.text)
        else:
            self._open[report.op_id] = (waiting[0], waiting[1], True)
            self._look_again(report.op_id)

    def returned(self, node: str) -> None:
        """A node has a new session on the bus: what it reported before may have been lost."""
        for event, _, heard in self._open.values():
            if heard and event.node == node:
                self._send(event)

    def timer(self, op_id: str) -> None:
        """Ask again, or give up."""
        waiting = self._open.get(op_id)
        if waiting is None:
            return
        if self._context.now.lab >= self._patience(op_id):
            self._end(
                op_id, "indefinite", waiting[0].node, reason="node_down", text="No report within the time allowed"
            )
        else:
            self._send(waiting[0])

    def _send(self, event: OrderService) -> None:
        order = ServiceOrder(event.op_id, event.service, event.action, self._open[event.op_id][1])
        self._context.publish(self._context.topics.service_order(event.node, event.service), order)
        self._look_again(event.op_id)

    def _look_again(self, op_id: str) -> None:
        """Have `timer` called: sooner while nobody has said anything, later once the order is being carried out."""
        attempt = self._attempts.get(op_id, 0)
        self._attempts[op_id] = attempt + 1
        if self._open[op_id][2]:
            delay = self._context.draw(*SILENCE, "order", op_id, attempt)
        else:
            delay = self._context.backoff(attempt, "order", op_id)
        self._context.start_timer(TIMER + op_id, min(delay, self._patience(op_id) - self._context.now.lab))

    def _patience(self, op_id: str) -> int:
        """The instant at which an order is given up."""
        _, not_after, heard = self._open[op_id]
        return not_after + COMPLETION if heard else not_after

    def _end(self, op_id: str, outcome: str, node: str, *, reason: str, text: str) -> None:
        del self._open[op_id]
        self._attempts.pop(op_id, None)
        self._context.cancel_timer(TIMER + op_id)
        self._context.record("operation", op_id, phase="ended", outcome=outcome, reason=reason)
        states = {"done": "done", "refused": "refused"}
        self._context.ask(Reply(op_id, outcome, reason, text, (), {node: states.get(outcome, "pending")}))
