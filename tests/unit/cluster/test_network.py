"""Who reaches whom after a cut, an isolation, a healing."""

import pytest

from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.network import BROKER, OUTSIDE, Network

NODES = ("pub", "sub1", "sub2", "sub3")


def on_bus(network: Network) -> set[str]:
    return {node for node in NODES if network.on_bus(node)}


def test_at_first_everybody_reaches_everybody() -> None:
    network = Network(NODES)

    assert network.whole
    assert on_bus(network) == set(NODES)
    assert network.faults() == ()


def test_the_broker_stands_with_the_publisher_unless_told_otherwise() -> None:
    network = Network(NODES)

    network.partition([["sub1", "sub2"], ["pub", "sub3"]])
    assert on_bus(network) == {"pub", "sub3"}

    network.partition([["sub1", "sub2"], ["pub", "sub3"]], broker=0)
    assert on_bus(network) == {"sub1", "sub2"}


def test_nodes_that_no_group_names_are_one_group_together() -> None:
    network = Network(NODES)

    network.partition([["sub2"]])

    assert network.reaches("pub", "sub3")
    assert not network.reaches("pub", "sub2")
    assert network.groups() == (("pub", "sub1", "sub3", BROKER), ("sub2",))


def test_an_isolated_node_reaches_nobody_even_if_it_is_the_publisher() -> None:
    network = Network(NODES)

    network.isolate("pub")

    assert on_bus(network) == {"sub1", "sub2", "sub3"}
    assert not any(network.reaches("pub", other) for other in (*NODES[1:], BROKER))
    assert network.reaches("pub", "pub")


def test_two_isolated_nodes_do_not_reach_each_other() -> None:
    network = Network(NODES)

    network.isolate("sub1")
    network.isolate("sub2")

    assert not network.reaches("sub1", "sub2")
    assert on_bus(network) == {"pub", "sub3"}


def test_the_outside_reaches_every_node_whatever_is_cut() -> None:
    network = Network(NODES)

    network.isolate("sub1")

    assert network.reaches(OUTSIDE, "sub1")


def test_healing_one_node_brings_it_to_the_broker_and_leaves_the_others() -> None:
    network = Network(NODES)
    network.partition([["pub"], ["sub1"], ["sub2", "sub3"]])

    network.heal("sub1")

    assert on_bus(network) == {"pub", "sub1"}
    assert network.faults() == ({"fault": "partition", "groups": "pub,sub1,broker / sub2,sub3"},)


def test_healing_all_makes_the_network_whole() -> None:
    network = Network(NODES)
    network.partition([["pub"], ["sub1"]])
    network.isolate("sub3")

    network.heal()

    assert network.whole


def test_a_new_cut_forgets_the_one_before() -> None:
    network = Network(NODES)
    network.isolate("sub1")

    network.partition([["sub2"]])

    assert network.reaches("pub", "sub1")


@pytest.mark.parametrize(
    ("groups", "broker", "text"),
    [
        ([["pub"], ["sub9"]], None, r"^there is no node 'sub9'; there are pub, sub1, sub2, sub3$"),
        ([["pub", "sub1"], ["sub1"]], None, r"^sub1 is in two groups; name each node once$"),
        ([["pub"], ["sub1"]], 2, r"^there is no group 2 for the broker; groups count from 0 to 1$"),
    ],
)
def test_a_cut_that_cannot_be_is_refused_and_changes_nothing(
    groups: list[list[str]], broker: int | None, text: str
) -> None:
    network = Network(NODES)

    with pytest.raises(Unusable, match=text):
        network.partition(groups, broker)

    assert network.whole
