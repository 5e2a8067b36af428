"""The log and the replicas that follow it: S1, S2, S4, and that no node finds its rows or its log to differ (S7)."""

from ucmlab.broker.codec import BusCodec
from ucmlab.broker.messages import LogEntry
from ucmlab.cluster.search.judges.facts import DIVERGED, Facts, Known, Position
from ucmlab.cluster.sim.world import SimNode
from ucmlab.node.commands import AppendLog, ApplyEntry, BeginEpoch, InstallSnapshot, Record
from ucmlab.node.events import DiskImage
from ucmlab.node.log_hash import entry_hash


class LogJudge:
    """Knows every entry that the publisher ever made durable, and where each replica stands."""

    def __init__(self, facts: Facts, images: dict[str, DiskImage], codec: BusCodec, binding: str) -> None:
        """`codec` opens what members sealed; `binding` is what log entries are signed for."""
        self._facts = facts
        self._codec = codec
        self._binding = binding
        self._hashes: dict[str, bytes] = {}
        """Of the entry that each node applied last, since it started or took a snapshot."""
        self._restored = ""
        """The publisher, from its order to come back from a backup until its start."""
        for image in images.values():
            for payload in image.log.payloads:
                self._remember(payload)

    def suffered(self, fault: str, node: str) -> None:
        """A fault is about to be applied; some explain what would else be a violation."""
        if fault == "restore-publisher":
            self._restored, self._facts.lost = node, True

    def starting(self, node: SimNode) -> bool:
        """What a process finds on its disk is where it goes on; whether the log came back from a backup."""
        position = self._facts.positions[node.name] = node.disk.position()
        self._hashes.pop(node.name, None)
        if node.name != self._restored:
            return False
        self._restored = ""
        lost = {at: known for at, known in self._facts.entries.items() if at > position}
        self._facts.former.update(lost)
        return True

    def lost_since(self, position: Position) -> list[LogEntry]:
        """Entries past what the log now holds."""
        return [known.entry for at, known in self._facts.entries.items() if at > position]

    def _remember(self, payload: bytes) -> LogEntry:
        entry = self._codec.open(self._binding, payload).message
        assert isinstance(entry, LogEntry)  # noqa: S101  # only entries are appended
        self._facts.entries[entry.epoch, entry.seq] = Known(entry_hash(payload), entry)
        return entry

    def appended(self, node: SimNode, command: AppendLog) -> LogEntry:
        """S4: one content for each number, unless a backup lost the first."""
        at, facts = (command.epoch, command.seq), self._facts
        known = facts.entries.get(at)
        if known is not None and known.hash != entry_hash(command.payload) and known != facts.former.get(at):
            facts.violate("S4", node.name, f"two contents for {command.epoch}/{command.seq}")
        return self._remember(command.payload)

    def applied(self, node: SimNode, command: ApplyEntry) -> None:
        """S1: the next entry, and the log's. S4: nothing that the log never held."""
        facts, at = self._facts, (command.epoch, command.seq)
        before = facts.positions.get(node.name, (0, 0))
        facts.positions[node.name] = at
        if command.seq != before[1] + 1 or command.epoch < before[0]:
            facts.violate("S1", node.name, f"{command.epoch}/{command.seq} applied after {before[0]}/{before[1]}")
        known = facts.entries.get(at)
        if facts.former:
            former = facts.former.get(at)
            known = former if former is not None and former.hash == command.hash else known
        if known is None:
            self._not_in_log(node, command)
        elif (
            known.hash != command.hash
            or known.entry.adds != command.adds
            or known.entry.removes != command.removes
            or known.entry.settings != command.settings
        ):
            facts.violate("S1", node.name, f"{command.epoch}/{command.seq} applied with another content")
        elif self._hashes.get(node.name, known.entry.prev) != known.entry.prev:
            facts.violate("S1", node.name, f"{command.epoch}/{command.seq} applied after another branch of the log")
        self._hashes[node.name] = command.hash

    def _not_in_log(self, node: SimNode, command: ApplyEntry) -> None:
        self._facts.violate("S4", node.name, f"{command.epoch}/{command.seq} is not in the log")
        for row in command.adds:
            if row.fingerprint not in self._facts.brought:
                text = f"{row.unit} {row.fingerprint[:12]}, which nobody brought, is in the rows"
                self._facts.violate("S5", node.name, text)

    def installed(self, node: SimNode, command: InstallSnapshot) -> None:
        """S2, of a snapshot."""
        before = self._facts.positions.get(node.name, (0, 0))
        self._facts.positions[node.name] = (command.epoch, command.seq)
        self._hashes[node.name] = command.hash
        if (command.epoch, command.seq) < before:
            self._facts.violate("S2", node.name, f"went back from {before} to {(command.epoch, command.seq)}")

    def epoch_begun(self, node: SimNode, command: BeginEpoch) -> None:
        """S2, of the log itself."""
        before = self._facts.positions.get(node.name, (0, 0))
        self._facts.positions[node.name] = (command.epoch, 0)
        self._hashes.pop(node.name, None)
        if command.epoch <= before[0]:
            self._facts.violate("S2", node.name, f"epoch {command.epoch} begun after {before[0]}")

    def alarm(self, node: SimNode, record: Record) -> None:
        """S7: somebody finds that rows or log differ at the same position."""
        # A publisher that lost a part of its log may fork it before it knows, and a damaged database differs:
        # then the alarm is what is asked for.
        explained = self._facts.lost or "fork" in self._facts.injected
        if record.fields.get("alarm") in DIVERGED and not explained:
            self._facts.violate("S7", node.name, str(record.fields))
