"""What is known of a seed apart from what its cores say: who asked for what, what was brought, and what befell whom.

All judges share one `Facts`. Each judge looks at the commands that were really performed (a kill may cut a list short),
never at what a core meant to do.
"""

from typing import NamedTuple

from ucmlab.broker.messages import LogEntry, RowKey
from ucmlab.cluster.search.invariants import Judge, Violation, promised
from ucmlab.cluster.sim.world import World
from ucmlab.node.commands import Reply
from ucmlab.node.events import DiskImage

Position = tuple[int, int]
DIVERGED = ("digest_mismatch", "log_fork")
"""Alarms of whoever finds that rows or log are not the publisher's."""


class Asked(NamedTuple):
    """An operation that somebody asked for: what, where (a service's order: for which node), and when.

    `asker` is the node whose operator waits for the reply, and `life` which of its lives that was.
    """

    kind: str
    node: str
    unit: str
    at: int
    asker: str
    life: int


class Known(NamedTuple):
    """An entry of the log, and the hash of its bytes."""

    hash: bytes
    entry: LogEntry


class Facts:
    """The record of one seed."""

    def __init__(self, world: World, images: dict[str, DiskImage], *, judge: Judge = "all") -> None:
        """Begin with what is on the disks."""
        self.world = world
        self.policy = next(iter(world.nodes.values())).config.replication
        self.violations: list[Violation] = []
        self._judge = judge
        self.asked: dict[str, Asked] = {}
        """By operation id: what operators asked for."""
        self.replies: dict[str, Reply] = {}
        self.brought: set[str] = set()
        """Fingerprints of certificates that an installation or an operator brought."""
        self.rows: set[RowKey] = set()
        """The log's rows: what was added and not removed since."""
        self.deletions: dict[RowKey, Position] = {}
        """Rows that were deleted and not added since, and the entry that did it."""
        self.entries: dict[Position, Known] = {}
        """The log, forgotten entries included."""
        self.former: dict[Position, Known] = {}
        """What the log held when it was lost: a member may still apply it, and another may take its number."""
        self.positions: dict[str, Position] = {}
        """Where each node's database stands."""
        self.lives: dict[str, int] = {}
        """How often each node was started."""
        self.lost = False
        """Whether the publisher ever came back from a backup."""
        self.from_backup: set[str] = set()
        """Nodes that came back with an older disk than they had."""
        self.injected: set[str] = set()
        """Faults that were injected so far."""
        for image in images.values():
            self.brought.update(row.fingerprint for row in image.replica.rows)
            self.rows.update(row.key for row in image.replica.rows)

    @property
    def publisher(self) -> str:
        """The first node."""
        return next(iter(self.world.nodes))

    def ask(self, op_id: str, kind: str, node: str, unit: str, *, asker: str = "") -> None:
        """Somebody asks for something."""
        asker = asker or node
        self.asked.setdefault(op_id, Asked(kind, node, unit, self.world.now, asker, self.lives.get(asker, 0)))

    def violate(self, invariant: str, node: str, text: str) -> None:
        """An invariant does not hold."""
        if self._judge == "all" or promised(invariant, self.policy):
            self.violations.append(Violation(invariant, self.world.now, node, text))
