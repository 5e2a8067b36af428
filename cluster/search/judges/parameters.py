"""What administrators set: who was answered `done` has it in the log, and whoever converged reads what the log says."""

from ucmlab.broker.messages import LogEntry
from ucmlab.cluster.search.judges.facts import Facts
from ucmlab.cluster.sim.world import SimNode
from ucmlab.node.commands import Reply
from ucmlab.node.core import NodeCore
from ucmlab.node.events import DiskImage
from ucmlab.node.settings import Settings, after, settings_of

INVARIANT = "parameters"
Key = tuple[str, str]


class ParametersJudge:
    """Knows what was set, and since when."""

    def __init__(self, facts: Facts, images: dict[str, DiskImage]) -> None:
        """Begin with what is on the publisher's disk."""
        self._facts = facts
        self._set: Settings = settings_of(images[facts.publisher].replica.settings)
        self._since: dict[Key, list[tuple[int, str]]] = {}
        """Values that were set while somebody looked, and when."""
        self._asked: dict[str, tuple[Key, str]] = {}

    def asked(self, op_id: str, node: str, name: str, value: str) -> None:
        """An administrator wants a parameter to have a value."""
        row = self._facts.world.rulebook.parameters[name]
        self._asked.setdefault(op_id, ((row.place(node, self._facts.world.nodes[node].config.role), name), value))

    def appended(self, entry: LogEntry) -> None:
        """An entry is in the log from now on."""
        if entry.settings:
            for each in entry.settings:
                self._since.setdefault((each.place, each.name), []).append((self._facts.world.now, each.value))
            self._set = after(self._set, entry.settings)

    def replied(self, node: SimNode, reply: Reply) -> None:
        """`done`: at some time since it was asked for, the parameter had that value."""
        asked = self._asked.get(reply.op_id)
        if asked is None or reply.outcome != "done" or self._facts.lost:
            return
        key, wanted = asked
        held = self._held(key, self._facts.asked[reply.op_id].at)
        if wanted not in held:
            text = f"{reply.op_id} was answered done, and {key[1]} of {key[0]} was {held}, not {wanted!r}"
            self._facts.violate(INVARIANT, node.name, text)

    def _held(self, key: Key, since: int) -> list[str]:
        """The values that a parameter has had since then."""
        values = [(0, self._facts.world.rulebook.parameters[key[1]].default), *self._since.get(key, ())]
        before = sum(at < since for at, _ in values)
        return [value for _, value in values[max(0, before - 1) :]]

    def check(self, node: SimNode, publisher: NodeCore | None) -> None:
        """At the end, on a node that has reached the publisher's position."""
        core, facts = node.core, self._facts
        if core is None or publisher is None or core.replica.position != publisher.replica.position:
            return
        believed = core.replica.settings
        if believed != publisher.replica.settings:
            facts.violate(INVARIANT, node.name, f"believes {dict(believed)}, the publisher has another setting")
        if core.context.set_parameters != believed:
            facts.violate(INVARIANT, node.name, "what it reads is not what it believes")
        if not facts.lost and believed != self._set:
            facts.violate(INVARIANT, node.name, f"believes {dict(believed)}, the log has set {dict(self._set)}")
