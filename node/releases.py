"""Which release a node runs: the one that its lab was made with, until the node is upgraded (domain.md A.19, B.19)."""

import msgspec

from ucmlab.node.config import NodeConfig, Policy
from ucmlab.node.errors import Refusal
from ucmlab.node.rulebook import RuleBook


def config_at(made: NodeConfig, release: str) -> NodeConfig:
    """What a node is told that was made as `made` and runs `release` by its disk; empty: it was never upgraded."""
    if release in ("", made.release):
        return made
    policy = policy_at(made.replication, made.release, release)
    return msgspec.structs.replace(made, release=release, replication=policy)


def policy_at(made: Policy, made_with: str, release: str) -> Policy:
    """The replication policy of a lab of `made_with` when it runs `release`.

    A policy that is the release's own goes with the release: a delete reaches all nodes from 11.0 on, whatever was so
    before (X-09). One that was chosen against it (`modern`, or `legacy` on a release that has long left it) stays.
    """
    own = RuleBook.load(made_with).release.replication
    return RuleBook.load(release).release.replication if made == own else made


def judge_upgrade(rulebook: RuleBook, release: str, *, node: str, publisher: str, runs: str, away: bool) -> None:
    """See that a node may be upgraded to a release.

    The product takes an upgrade on the publisher first, and a subscriber's only to what the publisher runs by then. It
    also wants all nodes at one release before it begins anew; here one that was left behind may catch up in one step.

    Args:
        rulebook: the rules of the release that the node runs.
        release: the one that it is to run.
        node: its name.
        publisher: the publisher's.
        runs: the publisher's release, as the node knows; empty: it was never heard of.
        away: whether the publisher is known to be unreachable.

    Raises:
        Refusal: there is no such release, it is no later one, or the publisher comes first.
    """
    names = rulebook.releases
    if release not in names:
        raise Refusal("release_unknown", f"there are {', '.join(names)}")
    if names.index(release) <= names.index(rulebook.release.name):
        raise Refusal("release_not_later", f"{node} runs {rulebook.release.name}")
    if node == publisher:
        return
    if away or not runs:
        raise Refusal("upgrade_needs_publisher", f"{publisher} does not answer")
    if release != runs:
        first = names.index(release) > names.index(runs)
        raise Refusal("publisher_first" if first else "release_mismatch", f"{publisher} runs {runs}")
