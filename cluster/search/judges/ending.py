"""What must have come about once faults have ended and time has passed: L1 to L6, and S1 once more on the disks."""

from typing import NamedTuple

from ucmlab.cluster.search.judges.facts import DIVERGED, Facts
from ucmlab.cluster.sim.world import SimNode
from ucmlab.node.certificates import parse
from ucmlab.node.core import NodeCore
from ucmlab.node.instant import MINUTE
from ucmlab.node.settings import settings_of
from ucmlab.publisher.core import HEAD_AGAIN

QUIET_EVENTS = 5
"""A node's share of the events (packets on their way, timers) in a quiet minute. Heads and comparisons of every thirty
minutes may fall into it; otherwise there is one or none."""

HEARTBEAT = HEAD_AGAIN + MINUTE
"""So often the publisher tells its head, and whoever hears it compares; and the time that this takes."""

LONG = 30 * MINUTE
"""From so much silence on, a node was long away: nobody's patience lasts, no notice reaches back."""


class Loudness(NamedTuple):
    """How much has happened so far: events of the timeline, connections made to the broker."""

    events: int
    connections: int


class EndJudge:
    """Looks at everything once."""

    def __init__(self, facts: Facts) -> None:
        """Nothing to look at yet."""
        self._facts = facts
        units = facts.world.rulebook.units.values()
        self._listed = tuple(unit for unit in units if unit.kind == "trust" and unit.replicated)

    def check(self) -> None:
        """Judge every node against the publisher."""
        facts = self._facts
        publisher = facts.world.nodes[facts.publisher].core
        if publisher is None:
            facts.violate("L1", facts.publisher, "does not run")
            return
        for node in facts.world.nodes.values():
            if self._reached(node, publisher):
                self._check_disk(node)
        self._check_log(facts.world.nodes[facts.publisher])
        self._check_replies()

    def _reached(self, node: SimNode, publisher: NodeCore) -> bool:
        facts, core, head = self._facts, node.core, publisher.replica
        if core is None or (core.replica.position, core.replica.digest()) != (head.position, head.digest()):
            invariant = "L4" if self._silence(node.name) >= LONG else "L1"
            facts.violate(invariant, node.name, f"did not reach {head.position}: {core and core.replica.position}")
            if core is not None and core.replica.position == head.position:
                self._check_told(node)
        elif not core.change_notification.agrees():
            facts.violate("L1", node.name, "files do not equal rows")
        elif core.believes_publisher_away():
            facts.violate("L1", node.name, "believes that the publisher is away")
        elif core.open_operations():
            facts.violate("L3", node.name, f"{core.open_operations()} operations never ended")
        else:
            return True
        return False

    def check_quiet(self, began: Loudness, ended: Loudness) -> None:
        """L5."""
        facts = self._facts
        events, connections = ended.events - began.events, ended.connections - began.connections
        if events > QUIET_EVENTS * len(facts.world.nodes) or connections:
            text = f"{events} events and {connections} connections in a minute long after the last fault"
            facts.violate("L5", facts.publisher, text)

    def _check_told(self, node: SimNode) -> None:
        """L6: rows differ at the same position, and neither the node nor the publisher says so with each heartbeat."""
        facts = self._facts
        since = facts.world.now - HEARTBEAT
        told = any(
            line.lab >= since
            and line.record.name == "alarm"
            and line.record.fields["alarm"] in DIVERGED
            and node.name in (line.node, line.record.fields.get("member"))
            for line in facts.world.journal
        )
        if not told:
            facts.violate("L6", node.name, "its rows are not the publisher's, and no alarm tells of it")

    def _silence(self, name: str) -> int:
        """The longest time in which nothing was heard of a node."""
        heard = [line.lab for line in self._facts.world.journal if line.node == name]
        return max((later - sooner for sooner, later in zip([0, *heard], [*heard, self._facts.world.now], strict=True)))

    def _check_disk(self, node: SimNode) -> None:
        """S1: the database is what the node believes. L2, S3: files equal rows."""
        facts, role = self._facts, node.config.role
        on_disk = node.disk.replica()
        rows, settings = {row.key for row in on_disk.rows}, settings_of(on_disk.settings)
        believed = None if node.core is None else node.core.replica
        if believed is not None and (rows != set(believed.rows) or settings != believed.settings):
            facts.violate("S1", node.name, "the database on disk is not what the node believes")
        files = {(file.unit, parse(file.der).fingerprint) for file in node.disk.files.values()}
        for unit in self._listed:
            if role not in unit.roles:
                continue
            of_unit = {key for key in rows if key[0] == unit.name}
            filed = {key for key in files if key[0] == unit.name}
            for key in sorted(of_unit - filed)[:1]:
                facts.violate("L2", node.name, f"{key[0]} {key[1][:12]} has a row and no file")
            for key in sorted(filed - of_unit)[:1]:
                facts.violate("S3", node.name, f"{key[0]} {key[1][:12]} has a file and no row")

    def _check_log(self, publisher: SimNode) -> None:
        """L2: what was accepted is what the publisher's rows are, and so everybody's who reached them."""
        facts = self._facts
        if not facts.lost and {row.key for row in publisher.disk.replica().rows} != facts.rows:
            facts.violate("L2", publisher.name, "the rows are not what was accepted")

    def _check_replies(self) -> None:
        """L3: who asked was answered, unless the process died that was asked."""
        facts = self._facts
        for op_id, asked in facts.asked.items():
            if op_id not in facts.replies and facts.lives[asked.asker] == asked.life:
                facts.violate("L3", asked.asker, f"{op_id}, {asked.kind} in {asked.unit}, was never answered")
