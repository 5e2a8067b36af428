"""A page of the administration, open in somebody's browser: what is edited is nothing until it is saved (R-206)."""

from ucmlab.cluster.errors import Unusable
from ucmlab.node.events import SetParameter
from ucmlab.node.parameter_rules import CLUSTER
from ucmlab.node.rulebook import RuleBook
from ucmlab.scenarios.parameters import parameter_of, parameter_value
from ucmlab.scenarios.reply import Reply
from ucmlab.scenarios.telling import Telling


class Page:
    """One page. Whoever leaves it without `save` has changed nothing."""

    def __init__(self, telling: Telling, target: str, name: str) -> None:
        """Open it; nothing is edited.

        Args:
            telling: of the story.
            target: the node whose page it is; or `cluster`, the publisher's, with what the whole cluster has.
            name: as in `Certificate Revocation`, in upper or lower case.

        Raises:
            Unusable: there is no such page.
        """
        facts = telling.port.facts()
        rows = RuleBook.load(facts.release, facts.profile).parameters.values()
        pages = {row.page.casefold(): row.page for row in rows}
        if name.casefold() not in pages:
            raise Unusable(f"there is no page {name!r}; there are {', '.join(pages.values())}")
        self.name = pages[name.casefold()]
        self._telling = telling
        self._target = target
        self._fields = {row.name.casefold(): row.name for row in rows if row.page == self.name}
        self._edited: dict[str, str] = {}

    def set(self, name: str, value: str | int) -> None:
        """Edit one field; whether the value will do is said when it is saved.

        Raises:
            Unusable: the page has no such field.
        """
        self._edited[self._field(name)] = parameter_value(value)

    def value(self, name: str) -> str:
        """What the page shows: what was edited, or else what is set.

        Raises:
            Unusable: the page has no such field.
            Refusal: the cluster has several values of it.
        """
        field = self._field(name)
        if field in self._edited:
            return self._edited[field]
        return parameter_of(self._telling.port, self._target, field)

    async def save(self) -> Reply:
        """Save what was edited: all of it or, where one value will not do, nothing, and it stays edited.

        Raises:
            Unusable: nothing was edited.
        """
        if not self._edited:
            raise Unusable(f"nothing was edited on the page {self.name}")
        (name, value), *others = self._edited.items()
        telling, node = self._telling, self._telling.port.names[0] if self._target == CLUSTER else self._target
        operation = SetParameter(telling.operation_id(), self._target, name, value, others=tuple(others))
        what = f"save {self.name} on {node}"
        reply = Reply(telling, what, await telling.operate(node, operation, what))
        if reply.outcome == "done":
            self._edited.clear()
        return reply

    def _field(self, name: str) -> str:
        field = self._fields.get(name.casefold())
        if field is None:
            told = ", ".join(self._fields.values())
            raise Unusable(f"there is no {name!r} on the page {self.name}; there are {told}")
        return field
