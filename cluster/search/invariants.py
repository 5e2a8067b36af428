"""The safety invariants, judged while a seed runs, and the liveness that must follow once faults stop (anchors.md iv).

Each is local and cheap: it looks at the commands that were really performed (a kill may cut a list short), not at what
the core meant to do. Each names the policies it holds in; the others are what those policies are there to show.

    S1 prefix      an applied entry is the log's, right after the one applied before
    S2 monotone    a position never goes back while a process lives, nor in epoch ever
    S3 no zombie   a deleted certificate returns only by an operator's upload (modern)
    S4 one writer  one content for each (epoch, seq)
    S5 no invention  every certificate in the log was brought by somebody
    S6 no lost ack what was answered `done` is in the log, from before the answer on
    S7 no fork     no node finds that its rows or its log differ from the publisher's at the same position
    replies        one reply for each operation
    L1 convergence after the last fault all nodes have the publisher's rows, and files equal rows
    L3 an end      every operation has ended by then
"""

from collections.abc import Callable
from typing import Any

import msgspec

from ucmlab.broker.codec import BusCodec
from ucmlab.broker.messages import LogEntry, RowKey
from ucmlab.cluster.sim.world import SimNode, World
from ucmlab.node.certificates import parse
from ucmlab.node.commands import AppendLog, ApplyEntry, BeginEpoch, Command, InstallSnapshot, Record, Reply
from ucmlab.node.events import DiskImage
from ucmlab.node.log_hash import entry_hash


class Violation(msgspec.Struct, frozen=True):
    """An invariant that did not hold."""

    invariant: str
    at: int
    node: str
    text: str


class Monitor:
    """Watches one world."""

    def __init__(self, world: World, images: dict[str, DiskImage], codec: BusCodec, binding: str) -> None:
        """Attach to the world's performers; `binding` is what log entries are signed for."""
        self._world = world
        self._codec = codec
        self._binding = binding
        self._policy = next(iter(world.nodes.values())).config.replication
        self.violations: list[Violation] = []
        self._entries: dict[tuple[int, int], tuple[bytes, LogEntry]] = {}
        self._positions: dict[str, tuple[int, int]] = {}
        self._logged: set[str] = set()
        self._brought: set[str] = set()
        self._deleted: set[RowKey] = set()
        self._rows: set[RowKey] = set()
        self._restored = ""
        """The publisher, from its order to come back from a backup until its start."""
        self._former: dict[tuple[int, int], tuple[bytes, LogEntry]] = {}
        """What the log held when it was lost: a member may still apply it, and another may take its number."""
        self._lost = False
        """Whether the publisher ever came back from a backup."""
        self._from_backup: set[str] = set()
        """Nodes that did."""
        self.asked: dict[str, tuple[str, str]] = {}
        """Operation id to (kind, node), of operators."""
        self.replies: dict[str, Reply] = {}
        self._take(images)
        self._attach()

    def _take(self, images: dict[str, DiskImage]) -> None:
        for image in images.values():
            self._brought.update(row.fingerprint for row in image.replica.rows)
            self._rows.update(row.key for row in image.replica.rows)
            for payload in image.log.payloads:
                self._remember(payload)

    def _attach(self) -> None:
        after: dict[type[Command], Callable[[SimNode, Any], None]] = {
            AppendLog: self._appended,
            ApplyEntry: self._applied,
            InstallSnapshot: self._installed,
            BeginEpoch: self._epoch_begun,
            Reply: self._replied,
            Record: self._recorded,
        }
        for kind, check in after.items():
            self._world.watch_performed(kind, check)

    def uploaded(self, op_id: str, node: str, fingerprint: str) -> None:
        """An operator brings a certificate."""
        self.asked[op_id] = ("upload", node)
        self._brought.add(fingerprint)

    def asked_for(self, op_id: str, kind: str, node: str) -> None:
        """An operator asks for something else."""
        self.asked[op_id] = (kind, node)

    def node_starting(self, node: str) -> None:
        """What a process finds on its disk is where it goes on."""
        self._positions[node] = self._world.nodes[node].disk.position()
        if node == self._restored:
            self._forget_what_was_lost(node)

    def suffered(self, fault: str, node: str = "") -> None:
        """A fault is about to be applied; some explain what would else be a violation."""
        if fault == "restore-publisher":
            self._restored, self._lost = node, True
        elif fault == "restore-backup":
            self._from_backup.add(node)

    def _forget_what_was_lost(self, node: str) -> None:
        """The log came back from a backup: deletes that it does not hold were never made, and a new epoch says so."""
        self._restored = ""
        position = self._world.nodes[node].disk.position()
        for at, (_, entry) in self._entries.items():
            if at > position:
                self._deleted.difference_update(entry.removes)
        self._former.update({at: known for at, known in self._entries.items() if at > position})

    # -- what was performed

    def _remember(self, payload: bytes) -> LogEntry:
        entry = self._codec.open(self._binding, payload).message
        assert isinstance(entry, LogEntry)  # noqa: S101  # only entries are appended
        self._entries[entry.epoch, entry.seq] = (entry_hash(payload), entry)
        self._logged.add(entry.op_id)
        return entry

    def _appended(self, node: SimNode, command: AppendLog) -> None:
        at = (command.epoch, command.seq)
        known = self._entries.get(at)
        if known is not None and known[0] != entry_hash(command.payload) and known != self._former.get(at):
            self._violate("S4", node.name, f"two contents for {command.epoch}/{command.seq}")
        entry = self._remember(command.payload)
        for key in entry.removes:
            self._rows.discard(key)
            self._deleted.add(key)
        for row in entry.adds:
            if row.fingerprint not in self._brought:
                self._violate("S5", node.name, f"{row.unit} {row.fingerprint[:12]} was brought by nobody")
            if row.key in self._deleted and row.key not in self._rows:
                self._check_zombie(node.name, entry, row.key)
            self._rows.add(row.key)
            self._deleted.discard(row.key)

    def _check_zombie(self, node: str, entry: LogEntry, key: RowKey) -> None:
        # A backup from before a change of epoch cannot tell what was deleted since from what the publisher lost.
        excused = self._lost and entry.origin in self._from_backup
        if entry.op_id not in self.asked and self._policy == "modern" and not excused:
            self._violate("S3", node, f"{key[0]} {key[1][:12]} came back by {entry.op_id} of {entry.origin}")

    def _applied(self, node: SimNode, command: ApplyEntry) -> None:
        before = self._positions.get(node.name, (0, 0))
        self._positions[node.name] = (command.epoch, command.seq)
        if command.seq != before[1] + 1 or command.epoch < before[0]:
            self._violate("S1", node.name, f"{command.epoch}/{command.seq} applied after {before[0]}/{before[1]}")
        at = (command.epoch, command.seq)
        former = self._former.get(at)
        known = former if former is not None and former[0] == command.hash else self._entries.get(at)
        if known is None:
            self._violate("S4", node.name, f"{command.epoch}/{command.seq} is not in the log")
        elif known[0] != command.hash or known[1].adds != command.adds or known[1].removes != command.removes:
            self._violate("S1", node.name, f"{command.epoch}/{command.seq} applied with another content")

    def _installed(self, node: SimNode, command: InstallSnapshot) -> None:
        before = self._positions.get(node.name, (0, 0))
        self._positions[node.name] = (command.epoch, command.seq)
        if (command.epoch, command.seq) < before:
            self._violate("S2", node.name, f"went back from {before} to {(command.epoch, command.seq)}")

    def _epoch_begun(self, node: SimNode, command: BeginEpoch) -> None:
        before = self._positions.get(node.name, (0, 0))
        self._positions[node.name] = (command.epoch, 0)
        if command.epoch <= before[0]:
            self._violate("S2", node.name, f"epoch {command.epoch} begun after {before[0]}")

    def _replied(self, node: SimNode, reply: Reply) -> None:
        if reply.op_id in self.replies:
            self._violate("replies", node.name, f"{reply.op_id} was answered twice")
        self.replies[reply.op_id] = reply
        kind, _ = self.asked.get(reply.op_id, ("", ""))
        acknowledged = reply.outcome == "done" and reply.reason != "already_present"
        if kind in ("upload", "delete") and acknowledged and reply.op_id not in self._logged:
            self._violate("S6", node.name, f"{reply.op_id} was answered done and is not in the log")

    def _recorded(self, node: SimNode, record: Record) -> None:
        # A publisher that lost a part of its log may fork it before it knows: then the alarm is what is asked for.
        if self._lost:
            return
        if record.name == "alarm" and record.fields.get("alarm") in ("digest_mismatch", "log_fork"):
            self._violate("S7", node.name, str(record.fields))

    # -- at the end

    def check_converged(self) -> None:
        """L1, and the whole of S1 once more: equal positions, equal digests, files equal rows."""
        publisher = next(iter(self._world.nodes.values()))
        if publisher.core is None:
            return
        head = publisher.core.replica
        for name, node in self._world.nodes.items():
            core = node.core
            if core is None or (core.replica.position, core.replica.digest()) != (head.position, head.digest()):
                self._violate("L1", name, f"did not reach {head.position}: {core and core.replica.position}")
            elif not core.change_notification.agrees():
                self._violate("L1", name, "files do not equal rows")
            elif core.open_operations():
                self._violate("L3", name, f"{core.open_operations()} operations never ended")
            else:
                self._check_disk(node)

    def _check_disk(self, node: SimNode) -> None:
        rows = {row.key for row in node.disk.replica().rows}
        if node.core is not None and rows != set(node.core.replica.rows):
            self._violate("S1", node.name, "the database on disk is not what the node believes")
        units = self._world.rulebook.units
        for file in node.disk.files.values():
            key = (file.unit, parse(file.der).fingerprint)
            if units[file.unit].replicated and key not in rows and self._policy != "legacy":
                self._violate("S3", node.name, f"{key[0]} {key[1][:12]} has a file and no row")

    def _violate(self, invariant: str, node: str, text: str) -> None:
        self.violations.append(Violation(invariant, self._world.now, node, text))
