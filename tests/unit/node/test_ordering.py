"""Orders from the publisher's Control Center: repeated, reported, and ended in time."""

import pytest

from tests.playbook import TOPICS, Playbook, publisher
from ucmlab.broker.messages import Birth, ServiceOrder, ServiceReport
from ucmlab.node.commands import AnyCommand, Reply
from ucmlab.node.events import OrderService
from ucmlab.node.instant import MINUTE, SECOND
from ucmlab.node.ordering import COMPLETION, PATIENCE
from ucmlab.node.rulebook import RuleBook

TOMCAT = "Cisco Tomcat"
ORDER = OrderService("op-1", "sub1", TOMCAT, "restart")


def sent(pub: Playbook, commands: list[AnyCommand]) -> list[tuple[str, ServiceOrder]]:
    return [(topic, said) for topic, said in pub.published(commands) if isinstance(said, ServiceOrder)]


def report(
    pub: Playbook,
    outcome: str = "",
    *,
    op_id: str = "op-1",
    node: str = "sub1",
    state: str = "started",
    reason: str = "",
) -> list[AnyCommand]:
    said = ServiceReport(op_id, TOMCAT, state, True, 0, outcome, reason, "", 1)  # type: ignore[arg-type]  # literals
    return pub.hears(node, TOPICS.service_state(node, TOMCAT), said)


@pytest.mark.rule("R-157")
def test_an_order_to_another_node_goes_out_on_its_topic_with_the_instant_after_which_it_is_void() -> None:
    pub = publisher().up()
    assert sent(pub, pub.does(ORDER)) == [
        (TOPICS.service_order("sub1", TOMCAT), ServiceOrder("op-1", TOMCAT, "restart", PATIENCE))
    ]


def test_the_report_of_that_node_ends_it_and_nobody_elses() -> None:
    pub = publisher().up()
    pub.does(ORDER)
    assert report(pub, "done", node="sub2") == []
    assert report(pub, "done", op_id="op-2") == []
    assert report(pub, "done") == [Reply("op-1", "done", nodes={"sub1": "done"})]
    assert report(pub, "done") == []
    assert pub.wait(20 * MINUTE) == [] or not sent(pub, pub.commands[-1:])


def test_a_refusal_is_handed_on_with_its_reason() -> None:
    pub = publisher().up()
    pub.does(ORDER)
    assert report(pub, "refused", reason="permission") == [
        Reply("op-1", "refused", "permission", nodes={"sub1": "refused"})
    ]


def test_it_is_repeated_under_its_id_and_ends_indefinite_when_nobody_reports() -> None:
    pub = publisher().up()
    pub.does(ORDER)
    repeated = sent(pub, pub.wait(PATIENCE))
    assert {(order.op_id, order.not_after) for _, order in repeated} == {("op-1", PATIENCE)}
    assert 4 <= len(repeated) <= 6
    assert pub.replies() == [("op-1", "indefinite", "node_down")]
    assert pub.core.open_operations() == 0


def test_a_service_that_is_starting_is_waited_for_longer_and_its_lost_report_is_asked_for() -> None:
    pub = publisher().up()
    pub.does(ORDER)
    report(pub, state="starting")
    assert {order.not_after for _, order in sent(pub, pub.wait(5 * MINUTE))} == {PATIENCE}
    assert pub.replies() == []
    assert report(pub, "done")[0] == Reply("op-1", "done", nodes={"sub1": "done"})


@pytest.mark.rule("A.22")
def test_while_a_service_takes_its_time_its_node_is_asked_nothing() -> None:
    longest = max(row.start_s[1] + row.stop_s[1] for row in RuleBook.load("15").services.values())
    pub = publisher().up()
    pub.does(ORDER)
    report(pub, state="stopping")
    assert sent(pub, pub.wait(longest * SECOND)) == []
    assert report(pub, "done")[0] == Reply("op-1", "done", nodes={"sub1": "done"})


def test_a_node_that_comes_back_while_it_carries_out_an_order_is_asked_for_its_report_at_once() -> None:
    pub = publisher().up()
    pub.does(ORDER)
    report(pub, state="stopping")
    again = pub.hears("sub1", TOPICS.birth("sub1"), Birth("up", 1, {}, {}))
    assert [(order.op_id, order.not_after) for _, order in sent(pub, again)] == [("op-1", PATIENCE)]
    assert sent(pub, pub.hears("sub2", TOPICS.birth("sub2"), Birth("up", 1, {}, {}))) == []


def test_a_node_that_comes_back_and_has_said_nothing_is_asked_when_its_turn_comes() -> None:
    pub = publisher().up()
    pub.does(ORDER)
    assert sent(pub, pub.hears("sub1", TOPICS.birth("sub1"), Birth("up", 1, {}, {}))) == []


def test_a_service_that_never_comes_up_is_given_up_in_the_end() -> None:
    pub = publisher().up()
    pub.does(ORDER)
    report(pub, state="starting")
    pub.wait(PATIENCE + COMPLETION)
    assert pub.replies() == [("op-1", "indefinite", "node_down")]


def test_a_new_session_gives_it_again_at_once() -> None:
    pub = publisher().up()
    pub.does(ORDER)
    pub.disconnect()
    pub.wait(SECOND)
    assert [order.op_id for _, order in sent(pub, pub.connect())] == ["op-1"]


def test_the_same_id_twice_is_one_order() -> None:
    pub = publisher().up()
    pub.does(ORDER)
    assert sent(pub, pub.does(ORDER)) == []


def test_a_node_that_is_not_there_is_refused() -> None:
    pub = publisher().up()
    pub.does(OrderService("op-1", "sub9", TOMCAT, "restart"))
    assert pub.replies() == [("op-1", "refused", "not_found")]


def test_the_publishers_own_services_are_ordered_without_the_bus() -> None:
    pub = publisher().up()
    pub.disconnect()
    pub.does(OrderService("op-1", "pub", TOMCAT, "restart"))
    assert pub.replies() == [("op-1", "done", "")]
