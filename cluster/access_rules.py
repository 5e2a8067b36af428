"""What each member of a lab may do on its bus, as rules for the broker (design 5: a node only under its own topics)."""

from ucmlab.broker.access import AccessRule
from ucmlab.broker.topics import Topics


def member_rules(cluster: str, node: str, *, publisher: str) -> tuple[AccessRule, ...]:
    """The access rules of one member."""
    topics = Topics(cluster)
    first = node == publisher
    readable = topics.readable(node, publisher=first, publisher_name=publisher)
    return (
        *(AccessRule("publish", each) for each in topics.writable(node, publisher=first)),
        *(AccessRule("subscribe", each) for each in readable),
        *(AccessRule("receive", each) for each in readable),
    )


def observer_rules(cluster: str) -> tuple[AccessRule, ...]:
    """The read-only account for people and pipelines: everything of the cluster, nothing to write."""
    everything = f"{Topics(cluster).root}/#"
    return (AccessRule("subscribe", everything), AccessRule("receive", everything))
