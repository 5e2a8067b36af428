"""What must hold: the invariants that the search judges, as one table (anchors.md iv), and what it is to break one.

Each names the replication policies that promise it. Where a policy does not, `broken_by` says why, in the rule book's
words: what it breaks there is what that policy is there to show. Who judges is in `judges/`.

S9 (TLS) and S13 (phones) have nothing to judge before there are handshakes and phones.
"""

from collections.abc import Mapping
from typing import Literal, get_args

import msgspec

from ucmlab.node.config import Policy

Judge = Literal["all", "promised"]
"""Whether to judge every invariant, or only those that the policy promises."""


class Violation(msgspec.Struct, frozen=True):
    """An invariant that did not hold: which, at which lab instant (microseconds), on which node, and what was seen."""

    invariant: str
    at: int
    node: str
    text: str


class Invariant(msgspec.Struct, frozen=True):
    """One row of the table."""

    id: str
    text: str
    broken_by: Mapping[Policy, str] = {}
    """Policies that do not promise it, and why."""

    @property
    def policies(self) -> tuple[Policy, ...]:
        """The policies that promise it."""
        return tuple(policy for policy in get_args(Policy) if policy not in self.broken_by)


_ROWS = (
    Invariant("S1", "prefix: a replica holds the log up to its position, applied in order"),
    Invariant("S2", "monotone: a position never goes back while a process lives, nor an epoch ever"),
    Invariant(
        "S3",
        "no zombie: what was deleted comes back only by an operator's upload",
        {
            "faithful": "R-078 (B.6.3): Change Notification proposes a file again whose delete its node missed",
            "legacy": "R-078 (C-01, B.6.2): a delete was one node's affair, and the others' row brings the file back",
        },
    ),
    Invariant("S4", "one writer: one content for each (epoch, seq), and nothing applied that is not in the log"),
    Invariant("S5", "no invention: every certificate in the log was brought by somebody"),
    Invariant(
        "S6",
        "no lost acknowledgement: the log has what was answered `done`, from before the answer on, and no refused one",
    ),
    Invariant("S7", "digest sound: at equal positions, equal rows"),
    Invariant("S8", "isolation: what concerns one unit changes no file of another"),
    Invariant("S10", "presented: a service keeps what it loaded at its last start until the next one"),
    Invariant(
        "pending", "a restart is pending for what a service holds and what lies otherwise there, and for no more"
    ),
    Invariant("S11", "once: an order to a service takes effect once, on the node it was given for, and in time"),
    Invariant("S12", "custody: no private key in the clear in a message, a journal line or a file"),
    Invariant("S14", "floor: a deletion is forgotten only when every member has acknowledged past it"),
    Invariant("S15", "membership: nothing in the log comes from somebody who is no member"),
    Invariant("S16", "bus: the broker delivers what was published, in order, and retains what was last retained"),
    Invariant("S17", "harness: a seed played again, unwatched, is the same story, and every fault is in it"),
    Invariant("replies", "an operation takes effect once, and is answered once"),
    Invariant("parameters", "what was answered `done` was set, and whoever converged reads what the log set last"),
    Invariant("L1", "convergence: after the last fault every node reaches the publisher's rows, and files equal rows"),
    Invariant("L2", "visible: after the last fault what was accepted is on every node's disk"),
    Invariant("L3", "an end: every operation ends"),
    Invariant("L4", "rejoin: a node that was long away reaches the others without an operator"),
    Invariant("L5", "no storm: a healed cluster is quiet, and a broken one not too loud"),
    Invariant("L6", "alarm: a divergence that lasts is told of within one heartbeat"),
)

INVARIANTS: dict[str, Invariant] = {row.id: row for row in _ROWS}


def promised(invariant: str, policy: Policy) -> bool:
    """Whether the policy promises the invariant."""
    return policy not in INVARIANTS[invariant].broken_by
