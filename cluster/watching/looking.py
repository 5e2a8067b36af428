"""Looking at a lab that runs again and again, at little cost.

The journals tell where something happened: only those nodes are looked at, their disks from this process (they are
files of the same user), their cores through the lab. That a node was killed or cut off is in no journal of its own, so
the lab is asked for the lives of all, which needs no disk, once a second. Once in a while everybody is looked at, for
what somebody did to the files behind the lab's back.
"""

import hashlib
import time
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from ucmlab.cluster.homeview import HomeView, read_home
from ucmlab.cluster.journal_reader import JournalReader
from ucmlab.cluster.provision import LabHome
from ucmlab.cluster.requests import Glanced
from ucmlab.cluster.watching.board import Board, Change, Holding, Key, changes, make_board
from ucmlab.node.certificates import parse
from ucmlab.node.errors import Refusal

GLANCE_EVERY_S = 1.0
LOOK_AT_ALL_EVERY_S = 30.0
LOOK_AGAIN_AFTER_S = 1.0
"""A node tells of a thing right before or after it does it, so one look may come too early."""
SHARE = 4
"""A look is followed by this many times its own time without one: under load it takes a fifth of a core at most."""
LAB = "lab"
"""What the journal calls the lab itself."""


class Glancing(Protocol):
    """A running lab, as far as a watcher asks it."""

    def glance(self, nodes: Iterable[str]) -> Glanced:
        """Everybody's life, and what services of `nodes` have loaded."""
        ...


class News(msgspec.Struct, frozen=True):
    """What a look brought."""

    changes: tuple[Change, ...]
    events: tuple[dict[str, object], ...]
    lives_changed: bool

    @property
    def any(self) -> bool:
        """Whether there is something to show."""
        return bool(self.changes or self.events or self.lives_changed)


class Looker:
    """Keeps a board up to date."""

    def __init__(self, home: LabHome, lab: Glancing, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Look at everybody once. `clock` is the machine's, in seconds."""
        self._home = home
        self._lab = lab
        self._clock = clock
        self._names: dict[str, str] = {}
        self._reader = JournalReader(home.logs)
        self._reader.skip()
        self._dirty: set[str] = set(home.topology.names)
        self._again: dict[str, float] = {}
        self._holdings = dict.fromkeys(home.topology.names, Holding("starting"))
        self._glance_at = self._all_at = self._rested_at = 0.0
        self.broker_down = False
        self.board: Board = {}
        self.look()

    @property
    def lives(self) -> dict[str, str]:
        """Node to how it is, as `dump` says it."""
        return {name: holding.state for name, holding in self._holdings.items()}

    def name(self, fingerprint: str) -> str:
        """What a certificate is called: its subject's common name."""
        return self._names.get(fingerprint, "")

    def look(self) -> News:
        """See what has happened since the last look.

        Raises:
            LabGone: the lab has ended.
        """
        began = self._clock()
        events = self._reader.fresh()
        for event in events:
            self._happened(str(event.get("node")), began)
        self._dirty.update(name for name, at in self._again.items() if at <= began)
        self._again = {name: at for name, at in self._again.items() if at > began}
        if began >= self._all_at:
            self._dirty.update(self._home.topology.names)
            self._all_at = began + LOOK_AT_ALL_EVERY_S
        looking = bool(self._dirty) and began >= self._rested_at
        lives, broker = self.lives, self.broker_down
        if looking or began >= self._glance_at:
            self._glance(frozenset(self._dirty) if looking else frozenset())
        changed = self._compare() if looking else ()
        if looking:
            self._rested_at = self._clock() + SHARE * (self._clock() - began)
        return News(changed, tuple(events), (lives, broker) != (self.lives, self.broker_down))

    def _happened(self, node: str, now: float) -> None:
        if node in self._holdings:
            self._dirty.add(node)
            self._again[node] = now + LOOK_AGAIN_AFTER_S
        elif node == LAB:
            self._glance_at = 0.0  # a fault: see at once who lives

    def _glance(self, nodes: frozenset[str]) -> None:
        told = self._lab.glance(sorted(nodes))
        self.broker_down = told.broker_down
        for name, seen in told.nodes.items():
            before = self._holdings[name]
            if name in nodes:
                disk = self._read(name)
                # A frozen node has loaded what it had; it may just not have told yet.
                unknown = before.loaded if seen.state == "paused" else {}
                loaded = unknown if seen.loaded is None else seen.loaded
                self._holdings[name] = msgspec.structs.replace(disk, state=seen.state, loaded=loaded)
            elif before.state != seen.state:
                self._dirty.add(name)  # what it has loaded went with it, or has come
                self._holdings[name] = msgspec.structs.replace(before, state=seen.state)
        self._dirty -= nodes
        self._glance_at = self._clock() + GLANCE_EVERY_S

    def _read(self, node: str) -> Holding:
        seen = read_home(self._home.node_home(node), self._home.topology.rulebook)
        rows = {row.key: None if row.holders is None else frozenset(row.holders) for row in seen.rows}
        self._call(seen)
        return Holding("", frozenset(_files(seen)), rows)

    def _compare(self) -> tuple[Change, ...]:
        before = self.board
        self.board = make_board(self._holdings, self._home.topology.publisher)
        return tuple(changes(before, self.board))

    def _call(self, seen: HomeView) -> None:
        for row in seen.rows:
            if row.fingerprint not in self._names:
                self._names[row.fingerprint] = _common_name(row.der)
        for der in (*(file.der for file in seen.files), *seen.identities.values()):
            fingerprint = hashlib.sha256(der).hexdigest()
            if fingerprint not in self._names:
                self._names[fingerprint] = _common_name(der)


def _files(seen: HomeView) -> Iterable[Key]:
    yield from ((file.unit, hashlib.sha256(file.der).hexdigest()) for file in seen.files)
    yield from ((unit, hashlib.sha256(der).hexdigest()) for unit, der in seen.identities.items())


def _common_name(der: bytes) -> str:
    try:
        certificate = parse(der)
    except Refusal:
        return "not readable"
    return certificate.common_name or certificate.subject
