"""All judges of one world, and what they are told: which commands were performed, who asks for what, what breaks."""

from collections.abc import Callable, Sequence
from typing import Any

from ucmlab.broker.codec import BusCodec
from ucmlab.broker.topics import Topics
from ucmlab.cluster.search.invariants import Judge, Violation
from ucmlab.cluster.search.judges.ending import EndJudge, Loudness
from ucmlab.cluster.search.judges.facts import Facts
from ucmlab.cluster.search.judges.files import FilesJudge
from ucmlab.cluster.search.judges.floor import FloorJudge
from ucmlab.cluster.search.judges.log import LogJudge
from ucmlab.cluster.search.judges.parameters import ParametersJudge
from ucmlab.cluster.search.judges.pending import PendingJudge
from ucmlab.cluster.search.judges.rows import RowsJudge
from ucmlab.cluster.search.judges.services import ServicesJudge
from ucmlab.cluster.sim.world import SimNode, World
from ucmlab.node.commands import (
    AppendLog,
    ApplyEntry,
    BeginEpoch,
    Command,
    InstallSnapshot,
    RaiseFloor,
    Record,
    Reply,
    SyncDisk,
)
from ucmlab.node.events import DiskImage


class Monitor:
    """Watches one world."""

    def __init__(self, world: World, images: dict[str, DiskImage], codec: BusCodec, *, judge: Judge = "all") -> None:
        """Attach to the world's performers; `codec` opens what its members sealed."""
        self._world = world
        self._facts = facts = Facts(world, images, judge=judge)
        self._log = LogJudge(facts, images, codec, Topics(world.cluster).log_binding())
        self._rows = RowsJudge(facts, images)
        self._files = FilesJudge(facts)
        self._services = ServicesJudge(facts, images)
        self._floor = FloorJudge(facts, images)
        self._parameters = ParametersJudge(facts, images)
        self._pending = PendingJudge(facts)
        self._end = EndJudge(facts)
        self._records: dict[str, Callable[[SimNode, Record], None]] = {
            "alarm": self._log.alarm,
            "file_written": self._files.written,
            "file_removed": self._files.removed,
            "service_command": self._services.ordered,
            "identity_made": self._identity_made,
        }
        self._attach()

    @property
    def violations(self) -> Sequence[Violation]:
        """What did not hold so far."""
        return self._facts.violations

    def _attach(self) -> None:
        after: dict[type[Command], Callable[[SimNode, Any], None]] = {
            AppendLog: self._appended,
            ApplyEntry: self._log.applied,
            InstallSnapshot: self._installed,
            BeginEpoch: self._epoch_begun,
            RaiseFloor: self._floor.raised,
            SyncDisk: self._floor.synced,
            Reply: self._replied,
            Record: self._recorded,
        }
        for kind, check in after.items():
            self._world.watch_performed(kind, check)

    # -- what the search is about to do

    def asked_for(self, op_id: str, kind: str, node: str, unit: str, *, brought: str = "", asker: str = "") -> None:
        """An operator of `asker` (else of `node`) asks for an upload or a delete in a unit, or for a service's order.

        `brought` is the fingerprint of a certificate that comes with it.
        """
        self._facts.ask(op_id, kind, node, unit, asker=asker)
        if brought:
            self._facts.brought.add(brought)

    def set_asked_for(self, op_id: str, node: str, name: str, value: str) -> None:
        """An administrator on `node` wants a parameter to have a value."""
        self._facts.ask(op_id, "parameter", node, name)
        self._parameters.asked(op_id, node, name, value)

    def node_starting(self, name: str) -> None:
        """A process is about to read its disk."""
        node, facts = self._world.nodes[name], self._facts
        facts.lives[name] = facts.lives.get(name, 0) + 1
        self._services.starting(node)
        if self._log.starting(node):
            self._rows.lost(self._log.lost_since(facts.positions[name]))

    def suffered(self, fault: str, node: str = "") -> None:
        """A fault is about to be applied."""
        self._facts.injected.add(fault)
        if fault in ("restore-backup", "empty-disk"):
            self._facts.from_backup.add(node)
        self._log.suffered(fault, node)

    # -- what was performed

    def _identity_made(self, node: SimNode, record: Record) -> None:
        self._facts.brought.add(str(record.fields["fingerprint"]))
        self._services.identity_made(node)

    def _appended(self, node: SimNode, command: AppendLog) -> None:
        entry = self._log.appended(node, command)
        self._rows.appended(node, entry)
        self._files.appended(entry)
        self._parameters.appended(entry)

    def _replied(self, node: SimNode, command: Reply) -> None:
        self._rows.replied(node, command)
        self._parameters.replied(node, command)

    def _installed(self, node: SimNode, command: InstallSnapshot) -> None:
        self._log.installed(node, command)
        self._floor.installed(node, command)

    def _epoch_begun(self, node: SimNode, command: BeginEpoch) -> None:
        self._log.epoch_begun(node, command)
        self._floor.epoch_begun(node, command)

    def _recorded(self, node: SimNode, record: Record) -> None:
        judge = self._records.get(record.name)
        if judge is not None:
            judge(node, record)

    # -- at the end

    def quiet_minute(self, *, began: Loudness, ended: Loudness) -> None:
        """A minute long after the last fault has passed."""
        self._end.check_quiet(began, ended)

    def too_loud(self, text: str) -> None:
        """The seed was given up: more happened than ever should."""
        self._facts.violate("L5", self._facts.publisher, text)

    def check_converged(self) -> None:
        """After all faults have ended and time has passed: what must have come about by now."""
        for node in self._world.nodes.values():
            self._services.check(node)
        self._end.check()
        publisher = self._world.nodes[self._facts.publisher].core
        for node in self._world.nodes.values():
            self._parameters.check(node, publisher)
            self._pending.check(node)
