"""Who uses which certificates on the nodes of one role, and what a change asks of them: found once from the tables.

A service that the release's table does not list for a unit takes up the unit's new certificate by itself (X-07, C-20).
For trust certificates that is the same as reading the files whenever they are needed, unless a listener verifies with
them: so only the rest is kept as a loaded copy.
"""

from collections.abc import Collection, Mapping
from typing import get_args

import msgspec

from ucmlab.node.listeners import Listener
from ucmlab.node.restarts import Condition, RestartRules, Verb, to_restart
from ucmlab.node.rule_rows import Service


class Plan(msgspec.Struct, frozen=True):
    """Services that wait for a restart after a change, and those that take it up at once."""

    wait: tuple[str, ...]
    follow: tuple[str, ...]


class Uses:
    """Of the services of one role."""

    def __init__(
        self, services: Mapping[str, Service], listeners: Mapping[str, tuple[Listener, ...]], rules: RestartRules
    ) -> None:
        """`services` are those of the role; `listeners` are by service."""
        self._services = services
        self._rules = rules
        self._plans: dict[tuple[str, Verb, bool, bool, frozenset[Condition]], Plan] = {}
        self.standing_on: dict[str, tuple[str, ...]] = {
            name: tuple(other for other, row in services.items() if name in row.needs) for name in services
        }
        """Service to those that need it."""
        self.kept: dict[str, tuple[str, ...]] = {
            name: self._keeps(row, listeners.get(name, ())) for name, row in services.items()
        }
        """Service to the trust units that it keeps a copy of."""
        self.listed = frozenset(name for row in rules.restart for name in row.services)
        """Services that are to be restarted for something."""
        self._users: dict[str, dict[str, None]] = {}
        for name, row in services.items():
            shown = (unit for each in listeners.get(name, ()) for unit in each.presents)
            for unit in (*row.loads, *shown, *self.kept[name]):
                self._users.setdefault(unit, {})[name] = None

    def users(self, unit: str) -> tuple[str, ...]:
        """The services that may have a copy of a unit."""
        return tuple(self._users.get(unit, ()))

    def plan(self, unit: str, verb: Verb, *, here: bool, publisher: bool, conditions: frozenset[Condition]) -> Plan:
        """What a change of a unit asks of the services of one node.

        Args:
            unit: an identity or trust unit, or `AUTHZ`.
            verb: what was done.
            here: whether it changed on this node.
            publisher: whether it is the publisher.
            conditions: those that hold.
        """
        key = unit, verb, here, publisher, conditions
        known = self._plans.get(key)
        if known is None:
            rows = self._rules.restarts(unit, verb)
            wait = to_restart(rows, services=self._services, changed=here, publisher=publisher, conditions=conditions)
            users = self.users(unit) if here else ()
            follow = (name for name in users if not {name, *self._services[name].needs} & {*wait})
            known = self._plans[key] = Plan(wait, tuple(follow))
        return known

    def _keeps(self, service: Service, listeners: Collection[Listener]) -> tuple[str, ...]:
        verifying = [unit for each in listeners for unit in each.trusts]
        units = dict.fromkeys((*service.trusts, *verifying))
        return tuple(unit for unit in units if unit in verifying or self._waits(service, unit))

    def _waits(self, service: Service, unit: str) -> bool:
        """Whether there is a change of a unit for which a service, or one that it needs, is to be restarted."""
        rows = (row for verb in get_args(Verb) for row in self._rules.restarts(unit, verb))
        listed = {name for row in rows for name in row.services}
        return not listed.isdisjoint((service.name, *service.needs))
