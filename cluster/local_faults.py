"""The fault catalogue performed on real processes: which of the lab's acts each row is, and which undoes it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.faults.ledger import Injected, Ledger, broker_group, groups_of
from ucmlab.node.events import OrderService
from ucmlab.node.services import CHANGE_NOTIFICATION

if TYPE_CHECKING:
    from ucmlab.cluster.local import LocalLab

Act = Callable[["LocalLab", Injected], Awaitable[bool]]
"""Performs a row; whether that took effect at once."""


class LocalFaults:
    """What breaks one lab of real processes, and mends it."""

    def __init__(self, lab: "LocalLab") -> None:
        """Nothing is broken."""
        self._lab = lab
        self.ledger = Ledger("local", list(lab.names))

    async def inject(
        self, name: str, target: str, given: Mapping[str, str], *, count: int | None, until: int | None
    ) -> None:
        """Break something; what stood of the same name at the same target ends first.

        Raises:
            Unusable: there is no such fault or target, or it takes no such parameters.
        """
        injected = self.ledger.declare(name, target, given, count=count, until=until)
        if until is not None:
            raise Unusable(f"real processes suffer {name} until it is ended; end it, or tell the story in sim")
        former = self.ledger.standing(name, target)
        if former is not None:
            await self.end(name, target)
        if await _WAYS[name][0](self._lab, injected):
            injected.used()
        self.ledger.begin(injected)

    async def end(self, name: str, target: str) -> None:
        """End a fault that stands.

        Raises:
            Unusable: none does.
        """
        await _WAYS[name][1](self._lab, self.ledger.take(name, target))

    def unfired(self) -> list[str]:
        """What was declared and never took effect; an armed death has when the process is gone."""
        for injected in self.ledger.declared:
            if injected.row.name == "kill" and not injected.uses and self._lab.view(injected.target).state == "down":
                injected.used()
        return self.ledger.unfired()


async def _kill(lab: "LocalLab", injected: Injected) -> bool:
    at = injected.text("at")
    was_up = lab.view(injected.target).state != "down"
    await lab.kill_node(injected.target, at or None)
    return was_up and not at


async def _start(lab: "LocalLab", injected: Injected) -> bool:
    await lab.start_node(injected.target)
    return True


async def _stop(lab: "LocalLab", injected: Injected) -> bool:
    was_up = lab.view(injected.target).state != "down"
    await lab.stop_node(injected.target)
    return was_up


async def _pause(lab: "LocalLab", injected: Injected) -> bool:
    await lab.pause_node(injected.target)
    return lab.view(injected.target).state == "paused"


async def _resume(lab: "LocalLab", injected: Injected) -> bool:
    await lab.resume_node(injected.target)
    return True


async def _break_replication(lab: "LocalLab", injected: Injected) -> bool:
    await lab.set_replication(injected.target, broken=True)
    return True


async def _repair_replication(lab: "LocalLab", injected: Injected) -> bool:
    await lab.set_replication(injected.target, broken=False)
    return True


async def _skew(lab: "LocalLab", injected: Injected) -> bool:
    await lab.set_clock_offset(injected.target, injected.number("offset"))
    return True


async def _set_right(lab: "LocalLab", injected: Injected) -> bool:
    await lab.set_clock_offset(injected.target, 0)
    return True


async def _partition(lab: "LocalLab", injected: Injected) -> bool:
    groups = groups_of(injected.target)
    await lab.partition(groups, broker_group(injected.text("broker"), groups))
    return True


async def _isolate(lab: "LocalLab", injected: Injected) -> bool:
    await lab.isolate(injected.target)
    return True


async def _heal(lab: "LocalLab", _injected: Injected) -> bool:
    await lab.heal()
    return True


async def _rejoin(lab: "LocalLab", injected: Injected) -> bool:
    await lab.heal(injected.target)
    return True


async def _kill_broker(lab: "LocalLab", _injected: Injected) -> bool:
    await lab.kill_broker()
    return True


async def _start_broker(lab: "LocalLab", _injected: Injected) -> bool:
    await lab.start_broker()
    return True


async def _order_change_notification(lab: "LocalLab", node: str, action: str) -> bool:
    lab.orders += 1
    order = OrderService(f"fault-{lab.orders}", node, CHANGE_NOTIFICATION, action)  # type: ignore[arg-type]  # start, stop
    return (await lab.operate(node, order)).outcome == "done"


async def _stop_change_notification(lab: "LocalLab", injected: Injected) -> bool:
    return await _order_change_notification(lab, injected.target, "stop")


async def _start_change_notification(lab: "LocalLab", injected: Injected) -> bool:
    return await _order_change_notification(lab, injected.target, "start")


_WAYS: dict[str, tuple[Act, Act]] = {
    "kill": (_kill, _start),
    "stop": (_stop, _start),
    "pause": (_pause, _resume),
    "replication": (_break_replication, _repair_replication),
    "clock": (_skew, _set_right),
    "partition": (_partition, _heal),
    "isolate": (_isolate, _rejoin),
    "broker-kill": (_kill_broker, _start_broker),
    "certcn-stopped": (_stop_change_notification, _start_change_notification),
}
