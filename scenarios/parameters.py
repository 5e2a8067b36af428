"""Parameters as stories write and read them."""

from ucmlab.cluster.parameter_list import ParameterList
from ucmlab.cluster.port import LabPort
from ucmlab.cluster.topology import role_of
from ucmlab.node.parameter_rules import CLUSTER, find
from ucmlab.node.rulebook import RuleBook


def parameter_value(value: str | int) -> str:
    """A value as text: what Python says of a flag is not what the product says."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def parameter_of(port: LabPort, target: str, name: str) -> str:
    """What a node reads of a parameter; or `cluster`, the publisher.

    Raises:
        Refusal: the release has no such parameter, or the cluster has several values of it.
    """
    facts, first = port.facts(), port.names[0]
    rulebook = RuleBook.load(facts.release, facts.profile)
    settings = port.view(first if target == CLUSTER else target).settings
    return (
        ParameterList(rulebook, {node: role_of(node) for node in port.names}, settings)
        .one(find(rulebook, name), target)
        .value
    )
