"""Planted bugs: each takes one safety mechanism out of the cluster, so that finding nothing means something.

What each does is in `mutants/`. `make mutants` plants them all and tells how soon each is found, and by whom.
"""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from ucmlab.cluster.search.mutants import following, publishing, running, surroundings
from ucmlab.cluster.sim.world import World
from ucmlab.node.core import NodeCore
from ucmlab.publisher.core import PublisherCore

Core = TypeVar("Core", bound=NodeCore)


def nothing(_world: World) -> None:
    """The surroundings are as they should be."""


class Plant(msgspec.Struct, frozen=True):
    """A bug to plant: what it does, who must notice, the cores that have it, and what it does to their surroundings."""

    text: str
    invariant: str
    node: Callable[..., NodeCore] = NodeCore
    publisher: Callable[..., NodeCore] = PublisherCore
    surround: Callable[[World], None] = nothing


def _having(base: type[Core], **machines: object) -> type[Core]:
    """A core with other machines than its own."""
    return type(f"Mutant{base.__name__}", (base,), machines)


def _node(text: str, invariant: str, **machines: object) -> Plant:
    """A bug of every node but the publisher."""
    return Plant(text, invariant, node=_having(NodeCore, **machines))


def _all(text: str, invariant: str, **machines: object) -> Plant:
    """A bug of every node."""
    return Plant(text, invariant, node=_having(NodeCore, **machines), publisher=_having(PublisherCore, **machines))


def _publisher(text: str, invariant: str, publisher: type[PublisherCore]) -> Plant:
    return Plant(text, invariant, publisher=publisher)


def _mixed(text: str, invariant: str, mutant: type[NodeCore]) -> Plant:
    """A bug of every node, in the node's own part of it."""
    publisher = type(f"Publisher{mutant.__name__}", (mutant, PublisherCore), {})
    return Plant(text, invariant, node=mutant, publisher=publisher)


PLANTS = {
    # -- following the log
    "out-of-order": _node("a follower applies entries out of order", "S1", follower_class=following.SkippingFollower),
    "applied-twice": _node(
        "a follower applies an entry that comes twice twice", "S1", follower_class=following.RepeatingFollower
    ),
    "chain-unchecked": _node("a follower does not compare hashes", "S4", follower_class=following.ChainlessFollower),
    "epoch-unchecked": _node(
        "a follower takes entries of an epoch that is over", "S4", follower_class=following.EpochlessFollower
    ),
    "head-believed": _node(
        "a follower believes a retained head more than its replica",
        "S1",
        follower_class=following.HeadBelievingFollower,
    ),
    "old-snapshot": _node(
        "a follower installs a snapshot older than its replica", "S2", follower_class=following.StaleSnapshotFollower
    ),
    "ack-before-sync": _node(
        "a follower acknowledges before its disk is synced", "S14", follower_class=following.HastyFollower
    ),
    "ack-without-files": _mixed("a node acknowledges deletes whose files it still has", "S14", following.CarelessNode),
    "snapshot-forgets": _node(
        "a follower drops the tombstones of a snapshot", "S14", replica_class=following.AmnesicReplica
    ),
    "never-asks": _node("a follower never asks for what it missed", "L1", follower_class=following.SilentFollower),
    "gives-up": _node(
        "a follower gives up asking, and does not rejoin", "L4", follower_class=following.ShortOfBreathFollower
    ),
    "will-believed": Plant(
        "wills are believed whenever they come",
        "L1",
        node=following.WillBelievingNode,
        publisher=publishing.UncontradictingPublisher,
    ),
    "digest-too-wide": _all("the digest covers more than rows", "S7", replica_class=following.MemorialReplica),
    "divergence-untold": Plant(
        "rows differ, and nobody compares them",
        "L6",
        node=_having(NodeCore, replica_class=following.HoardingReplica, follower_class=following.UnseeingFollower),
        publisher=publishing.UnseeingPublisher,
    ),
    "settings-stick": Plant(
        "a parameter that was set once is never set again, and nobody compares settings",
        "parameters",
        node=_having(NodeCore, replica_class=following.StubbornReplica, follower_class=following.UnseeingFollower),
        publisher=publishing.UnseeingPublisher,
    ),
    "snapshot-without-settings": _node(
        "a follower drops the settings of a snapshot", "parameters", replica_class=following.CarefreeReplica
    ),
    # -- the log
    "ack-before-append": _publisher("the publisher answers before the log is durable", "S6", publishing.HastyPublisher),
    "tombstone-by-time": _publisher("tombstones are dropped by time", "S14", publishing.ForgetfulPublisher),
    "floor-of-the-present": _publisher(
        "tombstones are dropped when those present have acknowledged", "S14", publishing.ShortSightedPublisher
    ),
    "no-new-epoch": _publisher("a restored publisher goes on in its epoch", "L1", publishing.UnconcernedPublisher),
    "epoch-forgets": Plant(
        "a new epoch forgets deletions", "S14", publisher=_having(PublisherCore, replica_class=following.AmnesicReplica)
    ),
    "two-contents": _publisher("two entries get one number", "S4", publishing.ForkingPublisher),
    "judged-once": _publisher("the publisher does not judge proposals again", "S3", publishing.CredulousPublisher),
    "resync-unjudged": _publisher("the publisher takes deleted rows back", "S3", publishing.UnrememberingPublisher),
    "answers-forgotten": Plant(
        "an operation that is asked for again is a new one",
        "S6",
        publisher=_having(PublisherCore, log_class=publishing.ForgetfulLog),
    ),
    "settings-promised": _publisher(
        "the publisher answers that a parameter is set, and does not set it",
        "parameters",
        publishing.PromisingPublisher,
    ),
    "no-snapshots": _publisher("nobody is served a snapshot", "L4", publishing.StingyPublisher),
    "snapshot-without-deletions": _publisher("snapshots do not tell of deletions", "S14", publishing.AmnesicPublisher),
    "will-stands": Plant(
        "a late will of the publisher's stands",
        "L1",
        node=following.HopelessNode,
        publisher=publishing.UncontradictingPublisher,
    ),
    # -- who says so
    "unsigned": Plant("nobody checks signatures", "S5", surround=surroundings.believe_signatures),
    "sender-unchecked": Plant("any member may write the log", "S5", node=surroundings.CredulousNode),
    "topic-believed": Plant(
        "a former member's proposal is taken for that of the node it names",
        "S15",
        publisher=publishing.UnaskingPublisher,
        surround=surroundings.keep_old_members,
    ),
    # -- files and services
    "zombie": Plant(
        "a deleted certificate is proposed again, and taken",
        "S3",
        node=_having(NodeCore, change_notification_class=running.ZombieNotification),
        publisher=type(
            "Publisher", (publishing.UnrememberingPublisher,), {"change_notification_class": running.ZombieNotification}
        ),
    ),
    "filter-too-wide": _all(
        "a delete takes the files of other units too", "S8", change_notification_class=running.WideNotification
    ),
    "unlisted-everywhere": _all(
        "files of unlisted units appear on every node", "S8", unlisted_files_class=running.GreedyFiles
    ),
    "files-believed": _all(
        "a comparison does not look at the disk", "L2", change_notification_class=running.TrustfulNotification
    ),
    "hot-reload": _mixed("a service takes up a new identity without a start", "S10", running.ReloadingNode),
    "reload-forgotten": _all("a restart loads nothing new", "S10", services_class=running.LoyalServices),
    "change-unnoticed": _all(
        "no restart is pending for what was changed", "pending", services_class=running.HeedlessServices
    ),
    "undone-pending": _all("a restart is pending for what was undone", "pending", services_class=running.FussyServices),
    "orders-repeated": _all(
        "an order that comes twice takes effect twice", "S11", services_class=running.RepeatingServices
    ),
    "orders-unrecorded": Plant("which orders took effect is not on disk", "S11", surround=surroundings.forget_orders),
    "orders-late": _all("an order takes effect however late", "S11", services_class=running.LateServices),
    "orders-of-others": _publisher(
        "the publisher carries out the orders of others", "S11", publishing.MeddlingPublisher
    ),
    # -- operations and the bus
    "replies-twice": _all(
        "an operation is answered more than once", "replies", operations_class=running.RepeatingOperations
    ),
    "never-gives-up": _all("an operation nobody answers never ends", "L3", operations_class=running.PatientOperations),
    "no-backoff": _all("who gets no answer asks again at once", "L5", context_class=running.ImpatientContext),
    "echo": Plant(
        "heads and acknowledgements answer each other",
        "L5",
        node=_having(NodeCore, follower_class=following.TalkativeFollower),
        publisher=publishing.EchoingPublisher,
    ),
}
