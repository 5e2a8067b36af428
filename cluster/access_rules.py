"""What each member of a lab may do on its bus, as rules for the broker (design 5: a node only under its own topics)."""

from collections.abc import Callable
from functools import lru_cache

from ucmlab.broker.access import AccessRule, Account, Accounts, Action, ClientIdentity
from ucmlab.broker.topics import Topics, echo_topic


def member_rules(cluster: str, node: str, *, publisher: str) -> tuple[AccessRule, ...]:
    """The access rules of one member."""
    topics = Topics(cluster)
    first = node == publisher
    readable = topics.readable(node, publisher=first, publisher_name=publisher)
    return (
        *(AccessRule("publish", each) for each in topics.writable(node, publisher=first)),
        *(AccessRule("subscribe", each) for each in readable),
        *(AccessRule("receive", each) for each in readable),
        *_echo_rules(cluster),
    )


def observer_rules(cluster: str) -> tuple[AccessRule, ...]:
    """The read-only account for people and pipelines: everything of the cluster, nothing to write but to itself."""
    everything = f"{Topics(cluster).root}/#"
    return (AccessRule("subscribe", everything), AccessRule("receive", everything), *_echo_rules(cluster))


def _echo_rules(cluster: str) -> tuple[AccessRule, ...]:
    """What every client may say to itself, and hear of nobody else."""
    own = echo_topic(cluster, "%c")
    return (AccessRule("publish", own), AccessRule("subscribe", own), AccessRule("receive", own))


@lru_cache(maxsize=32)
def access_list(cluster: str, members: tuple[str, ...]) -> Callable[[ClientIdentity, Action, str], bool]:
    """The broker's question answered for all members, the publisher first; every answer is found once and remembered.

    Topics are few and known (their levels are members, units, services), so what is remembered stays small.
    """
    accounts = Accounts(
        Account(name, b"", b"", member_rules(cluster, name, publisher=members[0]), name) for name in members
    )
    return lru_cache(maxsize=65_536)(accounts.authorize)
