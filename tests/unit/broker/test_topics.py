"""Topics: what is built is parsed, members write and read only what is theirs, no two filters overlap."""

from itertools import combinations

import pytest

from ucmlab.broker.filters import filter_matches
from ucmlab.broker.topics import Address, Topics, parse, slug

TOPICS = Topics("lab")
NODES = ("pub", "sub1", "sub2")
BUILT = {
    TOPICS.log("tomcat-trust"): Address("log", "tomcat-trust", ""),
    TOPICS.head(): Address("head", "", ""),
    TOPICS.birth("sub1"): Address("birth", "sub1", ""),
    TOPICS.ack("sub1"): Address("ack", "sub1", ""),
    TOPICS.request("sub1", "propose"): Address("req", "sub1", "propose"),
    TOPICS.answer("sub1", "catchup"): Address("answer", "sub1", "catchup"),
    TOPICS.keys("sub1"): Address("keys", "sub1", ""),
    TOPICS.service_order("sub1", "Cisco DRF Local"): Address("cmd", "sub1", "Cisco_DRF_Local"),
    TOPICS.service_state("sub1", "Cisco DRF Local"): Address("state", "sub1", "Cisco_DRF_Local"),
}


@pytest.mark.parametrize("topic", BUILT)
def test_what_is_built_is_parsed(topic: str) -> None:
    assert topic.startswith("cucm/v1/lab/")
    assert parse(topic) == BUILT[topic]


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "cucm",
        "cucm/v1/lab",
        "cucm/v2/lab/head",
        "CUCM/v1/lab/head",
        "cucm/v1/lab/head/x",
        "cucm/v1/lab/node/sub1",
        "cucm/v1/lab/node/sub1/death",
        "cucm/v1/lab/svc/sub1/x/do",
        "cucm/v1/lab/req/sub1",
        TOPICS.log_binding(),
        "/" * 50,
    ],
)  # fmt: skip
def test_what_is_none_of_ours_is_not_parsed(topic: str) -> None:
    assert parse(topic) is None


def test_a_services_name_becomes_one_level() -> None:
    assert slug("Cisco DRF Local") == "Cisco_DRF_Local"


@pytest.mark.parametrize("filters", [TOPICS.follower_filters("sub1", "pub"), TOPICS.publisher_filters("pub")])
def test_no_two_filters_of_one_subscriber_match_the_same_topic(filters: tuple[str, ...]) -> None:
    for one, other in combinations(filters, 2):
        assert not [topic for topic in BUILT if filter_matches(one, topic) and filter_matches(other, topic)]


def writable(node: str, topic: str) -> bool:
    return any(filter_matches(each, topic) for each in TOPICS.writable(node, publisher=node == "pub"))


def readable(node: str, topic: str) -> bool:
    filters = TOPICS.readable(node, publisher=node == "pub", publisher_name="pub")
    return any(filter_matches(each, topic) for each in filters)


@pytest.mark.rule("S5")
def test_who_may_write_what() -> None:
    who = {address.kind: {node for node in NODES if writable(node, topic)} for topic, address in BUILT.items()}
    assert who == {
        "log": {"pub"},
        "head": {"pub"},
        "birth": {"sub1"},
        "ack": {"sub1"},
        "req": {"sub1"},
        "answer": {"pub"},
        "keys": {"pub"},
        "cmd": {"pub", "sub1"},
        "state": {"sub1"},
    }


@pytest.mark.rule("S12")
def test_who_may_read_what() -> None:
    who = {address.kind: {node for node in NODES if readable(node, topic)} for topic, address in BUILT.items()}
    assert who == {
        "log": {"sub1", "sub2"},
        "head": {"pub", "sub1", "sub2"},
        "birth": {"pub"},
        "ack": {"pub"},
        "req": {"pub"},
        "answer": {"sub1"},
        "keys": {"sub1"},
        "cmd": {"pub", "sub1"},
        "state": {"pub"},
    }
    assert readable("sub2", TOPICS.birth("pub"))
