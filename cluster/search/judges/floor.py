"""S14: a deletion is forgotten only when every member, there or not, has acknowledged past it."""

from collections.abc import Collection

from ucmlab.broker.messages import RowKey
from ucmlab.cluster.search.judges.facts import Facts, Position
from ucmlab.cluster.sim.world import SimNode
from ucmlab.node.commands import BeginEpoch, InstallSnapshot, RaiseFloor, SyncDisk
from ucmlab.node.events import DiskImage
from ucmlab.node.following import ACK_SYNC


class FloorJudge:
    """Knows how far each member's disk was made durable in order to say so."""

    def __init__(self, facts: Facts, images: dict[str, DiskImage]) -> None:
        """An installed cluster has acknowledged what is on its disks."""
        self._facts = facts
        self._acknowledged: dict[str, Position] = {
            name: (images[name].replica.epoch, images[name].replica.seq) for name in facts.world.nodes
        }

    def synced(self, node: SimNode, command: SyncDisk) -> None:
        """What a node is about to acknowledge is durable."""
        if command.token == ACK_SYNC:
            before, position = self._acknowledged[node.name], self._facts.positions[node.name]
            self._check_files(node, before, position)
            # A node that comes back from a backup has acknowledged more than its disk knows: that is its own to mend.
            self._acknowledged[node.name] = max(position, before)

    def _check_files(self, node: SimNode, before: Position, position: Position) -> None:
        """In `modern` an acknowledgement says that files agree: none is left that could bring back what was deleted."""
        if self._facts.policy != "modern" or node.core is None:
            return
        units = self._facts.world.rulebook.units
        for key, deleted in reversed(self._facts.deletions.items()):
            if deleted <= before:
                return
            if deleted <= position and units[key[0]].replicated and node.core.filing.get(*key) is not None:
                text = f"acknowledges {position} and has a file of {key[0]} {key[1][:12]}, deleted at {deleted}"
                self._facts.violate("S14", node.name, text)

    def raised(self, node: SimNode, command: RaiseFloor) -> None:
        """Everything at or below the floor is forgotten on this node."""
        floor = (self._facts.positions[node.name][0], command.floor)
        for member, acknowledged in self._acknowledged.items():
            if acknowledged < floor:
                text = f"forgot what is below {floor}, and {member} has acknowledged {acknowledged}"
                self._facts.violate("S14", node.name, text)
                return

    def installed(self, node: SimNode, command: InstallSnapshot) -> None:
        """A snapshot takes the place of everything: what somebody may not know yet is in it."""
        there = {(unit, fingerprint) for unit, fingerprint, _ in command.tombstones}
        if node.core is not None:
            there.intersection_update(node.core.replica.tombstones)
        self._check(node, there, (command.epoch, command.seq))

    def epoch_begun(self, node: SimNode, _command: BeginEpoch) -> None:
        """A new log takes the place of the old one: the same."""
        if node.core is not None:
            self._check(node, node.core.replica.tombstones, self._facts.positions[node.name])

    def _check(self, node: SimNode, remembered: Collection[RowKey], position: Position) -> None:
        for key, deleted in self._facts.deletions.items():
            behind = [member for member, acknowledged in self._acknowledged.items() if acknowledged < deleted]
            if deleted <= position and behind and key not in remembered:
                text = f"forgot that {key[0]} {key[1][:12]} was deleted at {deleted}, and {behind[0]} may not know it"
                self._facts.violate("S14", node.name, text)
                return
